"""Processes templates of deploy/openshift like `oc process`, and checks the objects by their schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

PROJECT = Path(__file__).parent.parent.parent
TEMPLATES = PROJECT / "deploy" / "openshift"
_SCHEMAS = PROJECT / "tests" / "deploy" / "objects.schema.yaml"
_REFERENCE = re.compile(r"\$\{(\w+)\}")
_WHOLE_REFERENCE = re.compile(r"\$\{\{(\w+)\}\}")

Object = Mapping[str, Any]


@cache
def template(name: str) -> Object:
    """A template as it is in its file."""
    document: Object = yaml.load((TEMPLATES / f"{name}.yaml").read_bytes(), yaml.CSafeLoader)
    return document


def process(name: str, **parameters: str) -> list[Object]:
    """The objects of a template with these parameters.

    Raises ValueError for a parameter that is unknown, missing, or used without a declaration.
    """
    document = template(name)
    declared = {parameter["name"]: parameter for parameter in document.get("parameters", ())}
    unknown = parameters.keys() - declared.keys()
    if unknown:
        raise ValueError(f"no such parameters: {sorted(unknown)}")
    values = {key: parameters.get(key, parameter.get("value", "")) for key, parameter in declared.items()}
    lacking = sorted(key for key, parameter in declared.items() if parameter.get("required") and not values[key])
    if lacking:
        raise ValueError(f"parameters are needed: {lacking}")
    return [_substituted(each, values) for each in document["objects"]]


def referred_to(value: Any) -> set[str]:
    """The parameters to which a part of a template refers."""
    if isinstance(value, Mapping):
        return set().union(*(referred_to(each) for pair in value.items() for each in pair), set())
    if isinstance(value, list):
        return set().union(*map(referred_to, value), set())
    return set(re.findall(r"\$\{\{?(\w+)\}", value)) if isinstance(value, str) else set()


def faults(document: Object) -> list[str]:
    """The parts of an object that a cluster would refuse or drop; empty for a valid object."""
    kind = f"{document['apiVersion']} {document['kind']}"
    schemas = _schemas()
    if kind not in schemas["$defs"]:
        return [f"no schema for {kind}"]
    pointer = kind.replace("~", "~0").replace("/", "~1").replace(" ", "%20")
    checker = jsonschema_rs.validator_for({**schemas, "$ref": f"#/$defs/{pointer}"})
    return [f"{'.'.join(map(str, error.instance_path))}: {error.message}" for error in checker.iter_errors(document)]


@cache
def _schemas() -> Mapping[str, Any]:
    document: Mapping[str, Any] = yaml.load(_SCHEMAS.read_bytes(), yaml.CSafeLoader)
    return document


def the(objects: list[Object], kind: str, name: str | None = None) -> Any:
    """The only object of this kind, or the one with this name."""
    found = [each for each in objects if each["kind"] == kind and name in {None, each["metadata"]["name"]}]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def environment(container: Object) -> dict[str, Any]:
    """A container's variables by name: their texts, or the sources of their values."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container.get("env", ())}


def _substituted(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {_substituted(key, values): _substituted(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [_substituted(each, values) for each in value]
    if not isinstance(value, str):
        return value
    whole = _WHOLE_REFERENCE.fullmatch(value)
    if whole:
        return yaml.safe_load(values[whole[1]])
    try:
        return _REFERENCE.sub(lambda found: values[found[1]], value)
    except KeyError as error:
        raise ValueError(f"{value!r} refers to {error}, which is no parameter") from None
