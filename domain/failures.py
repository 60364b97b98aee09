"""Explains failed builds to their owners: a stable code, who must act, and a hint with names from the error's details.

The composer's error ids and the forms of its details are those of openapi.yaml, schema BuildFailureCode. If an error
only wraps another one, the innermost error is explained (`domain.status.find_innermost_error`). Texts may come in any
language; the names in them do not change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from domain.status import BuildError, find_innermost_error
from domain.texts import shorten

# Finds the existing names that are closest to each of these package names, the closest first.
FindSimilar = Callable[[Sequence[str]], Mapping[str, Sequence[str]]]


class FailureCode(StrEnum):
    """The kind of a failure (openapi.yaml, schema BuildFailureCode)."""

    INVALID_REQUEST = "invalid-request"
    UPLOAD_REFUSED = "upload-refused"
    IMAGE_NOT_SHARED = "image-not-shared"
    PACKAGES_NOT_FOUND = "packages-not-found"
    PACKAGES_CONFLICT = "packages-conflict"
    PACKAGE_MANAGER = "package-manager"
    REPOSITORY_METADATA = "repository-metadata"
    REPOSITORY_UNAVAILABLE = "repository-unavailable"
    CONTAINER_NOT_FOUND = "container-not-found"
    CONTAINER_REGISTRY = "container-registry"
    OSTREE = "ostree"
    FILE_NOT_FOUND = "file-not-found"
    BUILD_FAILED = "build-failed"
    WORKER_LOST = "worker-lost"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class Responsible(StrEnum):
    """Who has to change something before the build can succeed."""

    REQUEST = "request"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class Explanation:
    """`retryable` says whether the same request can succeed later; `hint` tells the owner of the build what to do."""

    code: FailureCode
    responsible: Responsible
    retryable: bool
    hint: str


# The id of the error of a build that its owner cancelled, and its reason.
CANCELLED_ID: Final = 0
CANCELLED_REASON: Final = "Cancelled"

# Names in a hint; further ones are counted.
_MOST_NAMES: Final = 5
_MOST_SUGGESTIONS: Final = 3
# Characters of details that are searched for names, and values that are visited for them.
_SEARCHED: Final = 20_000
_MOST_VALUES: Final = 1_000
_LONGEST_NAME: Final = 200

_REQUEST, _PLATFORM = Responsible.REQUEST, Responsible.PLATFORM
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._+:~^-]{0,199}"
_MISSING: Final = re.compile(rf"^[^:\n]{{1,80}}:[ \t]+(@?{_NAME}(?:,[ \t]+@?{_NAME})*)[ \t]*$", re.MULTILINE)
_NO_MATCH: Final = re.compile(rf"match for argument:?[ \t]+(@?{_NAME})", re.IGNORECASE)
_NOTHING_PROVIDES: Final = re.compile(rf"nothing provides ([^\n]{{1,200}}?) needed by ({_NAME})")
_REQUIRES: Final = re.compile(rf"package ({_NAME}) requires ([^\n,]{{1,200}}), but none")
_CONFLICTS: Final = re.compile(rf"package ({_NAME}) conflicts with ([^\n]{{1,200}}?) provided by ({_NAME})")
_URL: Final = re.compile(r"\b(?:https?|ftp)://[^\s\]\[)('\",<>]{1,500}")
_REPOSITORY: Final = re.compile(r"\brepo(?:sitory)? ['\"]?([A-Za-z0-9._-]{1,100})['\"]?")
_ACCOUNT: Final = re.compile(r"(?<!\d)\d{12}(?!\d)")
_EMAIL: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,200}\.[A-Za-z]{2,20}")
_DOWNLOAD_FAILED: Final = re.compile(
    r"error downloading|no more mirrors to try|curl error|failed to download", re.IGNORECASE
)


def explain(error: BuildError, find_similar: FindSimilar | None = None) -> Explanation:
    """Explain a failed build. `find_similar` knows the package names of the build's distribution; None without any."""
    inner = find_innermost_error(error)
    rule = _RULES.get(inner.id, _internal)
    return rule(inner, "\n".join(_texts((inner.reason, inner.details)))[:_SEARCHED], find_similar)


