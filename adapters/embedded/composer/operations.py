"""The operations of the stand-in composer, which answer like the real composer unless the behaviour says otherwise."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import jsonschema_rs
import orjson
from starlette.requests import Request
from starlette.responses import Response

from adapters.embedded.composer import artifacts, build_errors, distributions, packages, progress
from adapters.embedded.composer.answers import RefusedError, reference
from adapters.embedded.composer.behaviour import Refusal
from adapters.embedded.composer.plan import create_plan, list_packages
from adapters.embedded.composer.schema import (
    compose_request_schema,
    compose_request_validator,
    depsolve_validator,
    search_validator,
)
from adapters.embedded.composer.state import Compose, Composes
from adapters.embedded.composer.steering import ComposerSteering
from adapters.embedded.stand_in.answers import answer
from adapters.embedded.stand_in.serving import cut_off
from domain.uuids import is_uuid


class Operations:
    """The operations' handlers; each may raise RefusedError."""

    def __init__(self, composes: Composes, steering: ComposerSteering, seconds: float) -> None:
        self._composes = composes
        self._steering = steering
        self._seconds = seconds

    async def get_openapi(self, _: Request) -> Response:
        """An OpenAPI document that names the stand-in."""
        status = self._steering.behaviour.openapi_status
        if status != 200:
            raise RefusedError(status, str(status), "no openapi document, as the stand-in composer was told")
        return answer(
            {
                "openapi": "3.0.1",
                "info": {
                    "title": "stand-in composer: the composer's cloud API, building nothing",
                    "version": "2",
                },
                "paths": {},
                "components": {"schemas": {"ComposeRequest": compose_request_schema()}},
            }
        )

    async def post_compose(self, request: Request) -> Response:
        """Queue a compose."""
        body = await request.body()
        behaviour = self._steering.behaviour
        if behaviour.post_drop == "before":
            return await cut_off(request)
        if behaviour.post_raw:
            return behaviour.post_raw.response()
        if behaviour.post_error:
            raise _refused(behaviour.post_error)
        document = _read(request, body, compose_request_validator())
        plan = create_plan(document)
        compose = Compose(str(uuid4()), time.time(), plan, orjson.dumps(_add_defaults(document)))
        self._composes.add(compose)
        if behaviour.post_drop == "after":
            return await cut_off(request)
        await self._steering.pause(behaviour.post_latency)
        return answer(reference("ComposeId", behaviour.post_id or compose.id, "/compose"), 201)

    async def get_composes(self, _: Request) -> Response:
        """The status of all composes, on one page as in the real composer."""
        found = self._composes.all()
        counted = {"page": 0, "size": len(found), "total": len(found)}
        return answer({"kind": "ComposeList", **counted, "items": [self._status(compose) for compose in found]})

    async def get_compose(self, request: Request) -> Response:
        """The status of one compose."""
        if raw := self._steering.behaviour.status_raw:
            return raw.response()
        return answer(self._status(self._find(request)))

    async def get_metadata(self, request: Request) -> Response:
        """The request of a compose, and the packages of its image when it is built."""
        compose = self._find(request)
        body = {
            **reference("ComposeMetadata", compose.id, f"/composes/{compose.id}/metadata"),
            "request": orjson.Fragment(compose.request),
        }
        if self._image_status(compose)["status"] == "success":
            body |= _describe_image(compose)
        return answer(body)

    async def get_logs(self, request: Request) -> Response:
        """What osbuild said, once the build has ended."""
        compose = self._find(request)
        image = self._image_status(compose)
        return answer(
            {
                **reference("ComposeLogs", compose.id, f"/composes/{compose.id}/logs"),
                "image_builds": artifacts.image_builds(orjson.loads(compose.request), image),
            }
        )

    async def get_sboms(self, request: Request) -> Response:
        """The bills of materials of a built image."""
        compose = self._find(request)
        is_built = self._image_status(compose)["status"] == "success"
        return answer(
            {
                **reference("ComposeSBOMs", compose.id, f"/composes/{compose.id}/sboms"),
                "items": [artifacts.sboms(_describe_image(compose)["packages"])] if is_built else [],
            }
        )

    async def delete_compose(self, request: Request) -> Response:
        """Cancel and delete a compose."""
        behaviour = self._steering.behaviour
        if behaviour.delete_drop == "before":
            return await cut_off(request)
        if behaviour.delete_error:
            raise _refused(behaviour.delete_error)
        compose = self._find(request)
        self._composes.remove(compose.id)
        self._steering.deleted.append(compose.id)
        if behaviour.delete_drop == "after":
            return await cut_off(request)
        await self._steering.pause(behaviour.delete_latency)
        return answer(reference("ComposeDeleteStatus", compose.id, f"/composes/{compose.id}"))

    async def get_distributions(self, _: Request) -> Response:
        """The repositories of all distributions."""
        return answer(distributions.list_repositories())

    async def get_distribution(self, request: Request) -> Response:
        """One distribution's architectures and image types."""
        name = request.path_params["distribution"]
        if not distributions.is_known(name):
            raise RefusedError(404, "4", "Unsupported distribution", name)
        query = request.query_params
        found = distributions.details(name, query.getlist("architecture"), query.getlist("image_type"))
        return answer({**reference("DistributionDetails", name, f"/distributions/{name}"), **found})

    async def search_packages(self, request: Request) -> Response:
        """The packages that match these names or globs."""
        wanted = _read(request, await request.body(), search_validator())
        if not distributions.is_known(wanted["distribution"]):
            raise RefusedError(400, "4", "Unsupported distribution", wanted["distribution"])
        found = packages.search(wanted["packages"], wanted["distribution"], wanted["architecture"])
        return answer({"packages": found})

    async def resolve_packages(self, request: Request) -> Response:
        """The packages of an image, or the error of the package manager."""
        body = await request.body()  # before the pause, in which the client may disconnect
        await self._steering.pause(self._steering.behaviour.depsolve_latency)
        wanted = _read(request, body, depsolve_validator())
        if not distributions.is_known(wanted["distribution"]):
            raise RefusedError(400, "4", "Unsupported distribution", wanted["distribution"])
        await self._steering.hang_while(lambda: self._steering.behaviour.depsolve_hang)
        names = list_packages(wanted)
        error = build_errors.find_resolution_error(names) or packages.describe_missing(names)
        if error is not None:
            raise RefusedError(400, "10", "Failed to depsolve packages", error)
        return answer({"packages": packages.list_installed(wanted["distribution"], wanted["architecture"], names)})

    def _find(self, request: Request) -> Compose:
        text = request.path_params["id"]
        compose_id = _uuid(text)
        if compose_id is None:
            raise RefusedError(400, "14", "Invalid format for compose id", text)
        compose = None if self._steering.behaviour.forget else self._composes.find(compose_id)
        if compose is None:
            raise RefusedError(404, "15", "Compose with given id not found", compose_id)
        return compose

    def _status(self, compose: Compose) -> dict[str, Any]:
        image = self._image_status(compose)
        return {
            **reference("ComposeStatus", compose.id, f"/composes/{compose.id}"),
            "status": self._steering.behaviour.status or progress.status(image),
            "image_status": image,
            "image_statuses": [image],
        }

    def _image_status(self, compose: Compose) -> dict[str, Any]:
        fixed_status = self._steering.behaviour.image_status
        elapsed = time.time() - compose.created_at
        return (
            fixed_status
            if fixed_status is not None
            else progress.image_status(compose.plan, compose.id, compose.created_at, elapsed, self._seconds)
        )


