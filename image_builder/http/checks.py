"""The controller of checks (openapi.yaml, operations checkCompose and checkBlueprint)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final
from uuid import UUID

import orjson

from domain.compose.problems import Problem, ProblemCode, create_error
from domain.identity import Identity
from domain.quota import Allowance
from domain.texts import MOST_LISTED
from image_builder.http.answers import Answer, json_answer
from image_builder.http.call import Lane, Route
from image_builder.http.composes import client_id_of
from image_builder.http.contract import Body
from image_builder.telemetry.secrets import MASK, mask_fields, mask_secrets
from image_builder.usecases.check import CheckComposes, CheckedImage, CheckResult

_PACKAGE_KEYS: Final = ("name", "epoch", "version", "release", "arch")


@dataclass(frozen=True, slots=True)
class ChecksController:
    """Operations that check a request without a build; `blueprint_body` is the body of checkBlueprint."""

    check: CheckComposes
    blueprint_body: Body

    def routes(self) -> Mapping[str, Route]:
        """The handlers of these operations, by operation id."""
        return {
            "checkCompose": Route(self.check_request, Lane.WAITING, validates_body=True),
            "checkBlueprint": Route(self.check_blueprint, Lane.WAITING, validates_body=True),
        }

    def check_request(self, identity: Identity, body: dict[str, Any], explain: bool | None) -> Answer:
        """Handle POST /compose/check."""
        return _answer(self.check(identity, [body]), explain=bool(explain))

    def check_blueprint(
        self,
        identity: Identity,
        id: UUID,  # noqa: A002 - its name in openapi.yaml
        body: dict[str, Any],
        x_image_builder_ui: str | None,
        explain: bool | None,
    ) -> Answer:
        """Handle POST /blueprints/{id}/check. With errors in the body, all images are checked, without labels."""
        errors = self.blueprint_body.find_errors(body)
        body = {} if errors else self.blueprint_body.accept(body)
        result = self.check.of_blueprint(
            identity, id, client_id_of(x_image_builder_ui), body.get("image_types"), body.get("labels") or {}
        )
        problems = (create_error(path, message, ProblemCode.INVALID_VALUE) for path, message in errors)
        return _answer(replace(result, problems=(*problems, *result.problems)), explain=bool(explain))


def _answer(result: CheckResult, *, explain: bool) -> Answer:
    return json_answer(
        {
            "valid": not result.errors,
            "problems": _problems(result.problems),
            "problems_total": len(result.problems),
            "images": [_image(image, explain=explain) for image in result.images],
            "quota": _quota(result.quota),
        }
    )


def _problems(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    return [asdict(each) for each in problems[:MOST_LISTED]]


def _image(image: CheckedImage, *, explain: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {"image_type": image.image_type, "architecture": image.architecture}
    if image.packages is not None:
        data = [{key: each[key] for key in _PACKAGE_KEYS if key in each} for each in image.packages]
        answer["packages"] = {"count": len(data), "data": data}
    answer["customizations"] = [asdict(each) for each in image.customizations]
    if explain and image.composer_request is not None:
        answer["composer_request"] = _mask(image.composer_request)
    return answer


def _mask(request: Mapping[str, Any]) -> Any:
    """Return the composer's request without secrets: fields with secret names, further fields, and parts of texts."""
    masked = mask_fields(request)
    for holder in (masked, masked.get("blueprint") or {}):
        _mask_further(holder.get("customizations") or {})
    return orjson.loads(mask_secrets(orjson.dumps(masked)))


def _mask_further(customizations: dict[str, Any]) -> None:
    """Mask fields of the composer's customizations that hold secrets although their names do not say so.

    Files and Ignition configurations may hold keys and hashes. Blueprints do not show their SSH keys.
    """
    holders = [(file, "data") for file in customizations.get("files") or ()]
    holders += [(user, "key") for name in ("users", "user") for user in customizations.get(name) or ()]
    holders.append(((customizations.get("ignition") or {}).get("embedded") or {}, "config"))
    for holder, name in holders:
        if name in holder:
            holder[name] = MASK


def _quota(quota: Allowance | None) -> dict[str, Any]:
    return {} if quota is None else {"limit": quota.limit, "remaining": quota.remaining}