def list_missing_packages(error: BuildError) -> list[str]:
    """The names of packages, and of groups (`@…`), that do not exist by the details of an error."""
    return _list_missing(error, "\n".join(_texts((error.reason, error.details)))[:_SEARCHED])


def _list_missing(error: BuildError, text: str) -> list[str]:
    return _unique([*_names_after_colon(error), *_NO_MATCH.findall(text)])


_Rule = Callable[[BuildError, str, FindSimilar | None], Explanation]


def _cancelled(_error: BuildError, _text: str, _similar: FindSimilar | None) -> Explanation:
    return Explanation(FailureCode.CANCELLED, _REQUEST, True, "The build was cancelled. Start it again if you need it.")


def _invalid_request(error: BuildError, _text: str, _similar: FindSimilar | None) -> Explanation:
    hint = f"The request cannot be built as it is: {_sentence(error.reason)} Change the request and start a new build."
    return Explanation(FailureCode.INVALID_REQUEST, _REQUEST, False, hint)


def _upload_target(_error: BuildError, text: str, _similar: FindSimilar | None) -> Explanation:
    accounts = _listed(_unique([*_ACCOUNT.findall(text), *_EMAIL.findall(text)]))
    of_account = f" of account {accounts}" if accounts else ""
    hint = (
        f"The cloud refused the upload target{of_account}. Check the upload options of the request: account, region, "
        "resource group and permissions."
    )
    return Explanation(FailureCode.UPLOAD_REFUSED, _REQUEST, False, hint)


def _not_shared(_error: BuildError, text: str, _similar: FindSimilar | None) -> Explanation:
    accounts = _listed(_unique([*_ACCOUNT.findall(text), *_EMAIL.findall(text)]))
    with_account = f" with {accounts}" if accounts else " with an account of the request"
    hint = f"The image was built, but could not be shared{with_account}. Check that the account exists in that cloud."
    return Explanation(FailureCode.IMAGE_NOT_SHARED, _REQUEST, False, hint)


def _upload_failed(_error: BuildError, text: str, _similar: FindSimilar | None) -> Explanation:
    to_account = _listed(_unique(_ACCOUNT.findall(text)))
    suffix = f" for account {to_account}" if to_account else ""
    hint = f"The image was built, but its upload to the cloud failed{suffix}. Start the build again."
    return Explanation(FailureCode.UPLOAD_REFUSED, _PLATFORM, True, hint)


def _packages_not_found(error: BuildError, text: str, similar: FindSimilar | None) -> Explanation:
    names = _list_missing(error, text)
    packages = [name for name in names if not name.startswith("@")]
    groups = [name for name in names if name.startswith("@")]
    sentences = []
    if packages:
        found = {} if similar is None else similar(packages)
        sentences.append(
            f"These packages do not exist in the repositories of the image: {_with_similar(packages, found)}."
        )
    if groups:
        sentences.append(f"These groups or modules do not exist: {_listed(groups)}.")
    if not names:
        sentences.append("Packages of the request do not exist in the repositories of the image.")
    sentences.append("Correct the names, or add the repository that has them.")
    return Explanation(FailureCode.PACKAGES_NOT_FOUND, _REQUEST, False, " ".join(sentences))


def _packages_conflict(_error: BuildError, text: str, _similar: FindSimilar | None) -> Explanation:
    reasons = [
        *(f"{first} conflicts with {second}" for first, _, second in _CONFLICTS.findall(text)),
        *(f"{each} needs {needed}, which no repository provides" for needed, each in _NOTHING_PROVIDES.findall(text)),
        *(f"{each} needs {needed}, which cannot be installed" for each, needed in _REQUIRES.findall(text)),
    ]
    why = f": {'; '.join(_unique(reasons)[:_MOST_NAMES])}" if reasons else ""
    hint = f"The packages cannot be installed together{why}. Remove one of them, or add the repository that it needs."
    return Explanation(FailureCode.PACKAGES_CONFLICT, _REQUEST, False, hint)


def _package_manager(error: BuildError, _text: str, _similar: FindSimilar | None) -> Explanation:
    hint = (
        f"The package manager failed: {_sentence(error.reason)} Check the repositories and packages of the request, "
        "and start the build again."
    )
    return Explanation(FailureCode.PACKAGE_MANAGER, _PLATFORM, True, hint)


