"""Reads openapi.yaml at start: the served document, and the parameters and the body of each operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import yaml

from adapters.files.project_files import OPENAPI
from domain.distribution_names import normalize_distribution_name
from image_builder.http.json_body import encode_json_body
from image_builder.http.parameters import Parameter
from image_builder.http.schemas import Checker, resolve_references

TOML: Final = "application/toml"
CUSTOMIZATIONS: Final = "Customizations"
_JSON: Final = "application/json"
_DISTRIBUTIONS: Final = "Distributions"
_METHODS: Final = frozenset({"get", "post", "put", "delete", "patch"})


@dataclass(frozen=True, slots=True)
class Body:
    """The request body of an operation: JSON that `checker` accepts.

    `required` is False if the body may be absent; `toml` is True if an osbuild blueprint in TOML is allowed too.
    `distributions` are the names that the body's key `distribution` may have; it is empty if there is no such key.
    `has_labels`: the body may have the key `labels`.
    """

    checker: Checker
    required: bool
    toml: bool
    distributions: frozenset[str]
    has_labels: bool

    def accept(self, document: Any) -> Any:
        """Return the document with defaults and without unknown keys, and with the normal name of its distribution.

        Raises the errors of `Checker.accept`.
        """
        return self.checker.accept(self._prepare(document))

    def find_errors(self, document: Any) -> list[tuple[str, str]]:
        """Return path and message of the first errors of the document; none for a valid one."""
        return self.checker.find_errors(self._prepare(document))

    def _prepare(self, document: Any) -> Any:
        if self.distributions and isinstance(document, dict) and isinstance(document.get("distribution"), str):
            name = normalize_distribution_name(document["distribution"], self.distributions)
            document = {**document, "distribution": name}
        return _drop_empty_mode(document)


def _drop_empty_mode(document: Any) -> Any:
    """The document without an empty `partitioning_mode`, which osbuild takes for none."""
    customizations = document.get("customizations") if isinstance(document, dict) else None
    if not isinstance(customizations, dict) or customizations.get("partitioning_mode") != "":
        return document
    others = {name: value for name, value in customizations.items() if name != "partitioning_mode"}
    return {**document, "customizations": others}


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of openapi.yaml.

    `path` is the path template below the base path, such as `/composes/{composeId}`. `produces` holds the media types
    that a client may choose from, the default first; it is empty if there is no choice.
    """

    id: str
    method: str
    path: str
    needs_identity: bool
    path_parameters: tuple[Parameter, ...]
    query_parameters: tuple[Parameter, ...]
    header_parameters: tuple[Parameter, ...]
    body: Body | None
    produces: tuple[str, ...]


def load_checker(schema: str, document: Path = OPENAPI) -> Checker:
    """Load the Checker of the schema with this name from openapi.yaml, for programs that need no Contract."""
    components = yaml.load(document.read_bytes(), Loader=yaml.CSafeLoader)["components"]["schemas"]
    return Checker(components[schema], components)


class Contract:
    """The content of openapi.yaml, adapted to this installation.

    `document` is the adapted document, `encoded` the same as JSON for getOpenapiJson, `etag` the entity tag of that
    JSON, and `operations` its operations by id.
    """

    def __init__(
        self,
        installed: Iterable[str],
        profiles: Iterable[str],
        base_paths: tuple[str, ...],
        identity_header: str,
        document: Path = OPENAPI,
    ) -> None:
        """Read the document, and adapt it to this installation.

        `installed` and `profiles` are the names of the distributions and OpenSCAP profiles in the distribution
        directory; they are added to the values that requests may use. `base_paths` are the base paths of the service,
        in the order of the document's servers. `identity_header` is the name of the header that holds the caller's
        identity.
        """
        self.document: dict[str, Any] = yaml.load(document.read_bytes(), Loader=yaml.CSafeLoader)
        self._components: Mapping[str, Mapping[str, Any]] = self.document["components"]["schemas"]
        for server, base_path in zip(self.document["servers"], base_paths, strict=True):
            server["url"] = base_path
        self.document["components"]["securitySchemes"]["identity"]["name"] = identity_header
        self._allow(_DISTRIBUTIONS, installed)
        self._allow("DistributionProfileItem", profiles)
        self.operations = {operation.id: operation for operation in self._operations()}
        self.encoded = encode_json_body(self.document)
        self.etag = f'"{sha256(self.encoded).hexdigest()}"'

    @property
    def version(self) -> str:
        """The version of the API, which openapi.yaml states."""
        return str(self.document["info"]["version"])

    @property
    def routing_document(self) -> dict[str, Any]:
        """The part of the document that routing needs: paths, methods and operation ids.

        Connexion validates and resolves its document once for each base path, which would take a third of the start-up
        time for the whole document. Requests are validated against the whole document by ContractMiddleware instead.
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
        """Return the Checker of the schema with this name."""
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
        parameters = [self._resolve_parameter(each) for each in (*shared, *specification.get("parameters", []))]
        body = specification.get("requestBody")
        return Operation(
            id=specification["operationId"],
            method=method.upper(),
            path=path,
            needs_identity=specification.get("security", self.document["security"]) != [],
            path_parameters=self._parameters(parameters, "path"),
            query_parameters=self._parameters(parameters, "query"),
            header_parameters=self._parameters(parameters, "header"),
            body=None if body is None else self._body(body),
            produces=_produces(specification["responses"]),
        )

    def _resolve_parameter(self, parameter: Mapping[str, Any]) -> Mapping[str, Any]:
        name = parameter.get("$ref", "").rpartition("/")[2]
        return self.document["components"]["parameters"][name] if name else parameter

    def _parameters(self, parameters: list[Mapping[str, Any]], place: str) -> tuple[Parameter, ...]:
        return tuple(
            Parameter.from_document(each, self._components, self._distributions())
            for each in parameters
            if each["in"] == place
        )

    def _distributions(self) -> frozenset[str]:
        return frozenset(self._components[_DISTRIBUTIONS]["enum"])

    def _body(self, body: Mapping[str, Any]) -> Body:
        content = body["content"]
        schema = content[_JSON]["schema"]
        properties = resolve_references(schema, self._components).get("properties", {})
        allowed = resolve_references(properties.get("distribution", {}), self._components).get("enum", ())
        return Body(
            Checker(schema, self._components),
            required=bool(body.get("required")),
            toml=TOML in content,
            distributions=self._distributions() if self._distributions() == set(allowed) else frozenset(),
            has_labels="labels" in properties,
        )


def _produces(responses: Mapping[str, Any]) -> tuple[str, ...]:
    media_types = tuple(responses.get("200", {}).get("content", ()))
    return media_types if len(media_types) > 1 else ()
