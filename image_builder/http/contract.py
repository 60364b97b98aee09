"""openapi.yaml, read once at start: what is served of it, and what each operation takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from image_builder.http.json_body import json_body
from image_builder.http.parameters import Parameter
from image_builder.http.schemas import Checker

DOCUMENT: Final = Path(__file__).parent.parent.parent / "openapi.yaml"
TOML: Final = "application/toml"
CUSTOMIZATIONS: Final = "Customizations"
_JSON: Final = "application/json"
_METHODS: Final = frozenset({"get", "post", "put", "delete", "patch"})


@dataclass(frozen=True, slots=True)
class Body:
    """What an operation takes as its body: JSON that `checker` accepts; `required` False where it may be absent.

    `toml`: an osbuild blueprint in TOML will do as well.
    """

    checker: Checker
    required: bool
    toml: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the contract; `path` is the template below the base path, as `/composes/{composeId}`."""

    id: str
    method: str
    path: str
    identified: bool
    path_parameters: tuple[Parameter, ...]
    query_parameters: tuple[Parameter, ...]
    header_parameters: tuple[Parameter, ...]
    body: Body | None
    # Media types of its answer, where the caller may choose; the first is the default.
    produces: tuple[str, ...]


def checker_of(schema: str, document: Path = DOCUMENT) -> Checker:
    """What checks documents of one of the contract's schemas, where nothing else of the contract is wanted."""
    components = yaml.load(document.read_bytes(), Loader=yaml.CSafeLoader)["components"]["schemas"]
    return Checker(components[schema], components)


class Contract:
    """The document in force, its operations, and the bytes that are served."""

    def __init__(
        self,
        installed: Iterable[str],
        profiles: Iterable[str],
        base_paths: tuple[str, ...],
        identity_header: str,
        document: Path = DOCUMENT,
    ) -> None:
        """`installed` are the names of the distribution directory: a folder added there is a value allowed here.

        `profiles` are the ids of its OpenSCAP profiles, which are allowed likewise.
        `base_paths` are where the service answers, in the order of the document's servers;
        `identity_header` is the name of the header that says who calls.
        """
        self.document: dict[str, Any] = yaml.load(document.read_bytes(), Loader=yaml.CSafeLoader)
        self._components: Mapping[str, Mapping[str, Any]] = self.document["components"]["schemas"]
        for server, base_path in zip(self.document["servers"], base_paths, strict=True):
            server["url"] = base_path
        self.document["components"]["securitySchemes"]["identity"]["name"] = identity_header
        self._allow("Distributions", installed)
        self._allow("DistributionProfileItem", profiles)
        self.operations = {operation.id: operation for operation in self._operations()}
        self.served = json_body(self.document)

    @property
    def version(self) -> str:
        """The contract's version."""
        return str(self.document["info"]["version"])

    @property
    def outline(self) -> dict[str, Any]:
        """The document as far as routing needs it: paths, methods, names of operations.

        Connexion checks and resolves what it gets for each base path anew, which takes a third of a start for the whole
        document; what clients send is checked here, from the whole.
        """
        paths: dict[str, dict[str, Any]] = {}
        for operation in self.operations.values():
            paths.setdefault(operation.path, {})[operation.method.lower()] = {
                "operationId": operation.id,
                "parameters": [
                    {"in": "path", "name": parameter.name, "required": True, "schema": {"type": "string"}}
                    for parameter in operation.path_parameters
                ],
                "responses": {"default": {"description": operation.id}},
            }
        return {"openapi": self.document["openapi"], "info": self.document["info"], "paths": paths}

    def checker(self, schema: str) -> Checker:
        """What checks documents of one of the contract's schemas, named in its components."""
        return Checker(self._components[schema], self._components)

    def _allow(self, schema: str, names: Iterable[str]) -> None:
        known = self.document["components"]["schemas"][schema]
        known["enum"] = [*known["enum"], *sorted(set(names) - set(known["enum"]))]

    def _operations(self) -> Iterable[Operation]:
        for path, item in self.document["paths"].items():
            for method in _METHODS & item.keys():
                yield self._operation(method, path, item[method], item.get("parameters", []))

    def _operation(
        self, method: str, path: str, specification: Mapping[str, Any], shared: list[Mapping[str, Any]]
    ) -> Operation:
        parameters = [self._followed(each) for each in (*shared, *specification.get("parameters", []))]
        body = specification.get("requestBody")
        return Operation(
            id=specification["operationId"],
            method=method.upper(),
            path=path,
            identified=specification.get("security", self.document["security"]) != [],
            path_parameters=self._parameters(parameters, "path"),
            query_parameters=self._parameters(parameters, "query"),
            header_parameters=self._parameters(parameters, "header"),
            body=None if body is None else self._body(body),
            produces=_produces(specification["responses"]),
        )

    def _followed(self, parameter: Mapping[str, Any]) -> Mapping[str, Any]:
        name = parameter.get("$ref", "").rpartition("/")[2]
        return self.document["components"]["parameters"][name] if name else parameter

    def _parameters(self, parameters: list[Mapping[str, Any]], place: str) -> tuple[Parameter, ...]:
        return tuple(Parameter.of(each, self._components) for each in parameters if each["in"] == place)

    def _body(self, body: Mapping[str, Any]) -> Body:
        content = body["content"]
        schema = content[_JSON]["schema"]
        return Body(Checker(schema, self._components), bool(body.get("required")), toml=TOML in content)


def _produces(responses: Mapping[str, Any]) -> tuple[str, ...]:
    media_types = tuple(responses.get("200", {}).get("content", ()))
    return media_types if len(media_types) > 1 else ()
