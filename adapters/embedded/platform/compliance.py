"""Compliance: policies and their tailorings."""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from starlette.requests import Request
from starlette.responses import Response

from adapters.embedded.platform.answers import RefusedError, json_object, org_id
from adapters.embedded.platform.state import DocumentStore
from adapters.embedded.stand_in.answers import answer

FILTER: Final = re.compile(r"\s*os_minor_version\s*=\s*\"?(\d+)\"?\s*")


class Compliance:
    """The operations of compliance."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def get_policy(self, request: Request) -> Response:
        """A policy."""
        policy = self._policy(request)
        shown = {key: policy.get(key) for key in ("id", "title", "ref_id", "os_major_version")}
        return answer({"data": {**shown, "type": "policy"}})

    async def list_tailorings(self, request: Request) -> Response:
        """The policy's tailorings, or those of one minor version."""
        policy = self._policy(request)
        minors = sorted(policy.get("minors", []))
        if condition := request.query_params.get("filter"):
            match = FILTER.fullmatch(condition)
            if match is None:
                raise RefusedError(422, f"Invalid parameter: filter {condition!r}")
            minors = [minor for minor in minors if minor == int(match[1])]
        data = [_tailoring(policy, minor) for minor in minors]
        return answer({"data": data, "meta": {"total": len(data), "limit": 10, "offset": 0}})

    async def post_tailoring(self, request: Request) -> Response:
        """Create a tailoring for a minor version."""
        body = await json_object(request)
        policy = self._policy(request)  # read after the body: other requests may change it in the meantime
        minor, minors = body.get("os_minor_version"), policy.get("minors", [])
        if isinstance(minor, bool) or not isinstance(minor, int) or minor < 0:
            raise RefusedError(422, "Invalid parameter: os_minor_version")
        if minor in minors:
            raise RefusedError(406, "Os minor version has already been taken")
        self._store.add({"policies": [{"id": policy["id"], "minors": [*minors, minor]}]})
        return answer({"data": _tailoring(policy, minor)}, 201)

    async def get_tailoring_json(self, request: Request) -> Response:
        """The tailoring in the JSON format of OpenSCAP."""
        return self._file(request, "json", "application/json")

    async def get_tailoring_toml(self, request: Request) -> Response:
        """The tailoring as a blueprint."""
        return self._file(request, "toml", "application/toml")

    def _file(self, request: Request, kind: str, media_type: str) -> Response:
        policy = self._policy(request)
        minor = request.path_params["minor"]
        if minor not in map(str, policy.get("minors", [])):
            raise RefusedError(404, f"V2::Tailoring not found with ID {minor}")
        text = policy.get(kind)
        return Response(status_code=204) if text is None else Response(text, media_type=media_type)

    def _policy(self, request: Request) -> dict[str, Any]:
        org_id(request)
        policy_id = request.path_params["id"]
        policy = self._store.find("policies", policy_id.lower())
        if policy is None:
            raise RefusedError(404, f"V2::Policy not found with ID {policy_id}")
        return policy


def _tailoring(policy: dict[str, Any], minor: int) -> dict[str, Any]:
    return {
        "id": str(uuid5(NAMESPACE_URL, f"{policy['id']}/{minor}")),
        "type": "tailoring",
        "profile_id": policy.get("ref_id"),
        "os_major_version": policy.get("os_major_version"),
        "os_minor_version": minor,
        "value_overrides": {},
    }
