"""Parses path, query and header parameters by their schemas in openapi.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes
from uuid import UUID

from domain.distribution_names import normalize_distribution_name
from domain.errors import InvalidRequestError
from domain.similar_names import describe_choices
from domain.uuids import is_uuid
from image_builder.http.schemas import resolve_references

# Parameters of a query string. 64 KiB have room for six times as many, which would take the event loop 20 ms.
MAX_PARAMETERS: Final = 5_000
# The names of parameters that hold the name of a distribution.
_DISTRIBUTION_PARAMETERS: Final = frozenset({"distribution", "distro"})
_INTEGER: Final = re.compile(r"-?[0-9]{1,30}", re.ASCII)
_BOOLEANS: Final = {"true": True, "false": False}
# The boundary between two words of a camelCase name.
_WORD_BOUNDARY: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation.

    `argument` is the name of the handler's argument. `schema` and `items` have no references; `items` is the schema of
    each value if the parameter may be repeated, else None. `distributions` are the known names of distributions if the
    parameter holds such a name; otherwise it is empty. `default` is the value for requests without the parameter, if it
    is neither required nor may be repeated.
    """

    name: str
    argument: str
    required: bool
    schema: Mapping[str, Any]
    items: Mapping[str, Any] | None
    distributions: frozenset[str] = frozenset()
    default: Any = None

    @classmethod
    def from_document(
        cls,
        specification: Mapping[str, Any],
        components: Mapping[str, Mapping[str, Any]],
        distributions: frozenset[str] = frozenset(),
    ) -> Parameter:
        """Create a parameter from a parameter object of openapi.yaml; `distributions` are all names of distributions.

        The name of its argument is its own name in lower case with underscores.
        """
        schema = resolve_references(specification["schema"], components)
        return cls(
            name=specification["name"],
            argument=_WORD_BOUNDARY.sub("_", specification["name"]).lower().replace("-", "_"),
            required=bool(specification.get("required")),
            schema=schema,
            items=resolve_references(schema["items"], components) if schema.get("type") == "array" else None,
            distributions=distributions if specification["name"] in _DISTRIBUTION_PARAMETERS else frozenset(),
            default=schema.get("default"),
        )

    def parse(self, texts: Sequence[str]) -> Any:
        """Return the typed value for the texts that the request has for this parameter.

        Raises InvalidRequestError if a value is missing, repeated or not allowed.
        """
        if not texts:
            if self.required:
                raise InvalidRequestError(f"{self.name}: expected a value")
            return [] if self.items is not None else self.default
        if self.items is not None:
            most = self.schema.get("maxItems")
            if most is not None and len(texts) > most:
                raise InvalidRequestError(f"{self.name}: expected at most {most} values")
            return [self._parse_text(text, self.items) for text in texts]
        if len(texts) > 1:
            raise InvalidRequestError(f"{self.name}: expected one value")
        return self._parse_text(texts[0], self.schema)

    def _parse_text(self, text: str, schema: Mapping[str, Any]) -> Any:
        longest = schema.get("maxLength")
        if longest is not None and len(text) > longest:
            raise InvalidRequestError(f"{self.name}: expected at most {longest} characters")
        if len(text) < schema.get("minLength", 0):
            raise InvalidRequestError(f"{self.name}: expected a value")
        if "\0" in text:
            raise InvalidRequestError(f"{self.name}: holds a NUL character")
        if self.distributions:
            text = normalize_distribution_name(text, self.distributions)
        return self._parse_typed(text, schema)

    def _parse_typed(self, text: str, schema: Mapping[str, Any]) -> Any:
        if schema.get("type") == "integer":
            return self._parse_integer(text, schema)
        if schema.get("type") == "boolean":
            if text not in _BOOLEANS:
                raise InvalidRequestError(f"{self.name}: expected true or false")
            return _BOOLEANS[text]
        if schema.get("format") == "uuid":
            if not is_uuid(text):
                raise InvalidRequestError(f"{self.name}: expected a UUID")
            return UUID(text)
        if "pattern" in schema and not re.fullmatch(schema["pattern"], text):
            raise InvalidRequestError(f"{self.name}: expected {schema.get('x-expected', schema['pattern'])}")
        if "enum" in schema and text not in schema["enum"]:
            raise InvalidRequestError(f"{self.name}: expected {describe_choices(text, schema['enum'])}")
        return text

    def _parse_integer(self, text: str, schema: Mapping[str, Any]) -> int:
        lowest, highest = schema.get("minimum"), schema.get("maximum")
        number = int(text) if _INTEGER.fullmatch(text) else None
        if number is None or (lowest is not None and number < lowest) or (highest is not None and number > highest):
            limits = [
                f"from {lowest}" if lowest is not None else "",
                f"to {highest}" if highest is not None else "",
            ]
            raise InvalidRequestError(" ".join([f"{self.name}: expected a whole number", *filter(None, limits)]))
        return number


def parse_all(parameters: Sequence[Parameter], texts: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the typed values of a request's parameters by argument; `texts` are those of the request by name.

    Raises InvalidRequestError as `Parameter.parse` does.
    """
    return {
        # Most requests have few of the parameters.
        each.argument: each.default
        if each.name not in texts and not each.required and each.items is None
        else each.parse(texts.get(each.name, ()))
        for each in parameters
    }


def parse_query(query: bytes) -> dict[str, list[str]]:
    """Return the values of a query string by name. A comma does not separate values.

    Raises InvalidRequestError if a name or a value is not UTF-8, and for more than MAX_PARAMETERS parameters.
    """
    if query.count(b"&") >= MAX_PARAMETERS:
        raise InvalidRequestError(f"the query string has more than {MAX_PARAMETERS} parameters")
    texts: dict[str, list[str]] = {}
    for pair in filter(None, query.split(b"&")):
        name, _, text = pair.partition(b"=")
        texts.setdefault(_decode(name), []).append(_decode(text))
    return texts


def _decode(part: bytes) -> str:
    try:
        return unquote_to_bytes(part.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise InvalidRequestError("the query string is not UTF-8") from None
