"""The behaviour of the stand-in platform for each back-end, and the document that sets it (PUT /stand-in/behaviour)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from marshmallow import INCLUDE, Schema, ValidationError, post_load, validate, validates_schema
from marshmallow import fields as of

from adapters.embedded.platform.answers import BACK_ENDS
from adapters.embedded.stand_in.behaviour import HTTP_STATUS, NOT_NEGATIVE, RawAnswer, RawAnswerSchema, merge_changes

# Keys that are on or off: `require_token` of recommendations, `hide_origin` of content sources.
SWITCHES: Final = ("require_token", "hide_origin")
ONE_OR_MORE: Final = validate.Range(1)


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of a back-end; none by default.

    `only` names the operations that fail, such as `GET /policies/{id}`; `times` is the number of calls that still fail.
    """

    latency: float = 0.0
    raw: RawAnswer | None = None
    status: int | None = None
    hang: bool = False
    drop: str | None = None
    only: tuple[str, ...] | None = None
    times: int | None = None

    def merged(self, changes: Mapping[str, Any] | None) -> Faults:
        """A copy of these faults with changed keys; a null resets a key, and None resets all of them."""
        return NO_FAULTS if changes is None else merge_changes(self, NO_FAULTS, changes)

    def document(self) -> dict[str, Any]:
        """The faults as a document."""
        return asdict(self)


NO_FAULTS: Final = Faults()


class FaultsSchema(Schema):
    """The document with the faults of a back-end; each key may be absent or null."""

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
        """The changes in the form that `Faults` takes."""
        return data if data.get("only") is None else {**data, "only": tuple(data["only"])}


class _Known(Schema):
    class Meta:
        """Passes unknown keys on unchanged."""

        unknown = INCLUDE


class RepositorySchema(_Known):
    """A repository. Without `uuid` its id is computed from `url`; without snapshots its `first_snapshot` is null."""

    uuid = of.UUID()
    url = of.String()
    first_snapshot = of.AwareDateTime(allow_none=True)

    @validates_schema
    def has_an_id(self, data: Mapping[str, Any], **_: object) -> None:
        """Require an id or a URL from which one can be computed."""
        if not (data.get("uuid") or data.get("url")):
            raise ValidationError("Expected uuid or url.", "uuid")


class TemplateSchema(_Known):
    """A template. Without `snapshots`, they are computed from its `repository_uuids` and `date`."""

    uuid = of.UUID(required=True)
    repository_uuids = of.List(of.UUID())
    date = of.AwareDateTime()


class PolicySchema(_Known):
    """A policy. The minor versions `minors` have a tailoring; `json` and `toml` are its files, null if empty."""

    id = of.UUID(required=True)
    os_major_version = of.Integer()
    ref_id = of.String()
    minors = of.List(of.Integer())
    json = of.String(allow_none=True)
    toml = of.String(allow_none=True)


class BehaviourSchema(Schema):
    """The document: the faults of each back-end, and documents to add to the sample data."""

    class Meta:
        """Refuses unknown keys."""

        include: Final = {name: of.Nested(FaultsSchema, allow_none=True) for name in BACK_ENDS}

    require_token = of.Boolean()
    hide_origin = of.Boolean()
    repositories = of.List(of.Nested(RepositorySchema))
    templates = of.List(of.Nested(TemplateSchema))
    policies = of.List(of.Nested(PolicySchema))
    sources = of.Dict(keys=of.String(validate=validate.Regexp(r"\d+\Z")), values=of.Dict(allow_none=True))


def check(document: object) -> dict[str, Any]:
    """Validate a document and return its changes: faults in the form that `Faults.merged` takes, other keys unchanged.

    Raises marshmallow's ValidationError, which names all invalid keys.
    """
    loaded: dict[str, Any] = BehaviourSchema().load(document)  # type: ignore[arg-type]  # the schema refuses a document that is no object
    given = document if isinstance(document, dict) else {}
    return {key: value if key in BACK_ENDS or key in SWITCHES else given[key] for key, value in loaded.items()}
