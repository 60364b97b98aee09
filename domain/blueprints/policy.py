"""Blueprints and compliance policies: what one lacks of the other, and how it gets it (contract: BlueprintLint)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from domain.blueprints.blueprint import Json
from domain.nulls import without_nested_nulls

SERVICES: Final = ("enabled", "masked", "disabled")
_NAME: Final = "Compliance"
_NO_DEFINITION: Final = "Compliance policy does not have a definition for the latest minor version"


@dataclass(frozen=True, slots=True)
class LintItem:
    """A remark about a blueprint (contract: BlueprintLintItem)."""

    description: str
    name: str = _NAME


@dataclass(frozen=True, slots=True)
class Lint:
    """`errors` are what the policy asks for and the blueprint lacks, `warnings` what it asked for once."""

    errors: tuple[LintItem, ...] = ()
    warnings: tuple[LintItem, ...] = ()


NO_DEFINITION: Final = Lint(errors=(LintItem(_NO_DEFINITION),))


def not_checked(reason: str) -> Lint:
    """What is said of a blueprint whose policy could not be asked for."""
    return Lint(warnings=(LintItem(f"The compliance policy could not be checked: {reason}"),))


@dataclass(frozen=True, slots=True)
class _Wants:
    """Customizations (contract: Customizations) as the things that policies ask for."""

    packages: tuple[str, ...]
    mountpoints: tuple[str, ...]
    services: Mapping[str, tuple[str, ...]]
    kernel_name: str
    kernel_arguments: tuple[str, ...]
    fips: bool


def lint(customizations: Json, required: Json, before: Json) -> Lint:
    """What to say of a blueprint whose policy asks for `required`, and asked for `before` when it was saved."""
    has, wants, wanted = _wants(customizations), _wants(required), _wants(before)
    return Lint(
        errors=tuple(map(LintItem, _missing(has, wants))),
        warnings=tuple(map(LintItem, _dropped(wants, wanted))),
    )


def fixed(customizations: Json, required: Json) -> dict[str, Any]:
    """The customizations with all that `required` asks for; nothing is lost that it does not contradict."""
    has, wants = _wants(customizations), _wants(required)
    made = dict(customizations)
    packages, filesystems = _lacking(wants.packages, has.packages), _filesystems(has, required)
    if packages:
        made["packages"] = [*has.packages, *packages]
    if filesystems:
        made["filesystem"] = [*_entries(customizations, "filesystem"), *filesystems]
    services = _services(has.services, wants.services)
    if services:
        made["services"] = {**_table(customizations, "services"), **services}
        made["services"] = {name: units for name, units in made["services"].items() if units}
    kernel = _kernel(_table(customizations, "kernel"), has, wants)
    if kernel:
        made["kernel"] = kernel
    if wants.fips:
        made["fips"] = {**_table(customizations, "fips"), "enabled": True}
    return made


def required_when_saved(snapshots: Json, policy_id: str) -> Json:
    """What a policy asked for when the version was saved, out of its `service_snapshots`."""
    compliance = without_nested_nulls(snapshots, in_lists=True).get("compliance")
    if not isinstance(compliance, Mapping) or str(compliance.get("policy_id")).lower() != policy_id.lower():
        return {}
    customizations = compliance.get("policy_customizations")
    return customizations if isinstance(customizations, Mapping) else {}


def snapshots(policy_id: str, required: Json) -> dict[str, Any]:
    """`service_snapshots` of a version whose policy asks for `required`."""
    return {"compliance": {"policy_id": policy_id, "policy_customizations": required}}


def _wants(customizations: Json) -> _Wants:
    """What rows of any shape say; whatever is not of the contract's shape says nothing."""
    services, kernel = _table(customizations, "services"), _table(customizations, "kernel")
    filesystems = [entry for entry in _entries(customizations, "filesystem") if isinstance(entry, Mapping)]
    return _Wants(
        packages=_texts(customizations, "packages"),
        mountpoints=tuple(text for entry in filesystems if isinstance(text := entry.get("mountpoint"), str)),
        services={state: _texts(services, state) for state in SERVICES},
        kernel_name=_text(kernel, "name"),
        kernel_arguments=tuple(_text(kernel, "append").split()),
        fips=_table(customizations, "fips").get("enabled") is True,
    )