def _metadata(_error: BuildError, text: str, _similar: FindSimilar | None) -> Explanation:
    hint = (
        f"The metadata of {_repositories(text)} cannot be read. Start the build again later; check the repository if "
        "it is yours."
    )
    return Explanation(FailureCode.REPOSITORY_METADATA, _PLATFORM, True, hint)


def _repository(_error: BuildError, text: str, _similar: FindSimilar | None) -> Explanation:
    hint = (
        f"{_capitalized(_repositories(text))} could not be read. Check the address if the repository is yours; "
        "otherwise start the build again later."
    )
    return Explanation(FailureCode.REPOSITORY_UNAVAILABLE, _PLATFORM, True, hint)


def _container(_error: BuildError, text: str, _similar: FindSimilar | None) -> Explanation:
    image = _listed(_unique(_CONTAINER.findall(text)))
    which = f"The container image {image}" if image else "A container image of the request"
    hint = f"{which} was not found. Check its name and tag, and that its registry needs no login."
    return Explanation(FailureCode.CONTAINER_NOT_FOUND, _REQUEST, False, hint)


def _registry(_error: BuildError, text: str, _similar: FindSimilar | None) -> Explanation:
    image = _listed(_unique(_CONTAINER.findall(text)))
    which = f"the container image {image}" if image else "a container image"
    hint = f"The registry did not answer for {which}. Start the build again later."
    return Explanation(FailureCode.CONTAINER_REGISTRY, _PLATFORM, True, hint)


def _ostree_request(_error: BuildError, text: str, _similar: FindSimilar | None) -> Explanation:
    address = _listed(_urls(text))
    of_address = f" at {address}" if address else ""
    hint = (
        f"The OSTree repository{of_address} or its ref could not be read. Check `ostree.url`, `ostree.ref` and "
        "`ostree.parent`."
    )
    return Explanation(FailureCode.OSTREE, _REQUEST, False, hint)


def _ostree_platform(_error: BuildError, text: str, _similar: FindSimilar | None) -> Explanation:
    address = _listed(_urls(text))
    of_address = f" at {address}" if address else ""
    hint = f"The OSTree ref{of_address} could not be resolved. Check the `ostree` options, and start the build again."
    return Explanation(FailureCode.OSTREE, _PLATFORM, True, hint)


def _remote_file(_error: BuildError, text: str, _similar: FindSimilar | None) -> Explanation:
    address = _listed(_urls(text))
    which = f"A file at {address}" if address else "A file that the image needs"
    return Explanation(
        FailureCode.FILE_NOT_FOUND, _PLATFORM, True, f"{which} could not be downloaded. Start the build again later."
    )


def _osbuild(error: BuildError, text: str, similar: FindSimilar | None) -> Explanation:
    if _DOWNLOAD_FAILED.search(text):
        return _repository(error, text, similar)
    hint = (
        "A stage of the build failed. Read the build's logs: the failed stage is the last one. If your customizations "
        "are not the cause, start the build again."
    )
    return Explanation(FailureCode.BUILD_FAILED, _PLATFORM, True, hint)


def _worker(_error: BuildError, _text: str, _similar: FindSimilar | None) -> Explanation:
    hint = "The machine that built the image was lost. Start the build again."
    return Explanation(FailureCode.WORKER_LOST, _PLATFORM, True, hint)


def _empty_manifest(_error: BuildError, _text: str, _similar: FindSimilar | None) -> Explanation:
    hint = "The request leads to an empty image. Check the image type and the customizations."
    return Explanation(FailureCode.INVALID_REQUEST, _REQUEST, False, hint)


def _wrapper(error: BuildError, text: str, similar: FindSimilar | None) -> Explanation:
    """Explain an error that usually wraps another one, but does not here: by its texts."""
    if next(_names_after_colon(error), None) or _NO_MATCH.search(text):
        return _packages_not_found(error, text, similar)
    if _CONFLICTS.search(text) or _NOTHING_PROVIDES.search(text) or _REQUIRES.search(text):
        return _packages_conflict(error, text, similar)
    if _DOWNLOAD_FAILED.search(text):
        return _repository(error, text, similar)
    return _package_manager(error, text, similar) if error.id == 5 else _invalid_request(error, text, similar)


