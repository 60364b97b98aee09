"""Replaces the OpenSCAP profiles of a distribution with those of a datastream, in one transaction."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from adapters.files.distribution_source import format_document
from adapters.files.file_transaction import FileTransaction, name_file_in_errors
from adapters.files.profiles import CustomizationsValidator, check_profile, list_own_profile_ids, profile_path
from adapters.repodata.errors import add_context, content_error
from adapters.scap.customizations import ProfileReader
from domain.errors import ConfigurationError, UnavailableError

# Keys of a profile's file that a refresh replaces; other keys are kept.
_REPLACED: Final = frozenset({"openscap", "filesystem", "kernel", "packages", "services"})
# Profile ids are names of folders.
_PROFILE_ID: Final = re.compile(r"xccdf_[A-Za-z0-9._-]{1,200}")


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """The result for one folder.

    `written` is the number of profiles that were written. `skipped` are the ids of unchanged profiles, which the
    datastream lacks.
    """

    written: int
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProfileRefresh:
    """Writes the profiles of one datastream to folders of distributions.

    `readers` are the readers of the datastream's benchmarks; if several have a profile, the first one is used. `accept`
    validates documents by the schema Customizations. `keep_missing` allows profiles that the datastream lacks, which
    stay unchanged. `add_new` adds profiles that the folder lacks.
    """

    readers: tuple[ProfileReader, ...]
    accept: CustomizationsValidator
    keep_missing: bool = False
    add_new: bool = False

    def refresh_folder(self, folder: Path) -> RefreshResult:
        """Replace the folder's profiles; if it has none, write all profiles of the datastream.

        Raises ConfigurationError or UnavailableError, and changes no file, if a profile cannot be read or written, or
        is missing in the datastream.
        """
        with FileTransaction(folder) as files:
            with name_file_in_errors(folder):
                existing = list_own_profile_ids(folder)
            by_id = self._readers_by_id()
            missing = tuple(profile_id for profile_id in existing if profile_id not in by_id)
            if missing and not (self.keep_missing and len(missing) < len(existing)):
                hint = "" if self.keep_missing else " (--keep-missing leaves such profiles alone)"
                raise ConfigurationError(f"the datastream has no profile {', '.join(missing)}{hint}")
            for profile_id, reader in by_id.items():
                if profile_id in existing or not existing or self.add_new:
                    files.add(
                        path := profile_path(folder, profile_id), [self._format_profile(path, profile_id, reader)]
                    )
            return RefreshResult(files.commit(), missing)

    @property
    def ignored(self) -> tuple[str, ...]:
        """The keys of osbuild fixes that profiles cannot contain, sorted; they were ignored."""
        return tuple(sorted({key for reader in self.readers for key in reader.ignored}))

    def _readers_by_id(self) -> dict[str, ProfileReader]:
        return {each: reader for reader in reversed(self.readers) for each in reader.benchmark.profiles}

    def _format_profile(self, path: Path, profile_id: str, reader: ProfileReader) -> bytes:
        if not _PROFILE_ID.fullmatch(profile_id):
            raise content_error(
                f"the id of the profile {profile_id} is invalid: expected xccdf_, then letters, digits, dots, dashes"
            )
        document = reader.customizations(profile_id)
        document |= {key: value for key, value in _read_kept_keys(path).items() if key not in document}
        try:
            check_profile(document, self.accept)
        except ConfigurationError as error:
            raise add_context(profile_id, UnavailableError(error.detail)) from None
        return format_document(document).encode()


def _read_kept_keys(path: Path) -> Mapping[str, Any]:
    """Return the keys of the file that a refresh does not replace."""
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
