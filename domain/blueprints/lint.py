"""Compare blueprints with compliance policies, and add what they lack (openapi.yaml, schema BlueprintLint).

Blueprints of older programs may have any shape; values of an unknown shape are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from domain.blueprints.blueprint import Json
from domain.compose.customization_rules import lacks_address
from domain.nulls import without_nested_nulls

SERVICES: Final = ("enabled", "masked", "disabled")
_NAME: Final = "Compliance"
_REPOSITORIES: Final = "Repositories"
_NO_DEFINITION: Final = "Compliance policy does not have a definition for the latest minor version"


@dataclass(frozen=True, slots=True)
class LintItem:
    """A remark about a blueprint (openapi.yaml, schema BlueprintLintItem)."""

    description: str
    name: str = _NAME


@dataclass(frozen=True, slots=True)
class Lint:
    """The remarks about a blueprint.

    `errors` name requirements of the policy that the blueprint lacks, `warnings` name former requirements that the
    policy has dropped since the blueprint was saved.
    """

    errors: tuple[LintItem, ...] = ()
    warnings: tuple[LintItem, ...] = ()

    def with_warnings(self, other: Lint) -> Lint:
        """The same remarks, followed by the warnings of another."""
        return replace(self, warnings=(*self.warnings, *other.warnings)) if other.warnings else self


NO_DEFINITION: Final = Lint(errors=(LintItem(_NO_DEFINITION),))


def warn_of_repositories(customizations: Json) -> Lint:
    """The remarks about payload repositories that can be stored, and not built: those with a `url` and no address."""
    repositories = customizations.get("payload_repositories")
    return Lint(
        warnings=tuple(
            LintItem(
                f"payload_repositories[{index}] cannot be built: expected one of baseurl, metalink, mirrorlist and id; "
                "url is none of them",
                _REPOSITORIES,
            )
            for index, repository in enumerate(repositories if isinstance(repositories, list) else ())
            if isinstance(repository, Mapping) and lacks_address(repository)
        )
    )


def report_unchecked(reason: str) -> Lint:
    """The remark about a blueprint whose policy could not be looked up."""
    return Lint(warnings=(LintItem(f"The compliance policy could not be checked: {reason}"),))


@dataclass(frozen=True, slots=True)
class _Settings:
    """The customizations that policies have requirements for; `services` are by state (see SERVICES)."""

    packages: tuple[str, ...]
    mountpoints: tuple[str, ...]
    services: Mapping[str, tuple[str, ...]]
    kernel_name: str
    kernel_arguments: tuple[str, ...]
    fips: bool


def lint_customizations(customizations: Json, required: Json, required_before: Json) -> Lint:
    """Compare a blueprint's customizations with its policy.

    `required` are the customizations that the policy requires today, `required_before` those that it required when the
    blueprint was saved. All three have the form of openapi.yaml, schema Customizations.
    """
    present, now, before = map(_read_settings, (customizations, required, required_before))
    return Lint(
        errors=tuple(map(LintItem, _describe_missing(present, now))),
        warnings=tuple(map(LintItem, _describe_dropped(now, before))),
    )


def add_requirements(customizations: Json, required: Json) -> dict[str, Any]:
    """The customizations with everything that the policy requires.

    Services that contradict the policy are removed; everything else of the blueprint stays.
    """
    present, now = _read_settings(customizations), _read_settings(required)
    fixed = dict(customizations)
    packages, filesystems = _find_missing(now.packages, present.packages), _find_filesystems(present, required)
    if packages:
        fixed["packages"] = [*present.packages, *packages]
    if filesystems:
        fixed["filesystem"] = [*_get_list(customizations, "filesystem"), *filesystems]
    services = _fix_services(present.services, now.services)
    if services:
        states = {**_get_object(customizations, "services"), **services}
        fixed["services"] = {name: units for name, units in states.items() if units}
    kernel = _fix_kernel(_get_object(customizations, "kernel"), present, now)
    if kernel:
        fixed["kernel"] = kernel
    if now.fips:
        fixed["fips"] = {**_get_object(customizations, "fips"), "enabled": True}
    return fixed


def read_saved_requirements(service_snapshots: Json, policy_id: str) -> Json:
    """The customizations that the policy required when the version was saved; empty where they are unknown."""
    compliance = without_nested_nulls(service_snapshots, in_lists=True).get("compliance")
    if not isinstance(compliance, Mapping) or str(compliance.get("policy_id")).lower() != policy_id.lower():
        return {}
    customizations = compliance.get("policy_customizations")
    return customizations if isinstance(customizations, Mapping) else {}


def create_service_snapshots(policy_id: str, required: Json) -> dict[str, Any]:
    """The `service_snapshots` of a version whose policy requires these customizations."""
    return {"compliance": {"policy_id": policy_id, "policy_customizations": required}}


def _read_settings(customizations: Json) -> _Settings:
    services, kernel = _get_object(customizations, "services"), _get_object(customizations, "kernel")
    filesystems = [entry for entry in _get_list(customizations, "filesystem") if isinstance(entry, Mapping)]
    return _Settings(
        packages=_get_texts(customizations, "packages"),
        mountpoints=tuple(text for entry in filesystems if isinstance(text := entry.get("mountpoint"), str)),
        services={state: _get_texts(services, state) for state in SERVICES},
        kernel_name=_get_text(kernel, "name"),
        kernel_arguments=tuple(_get_text(kernel, "append").split()),
        fips=_get_object(customizations, "fips").get("enabled") is True,
    )


def _get_object(document: Json, name: str) -> Json:
    value = document.get(name)
    return value if isinstance(value, Mapping) else {}


def _get_list(document: Json, name: str) -> list[Any]:
    value = document.get(name)
    return value if isinstance(value, list) else []


def _get_texts(document: Json, name: str) -> tuple[str, ...]:
    return tuple(entry for entry in _get_list(document, name) if isinstance(entry, str))


def _get_text(document: Json, name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _describe_missing(present: _Settings, now: _Settings) -> Iterator[str]:
    for package in _find_missing(now.packages, present.packages):
        yield f"package {package} required by policy is not present"
    for mountpoint in _find_missing(now.mountpoints, present.mountpoints):
        yield f"mountpoint {mountpoint} required by policy is not present"
    for state in SERVICES:
        for service in _find_missing(now.services[state], present.services[state]):
            yield f"service {service} required as {state} by policy is not present"
    if now.kernel_name and now.kernel_name != present.kernel_name:
        yield f"kernel name {now.kernel_name} required by policy not set"
    for argument in _find_missing(now.kernel_arguments, present.kernel_arguments):
        yield f"kernel command line parameter '{argument}' required by policy not set"
    if now.fips and not present.fips:
        yield "FIPS required 'true' by policy but not set"


def _describe_dropped(now: _Settings, before: _Settings) -> Iterator[str]:
    for package in _find_missing(before.packages, now.packages):
        yield f"package {package} is no longer required by policy"
    for mountpoint in _find_missing(before.mountpoints, now.mountpoints):
        yield f"mountpoint {mountpoint} is no longer required by policy"
    for state in SERVICES:
        for service in _find_missing(before.services[state], now.services[state]):
            yield f"service {service} is no longer required as {state} by policy"
    if before.kernel_name and before.kernel_name != now.kernel_name:
        yield f"kernel name {before.kernel_name} is no longer required by policy"
    for argument in _find_missing(before.kernel_arguments, now.kernel_arguments):
        yield f"kernel command line parameter '{argument}' is no longer required by policy"
    if before.fips and not now.fips:
        yield "FIPS is no longer required by policy"


def _find_missing(wanted: Iterable[str], present: Iterable[str]) -> list[str]:
    """The wanted entries that are not present, each once."""
    known = set(present)
    return [entry for entry in dict.fromkeys(wanted) if entry not in known]


def _find_filesystems(present: _Settings, required: Json) -> list[dict[str, Any]]:
    """The required file systems whose mount points are missing."""
    by_mountpoint = {entry["mountpoint"]: dict(entry) for entry in required.get("filesystem", ())}
    return [by_mountpoint[mountpoint] for mountpoint in _find_missing(by_mountpoint, present.mountpoints)]


def _fix_services(
    present: Mapping[str, tuple[str, ...]], required: Mapping[str, tuple[str, ...]]
) -> dict[str, list[str]]:
    """The states whose lists change: required units are added, units that contradict a requirement are removed."""
    on, off = required["enabled"], (*required["masked"], *required["disabled"])
    contradicted = {"enabled": set(off) - set(on), "masked": set(on) - set(off), "disabled": set(on) - set(off)}
    fixed = {
        state: [
            *(unit for unit in present[state] if unit not in contradicted[state]),
            *_find_missing(required[state], present[state]),
        ]
        for state in SERVICES
    }
    return {state: units for state, units in fixed.items() if units != list(present[state])}


def _fix_kernel(kernel: Json, present: _Settings, required: _Settings) -> dict[str, Any]:
    fixed = dict(kernel)
    if required.kernel_name:
        fixed["name"] = required.kernel_name
    missing = _find_missing(required.kernel_arguments, present.kernel_arguments)
    if missing:
        fixed["append"] = " ".join([*present.kernel_arguments, *missing])
    return fixed
