"""The problems that a check of a compose request reports (openapi.yaml, schema CheckProblem)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from domain.compose.customization_rules import ADDRESSES
from domain.compose.lookups import Subject
from domain.compose.request import Json
from domain.errors import ImageBuilderError, InvalidRequestError, Violation
from domain.failures import FailureCode, FindSimilar, Responsible, explain, list_missing_packages
from domain.status import BuildError
from domain.texts import MOST_LISTED, shorten

# Characters of a message.
_MAX_MESSAGE_LENGTH: Final = 1000


class Severity(StrEnum):
    """Whether a problem prevents the build."""

    ERROR = "error"
    WARNING = "warning"


class ProblemCode(StrEnum):
    """The kind of a problem. Problems of the package resolution have the codes of `domain.failures.FailureCode`."""

    INVALID_VALUE = "invalid-value"
    INVALID_REQUEST = "invalid-request"
    RULE_VIOLATED = "rule-violated"
    UNSUPPORTED_CUSTOMIZATION = "unsupported-customization"
    QUOTA_EXCEEDED = "quota-exceeded"
    NOT_CHECKED = "not-checked"


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of a compose request. `path` is that of the field, empty for the request as a whole."""

    path: str
    code: str
    severity: Severity
    message: str
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedCustomization:
    """Whether the image type supports the customization at this path."""

    path: str
    supported: bool


# The composer's names of our customizations where they differ: the path in `supported_blueprint_options`, None for a
# customization that is no option of an image type.
_OPTIONS: Final[Mapping[str, str | None]] = {
    "packages": "packages",
    "enabled_modules": "enabled_modules",
    "containers": "containers",
    "users": "customizations.user",
    "groups": "customizations.group",
    "custom_repositories": "customizations.repositories",
    "payload_repositories": None,
    "subscription": None,
    "aap_registration": None,
}
# The field that lookups are about; repositories come from several fields.
_LOOKUP_PATHS: Final[Mapping[Subject, str]] = {
    Subject.REPOSITORIES: "",
    Subject.ACCOUNTS: "image_requests[0].upload_request.options.share_with_sources",
    Subject.POLICY: "customizations.openscap.policy_id",
}
_CUSTOMIZATIONS: Final = "customizations"
_REPOSITORIES: Final = ("payload_repositories", "custom_repositories")
# A URL has no blanks, and a host or a path after its scheme.
_NO_URL: Final = re.compile(r"\s|^[A-Za-z][A-Za-z0-9+.-]*:/{0,2}$|^/{0,2}$")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)
_PACKAGES: Final = f"{_CUSTOMIZATIONS}.packages"


def list_errors(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems that prevent the build."""
    return tuple(each for each in problems if each.severity is Severity.ERROR)


def create_error(path: str, message: str, code: str = ProblemCode.INVALID_REQUEST) -> Problem:
    """A problem that prevents the build."""
    return Problem(path, code, Severity.ERROR, shorten(message, _MAX_MESSAGE_LENGTH))


def create_not_checked(path: str, message: str) -> Problem:
    """The warning that something could not be checked."""
    return Problem(path, ProblemCode.NOT_CHECKED, Severity.WARNING, message)


def describe_failed_lookup(subject: Subject, error: ImageBuilderError) -> Problem:
    """The problem of a lookup without an answer: an error if the request is to blame, otherwise not checked."""
    if isinstance(error, InvalidRequestError):
        return create_error(_LOOKUP_PATHS[subject], error.detail)
    return create_not_checked(_LOOKUP_PATHS[subject], error.detail)


def from_violation(violation: Violation) -> Problem:
    """The problem of a broken rule of `domain.compose.customization_rules`."""
    path = f"{_CUSTOMIZATIONS}.{violation.path}" if violation.path else _CUSTOMIZATIONS
    return create_error(path, violation.detail, ProblemCode.RULE_VIOLATED)


def find_address_problems(customizations: Json) -> Iterator[Problem]:
    """The problems of repositories' addresses that are no URLs; such requests are accepted, so their builds may fail.

    An address without a scheme is a warning: some back-ends complete it.
    """
    for kind in _REPOSITORIES:
        for index, repository in enumerate(customizations.get(kind, ())):
            for field in ADDRESSES:
                value = repository.get(field) or ()
                for path, address in _list_texts(f"{_CUSTOMIZATIONS}.{kind}[{index}].{field}", value):
                    if _NO_URL.search(address) is not None:
                        message = "expected a URL such as https://example.com/repository"
                        yield create_error(path, message, ProblemCode.INVALID_VALUE)
                    elif _SCHEME.match(address) is None:
                        message = "expected a URL with a scheme, such as https://example.com/repository"
                        yield Problem(path, ProblemCode.INVALID_VALUE, Severity.WARNING, message)


def _list_texts(path: str, value: str | Sequence[str]) -> Iterator[tuple[str, str]]:
    """The texts of a field that has one or a list of them, each with its path."""
    if isinstance(value, str):
        yield path, value
    else:
        yield from ((f"{path}[{index}]", text) for index, text in enumerate(value) if text)


def check_options(customizations: Json, supported: Sequence[str]) -> list[CheckedCustomization]:
    """Say of each customization that has a value whether it is one of the `supported` options of the image type."""
    return [
        CheckedCustomization(f"customizations.{name}", _is_supported(name, supported))
        for name, value in customizations.items()
        if value not in (None, [], {}, "")
    ]


def _is_supported(name: str, supported: Sequence[str]) -> bool:
    option = _OPTIONS.get(name, f"customizations.{name}")
    return option is None or any(each == option or each.startswith(f"{option}.") for each in supported)


def find_unsupported(checked: Iterable[CheckedCustomization], image_type: str) -> Iterator[Problem]:
    """The problems of customizations that the image type does not support."""
    for each in checked:
        if not each.supported:
            message = f"the image type {image_type} does not support this customization"
            yield create_error(each.path, message, ProblemCode.UNSUPPORTED_CUSTOMIZATION)


def explain_resolution(error: BuildError, packages: Sequence[Any], find_similar: FindSimilar) -> Iterator[Problem]:
    """The problems that prevent the resolution of the `packages` of a request.

    Each missing package is a problem of its own, in the order of the request, the first MOST_LISTED with similar names.
    An error without a known explanation has the text of the package manager, shortened.
    """
    explanation = explain(error)
    if explanation.responsible is Responsible.PLATFORM:
        yield create_not_checked(_PACKAGES, f"The packages could not be resolved. {explanation.hint}")
        return
    missing = list_missing_packages(error) if explanation.code == FailureCode.PACKAGES_NOT_FOUND else []
    if not missing:
        # Its hint repeats only the reason, which does not name the packages.
        is_unknown = explanation.code == FailureCode.INVALID_REQUEST and isinstance(error.details, str)
        message = f"The packages could not be resolved: {error.details}" if is_unknown else explanation.hint
        yield create_error(_PACKAGES, message, explanation.code)
        return
    positions = {name: index for index, name in reversed(list(enumerate(packages)))}
    missing = sorted(missing, key=lambda name: positions.get(name, len(packages)))
    similar = find_similar([name for name in missing[:MOST_LISTED] if not name.startswith("@")])
    for name in missing:
        path = f"{_PACKAGES}[{positions[name]}]" if name in positions else _PACKAGES
        message = f"{name} does not exist in the repositories of the image"
        yield Problem(path, explanation.code, Severity.ERROR, message, tuple(similar.get(name, ())))
