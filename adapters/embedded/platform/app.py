"""The routes of the stand-in platform: the API of each back-end, and the routes that control the stand-ins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.embedded.platform import answers, behaviour, sample_data
from adapters.embedded.platform.answers import RefusedError, refusal
from adapters.embedded.platform.behaviour import Faults
from adapters.embedded.platform.compliance import Compliance
from adapters.embedded.platform.content_sources import ContentSources
from adapters.embedded.platform.small_services import Provisioning, Recommendations
from adapters.embedded.platform.state import DocumentStore
from adapters.embedded.platform.steering import PlatformSteering
from adapters.embedded.stand_in.answers import answer
from adapters.embedded.stand_in.application import Handler, create_application
from adapters.embedded.stand_in.serving import cut_off

BASES: Final = {
    answers.CONTENT_SOURCES: sample_data.CONTENT_SOURCES_BASE,
    answers.PROVISIONING: sample_data.PROVISIONING_BASE,
    answers.COMPLIANCE: sample_data.COMPLIANCE_BASE,
    answers.RECOMMENDATIONS: sample_data.RECOMMENDATIONS_BASE,
}
NO_ROUTE: Final = "no such route"


def build(store: DocumentStore, steering: PlatformSteering) -> Starlette:
    """Create the application."""

    def change(document: object) -> None:
        changes = behaviour.check(document)
        store.add(changes)
        steering.change(changes)

    def clear_state() -> None:
        store.clear()
        steering.clear_state()

    async def no_such_route(request: Request, error: HTTPException) -> Response:
        for back_end, base in BASES.items():
            if request.scope["path"].startswith(f"{base}/"):
                async with _recorded(steering, back_end, NO_ROUTE, request):
                    return refusal(back_end, error.status_code, str(error))
        return answer({"detail": str(error)}, error.status_code)

    return create_application(
        _routes(store, steering),
        no_such_route,
        change=change,
        reset_behaviour=steering.reset_behaviour,
        clear_state=clear_state,
        describe=lambda: {**steering.document(), "added": store.added()},
    )


def _routes(store: DocumentStore, steering: PlatformSteering) -> Iterator[Route]:
    content, compliance, recommendations = ContentSources(store, steering), Compliance(store), Recommendations(steering)
    tailorings = "/policies/{id}/tailorings"
    operations: dict[str, dict[str, Handler]] = {
        answers.CONTENT_SOURCES: {
            "GET /repositories/": content.list_repositories,
            "POST /repositories/bulk_export/": content.bulk_export,
            "POST /snapshots/for_date/": content.snapshots_for_date,
            "GET /templates/{uuid}": content.get_template,
        },
        answers.PROVISIONING: {"GET /sources/{id}/upload_info": Provisioning(store).get_upload_info},
        answers.COMPLIANCE: {
            "GET /policies/{id}": compliance.get_policy,
            f"GET {tailorings}": compliance.list_tailorings,
            f"POST {tailorings}": compliance.post_tailoring,
            f"GET {tailorings}/{{minor}}/tailoring_file.json": compliance.get_tailoring_json,
            f"GET {tailorings}/{{minor}}/tailoring_file.toml": compliance.get_tailoring_toml,
        },
        answers.RECOMMENDATIONS: {
            "POST /packages/recommendations": recommendations.post_recommendations,
            "POST /token": recommendations.post_token,
        },
    }
    for back_end, handlers in operations.items():
        for operation, handler in handlers.items():
            method, _, path = operation.partition(" ")
            endpoint = _operation(back_end, operation, handler, steering)
            yield Route(BASES[back_end] + path, endpoint, methods=[method])


def _operation(back_end: str, operation: str, handler: Handler, steering: PlatformSteering) -> Handler:
    async def endpoint(request: Request) -> Response:
        async with _recorded(steering, back_end, operation, request):
            faults = await steering.faults(back_end, operation)
            if steering.closing or faults.drop == "before":
                return await cut_off(request)
            response = _faulty(back_end, faults)
            if response is None:
                try:
                    response = await handler(request)
                except RefusedError as refused:
                    response = refusal(back_end, refused.status, refused.reason)
            return await cut_off(request) if faults.drop == "after" else response

    return endpoint


@asynccontextmanager
async def _recorded(steering: PlatformSteering, back_end: str, operation: str, request: Request) -> AsyncIterator[None]:
    body = (await request.body()).decode(errors="replace") or None
    call = f"{back_end} {operation}"
    with steering.calls.record(call, request, back_end=back_end, query=request.url.query, body=body):
        yield


def _faulty(back_end: str, faults: Faults) -> Response | None:
    if faults.raw:
        return faults.raw.response()
    if faults.status:
        return refusal(back_end, faults.status, "refused, as the stand-in platform was told to")
    return None
