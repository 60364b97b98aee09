"""The profiles of a distribution's folder, written anew from a benchmark: all of them, or none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from adapters.files.distribution_source import format_document
from adapters.files.new_files import NewFiles, name_file_in_errors
from adapters.files.profiles import Accept, check_profile, profile_folders, profile_path
from adapters.repodata.errors import add_context, content_error
from adapters.scap.customizations import ProfileReader
from domain.errors import ConfigurationError, UnavailableError

_REPLACED: Final = frozenset({"openscap", "filesystem", "kernel", "packages", "services"})
# What may be the name of a folder.
_ID: Final = re.compile(r"xccdf_[A-Za-z0-9._-]{1,200}")


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """What has become of a folder: the number of profiles written, and the ids of those that were left alone."""

    written: int
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProfileRefresh:
    """Writes profiles from the benchmarks of one datastream; of two that have a profile the first counts.

    `accept` takes a document for the contract's Customizations. `keep_missing`: profiles that the datastream lacks stay
    as they are. `add_new`: profiles that the folder lacks are added.
    """

    readers: tuple[ProfileReader, ...]
    accept: Accept
    keep_missing: bool = False
    add_new: bool = False

    def folder(self, folder: Path) -> RefreshResult:
        """Write the folder's profiles; those of the datastream where it has none.

        Raises `ConfigurationError` or `UnavailableError` when one of them cannot be read or written, or is missing in
        the datastream; then all are as they were.
        """
        with NewFiles(folder) as files:
            with name_file_in_errors(folder):
                known = profile_folders(folder)
            by_id = self._readers_by_id()
            missing = tuple(profile_id for profile_id in known if profile_id not in by_id)
            if missing and not (self.keep_missing and len(missing) < len(known)):
                hint = "" if self.keep_missing else " (--keep-missing leaves such profiles alone)"
                raise ConfigurationError(f"the datastream has no profile {', '.join(missing)}{hint}")
            for profile_id, reader in by_id.items():
                if profile_id in known or not known or self.add_new:
                    files.add(path := profile_path(folder, profile_id), [self._document(path, profile_id, reader)])
            return RefreshResult(files.commit(), missing)

    @property
    def ignored(self) -> tuple[str, ...]:
        """The keys of osbuild fixes that profiles were not made from, sorted."""
        return tuple(sorted({key for reader in self.readers for key in reader.ignored}))

    def _readers_by_id(self) -> dict[str, ProfileReader]:
        return {each: reader for reader in reversed(self.readers) for each in reader.benchmark.profiles}

    def _document(self, path: Path, profile_id: str, reader: ProfileReader) -> bytes:
        if not _ID.fullmatch(profile_id):
            raise content_error(f"the id of the profile {profile_id} is none: xccdf_, letters, digits, dots, dashes")
        document = reader.customizations(profile_id)
        document |= {key: value for key, value in _rest(path).items() if key not in document}
        try:
            check_profile(document, self.accept)
        except ConfigurationError as error:
            raise add_context(profile_id, UnavailableError(error.detail)) from None
        return format_document(document).encode()


def _rest(path: Path) -> Mapping[str, Any]:
    """What the file holds beside what is replaced."""
    try:
        document = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{path}: Not JSON: {error}.") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: Expected an object.")
    return {key: value for key, value in document.items() if key not in _REPLACED}