def _internal(error: BuildError, _text: str, _similar: FindSimilar | None) -> Explanation:
    hint = f"The build service failed: {_sentence(error.reason)} Start the build again; tell support if it fails again."
    return Explanation(FailureCode.INTERNAL, _PLATFORM, True, hint)


# Image names as registries have them: a host or several path parts, and a tag or digest.
_CONTAINER: Final = re.compile(
    r"(?<![\w./-])(?:[a-z0-9][a-z0-9.-]{0,99}(?::\d{1,5})?/)(?:[a-z0-9][a-z0-9._-]{0,99}/){0,5}"
    r"[a-z0-9][a-z0-9._-]{0,99}(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)

# By the composer's error ids. All other ids are internal errors.
_RULES: Final[Mapping[int, _Rule]] = {
    CANCELLED_ID: _cancelled,
    1: _invalid_request,
    2: _upload_target,
    3: _not_shared,
    4: _upload_target,
    5: _wrapper,
    6: _internal,
    7: _internal,
    8: _internal,
    9: _wrapper,
    10: _osbuild,
    11: _upload_failed,
    12: _upload_failed,
    17: _internal,
    18: _internal,
    19: _empty_manifest,
    20: _packages_conflict,
    21: _packages_not_found,
    22: _package_manager,
    23: _metadata,
    24: _invalid_request,
    25: _repository,
    26: _wrapper,
    27: _worker,
    28: _upload_target,
    29: _internal,
    30: _container,
    31: _registry,
    32: _ostree_platform,
    33: _ostree_platform,
    34: _ostree_platform,
    35: _ostree_request,
    36: _remote_file,
    37: _worker,
    38: _internal,
    39: _repository,
}


def _names_after_colon(error: BuildError) -> Iterator[str]:
    """Return the names in lines of the details such as `missing packages: NAME, NAME`, in any language."""
    for names in _MISSING.findall("\n".join(_texts(error.details))[:_SEARCHED]):
        yield from (name.strip() for name in names.split(","))


def _texts(value: Any) -> Iterator[str]:
    """Return the texts of a JSON value of any shape, outermost first; at most _MOST_VALUES values are read."""
    waiting: list[Any] = [value]
    for _ in range(_MOST_VALUES):
        if not waiting:
            return
        current = waiting.pop(0)
        if isinstance(current, str):
            yield current
        elif isinstance(current, Mapping):
            waiting.extend(list(current.values())[:_MOST_VALUES])
        elif isinstance(current, list | tuple):
            waiting.extend(current[:_MOST_VALUES])


def _urls(text: str) -> list[str]:
    """Return the URLs in the text without the parts that may be secret: user, password, query."""
    return _unique(_without_secrets(url.rstrip(".:;")) for url in _URL.findall(text))


def _without_secrets(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host_and_path = rest.split("?")[0].split("#")[0]
    host, slash, path = host_and_path.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _repositories(text: str) -> str:
    urls = _urls(text)
    if urls:
        return f"the repository {_listed(urls)}"
    names = _unique(_REPOSITORY.findall(text))
    return f"the repository {_listed(names)}" if names else "a repository of the image"


def _with_similar(names: Sequence[str], similar: Mapping[str, Sequence[str]]) -> str:
    parts = []
    for name in names[:_MOST_NAMES]:
        closest = list(similar.get(name, ()))[:_MOST_SUGGESTIONS]
        parts.append(f"{name} (did you mean {' or '.join(closest)}?)" if closest else name)
    return _with_count(parts, len(names))


def _listed(names: Sequence[str]) -> str:
    return _with_count([shorten(name, _LONGEST_NAME) for name in names[:_MOST_NAMES]], len(names))


def _with_count(shown: Sequence[str], total: int) -> str:
    more = total - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _sentence(reason: str) -> str:
    """Return the reason as a sentence."""
    text = shorten(reason.strip(), _LONGEST_NAME) or "no reason was given"
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
