"""How the stand-ins can be told to misbehave, each back-end by itself, and to know more: PUT /stand-in/behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from marshmallow import INCLUDE, Schema, ValidationError, post_load, validate, validates_schema
from marshmallow import fields as of

from adapters.embedded.platform.answers import BACK_ENDS
from adapters.embedded.stand_in.behaviour import HTTP_STATUS, NOT_NEGATIVE, RawAnswer, RawAnswerSchema, changed

# What is on or off: `require_token` of recommendations, `hide_origin` of content sources.
SWITCHES: Final = ("require_token", "hide_origin")
ONE_OR_MORE: Final = validate.Range(1)


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with a back-end; by default nothing is.

    `only` names the operations that fail, such as `GET /policies/{id}`; `times` is how many more calls fail.
    """

    latency: float = 0.0
    raw: RawAnswer | None = None
    status: int | None = None
    hang: bool = False
    drop: str | None = None
    only: tuple[str, ...] | None = None
    times: int | None = None

    def merged(self, changes: Mapping[str, Any] | None) -> Faults:
        """These faults with the keys given changed; a null resets a key, None all of them."""
        return NO_FAULTS if changes is None else changed(self, NO_FAULTS, changes)

    def document(self) -> dict[str, Any]:
        """The faults as a document."""
        return asdict(self)


NO_FAULTS: Final = Faults()


class FaultsSchema(Schema):
    """Every key may be left out, or be null."""

    class Meta:
        """`only` is also a schema's own attribute."""

        include: Final = {"only": of.List(of.String(), allow_none=True)}

    latency = of.Float(allow_none=True, validate=NOT_NEGATIVE)
    raw = of.Nested(RawAnswerSchema, allow_none=True)
    status = of.Integer(allow_none=True, validate=HTTP_STATUS)
    hang = of.Boolean(allow_none=True)
    drop = of.String(allow_none=True, validate=validate.OneOf(["before", "after"]))
    times = of.Integer(allow_none=True, validate=ONE_OR_MORE)

    @post_load
    def build(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        """The changes, ready for `Faults`."""
        return data if data.get("only") is None else {**data, "only": tuple(data["only"])}


class _Known(Schema):
    class Meta:
        """What is not named here is handed on as it is."""

        unknown = INCLUDE


class RepositorySchema(_Known):
    """A repository: without `uuid` its id is made of its `url`; `first_snapshot` null means it has no snapshot."""

    uuid = of.UUID()
    url = of.String()
    first_snapshot = of.AwareDateTime(allow_none=True)

    @validates_schema
    def has_an_id(self, data: Mapping[str, Any], **_: object) -> None:
        """An id, or what makes one."""
        if not (data.get("uuid") or data.get("url")):
            raise ValidationError("Expected uuid or url.", "uuid")


class TemplateSchema(_Known):
    """A template: its `snapshots` are made of its `repository_uuids` and `date` unless they are given."""

    uuid = of.UUID(required=True)
    repository_uuids = of.List(of.UUID())
    date = of.AwareDateTime()


class PolicySchema(_Known):
    """A policy: `minors` have a tailoring; `json` and `toml` are the text of its files, null for an empty one."""

    id = of.UUID(required=True)
    os_major_version = of.Integer()
    ref_id = of.String()
    minors = of.List(of.Integer())
    json = of.String(allow_none=True)
    toml = of.String(allow_none=True)


class BehaviourSchema(Schema):
    """The document: faults per back-end, and what each knows beside what it has known from the start."""

    class Meta:
        """A key that is no key is a mistake."""

        include: Final = {name: of.Nested(FaultsSchema, allow_none=True) for name in BACK_ENDS}

    require_token = of.Boolean()
    hide_origin = of.Boolean()
    repositories = of.List(of.Nested(RepositorySchema))
    templates = of.List(of.Nested(TemplateSchema))
    policies = of.List(of.Nested(PolicySchema))
    sources = of.Dict(keys=of.String(validate=validate.Regexp(r"\d+\Z")), values=of.Dict(allow_none=True))


def check(document: object) -> dict[str, Any]:
    """The changes that a document asks for, faults ready for `Faults.merged`, what is known as it was given.

    Raises marshmallow's ValidationError, which names every key that does not fit.
    """
    loaded: dict[str, Any] = BehaviourSchema().load(document)  # type: ignore[arg-type]  # it refuses what is no object
    given = document if isinstance(document, dict) else {}
    return {key: value if key in BACK_ENDS or key in SWITCHES else given[key] for key, value in loaded.items()}