def _read(request: Request, body: bytes, validator: jsonschema_rs.Validator) -> dict[str, Any]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise RefusedError(415, "3", "Only 'application/json' content is supported", media_type)
    try:
        document: dict[str, Any] = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, "20", "Malformed json, unable to parse body", str(error)) from None
    if not validator.is_valid(document):
        wrong = next(iter(validator.iter_errors(document)))
        where = "/".join(str(step) for step in wrong.instance_path)
        raise RefusedError(400, "30", "Request could not be validated", f"/{where}: {wrong.message}")
    return document


def _add_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """The request as the real composer stores it, with the defaults of its API added."""
    for image in (document.get("image_request"), *document.get("image_requests", ())):
        if image is not None:
            image.setdefault("size", 0)
            if "subscription_id" in (options := image.get("upload_options") or {}):
                options.setdefault("hyper_v_generation", "V1")
    for holder in (document, document.get("blueprint") or {}):
        if holder.get("customizations") is not None:
            holder["customizations"].setdefault("partitioning_mode", "auto-lvm")
    return document


def _describe_image(compose: Compose) -> dict[str, Any]:
    request = orjson.loads(compose.request)
    image = request.get("image_request") or request["image_requests"][0]
    requested = list_packages(request)
    built: dict[str, Any] = {
        "packages": packages.list_installed(request.get("distribution", ""), image["architecture"], requested)
    }
    if compose.plan.image_type.endswith("commit"):
        built["ostree_commit"] = packages.fake_checksum(compose.id)
    return built


def _uuid(text: str) -> str | None:
    return text.lower() if is_uuid(text) else None


def _refused(refusal: Refusal) -> RefusedError:
    return RefusedError(refusal.status, refusal.id, refusal.reason, refusal.details)