def _table(document: Json, name: str) -> Json:
    value = document.get(name)
    return value if isinstance(value, Mapping) else {}


def _entries(document: Json, name: str) -> list[Any]:
    value = document.get(name)
    return value if isinstance(value, list) else []


def _texts(document: Json, name: str) -> tuple[str, ...]:
    return tuple(entry for entry in _entries(document, name) if isinstance(entry, str))


def _text(document: Json, name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _missing(has: _Wants, wants: _Wants) -> Iterator[str]:
    for package in _lacking(wants.packages, has.packages):
        yield f"package {package} required by policy is not present"
    for mountpoint in _lacking(wants.mountpoints, has.mountpoints):
        yield f"mountpoint {mountpoint} required by policy is not present"
    for state in SERVICES:
        for service in _lacking(wants.services[state], has.services[state]):
            yield f"service {service} required as {state} by policy is not present"
    if wants.kernel_name and wants.kernel_name != has.kernel_name:
        yield f"kernel name {wants.kernel_name} required by policy not set"
    for argument in _lacking(wants.kernel_arguments, has.kernel_arguments):
        yield f"kernel command line parameter '{argument}' required by policy not set"
    if wants.fips and not has.fips:
        yield "FIPS required 'true' by policy but not set"


def _dropped(wants: _Wants, wanted: _Wants) -> Iterator[str]:
    for package in _lacking(wanted.packages, wants.packages):
        yield f"package {package} is no longer required by policy"
    for mountpoint in _lacking(wanted.mountpoints, wants.mountpoints):
        yield f"mountpoint {mountpoint} is no longer required by policy"
    for state in SERVICES:
        for service in _lacking(wanted.services[state], wants.services[state]):
            yield f"service {service} is no longer required as {state} by policy"
    if wanted.kernel_name and wanted.kernel_name != wants.kernel_name:
        yield f"kernel name {wanted.kernel_name} is no longer required by policy"
    for argument in _lacking(wanted.kernel_arguments, wants.kernel_arguments):
        yield f"kernel command line parameter '{argument}' is no longer required by policy"
    if wanted.fips and not wants.fips:
        yield "FIPS is no longer required by policy"


def _lacking(wanted: Iterable[str], there: Iterable[str]) -> list[str]:
    """What is wanted and not there, each once."""
    present = set(there)
    return [entry for entry in dict.fromkeys(wanted) if entry not in present]


def _filesystems(has: _Wants, required: Json) -> list[dict[str, Any]]:
    by_mountpoint = {entry["mountpoint"]: dict(entry) for entry in required.get("filesystem", ())}
    return [by_mountpoint[mountpoint] for mountpoint in _lacking(by_mountpoint, has.mountpoints)]


def _services(has: Mapping[str, tuple[str, ...]], wants: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """The states that change: what the policy wants comes in, what it contradicts goes out."""
    on, off = wants["enabled"], (*wants["masked"], *wants["disabled"])
    contradicted = {"enabled": set(off) - set(on), "masked": set(on) - set(off), "disabled": set(on) - set(off)}
    made = {
        state: [
            *(unit for unit in has[state] if unit not in contradicted[state]),
            *_lacking(wants[state], has[state]),
        ]
        for state in SERVICES
    }
    return {state: units for state, units in made.items() if units != list(has[state])}


def _kernel(kernel: Json, has: _Wants, wants: _Wants) -> dict[str, Any]:
    made = dict(kernel)
    if wants.kernel_name:
        made["name"] = wants.kernel_name
    lacking = _lacking(wants.kernel_arguments, has.kernel_arguments)
    if lacking:
        made["append"] = " ".join([*has.kernel_arguments, *lacking])
    return made
