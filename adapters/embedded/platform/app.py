"""The routes: each back-end's API below its base, and what the stand-ins alone answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.embedded.own_routes import own_routes
from adapters.embedded.platform import answers, behaviour, known
from adapters.embedded.platform.answers import RefusedError, answer, refusal
from adapters.embedded.platform.behaviour import Faults
from adapters.embedded.platform.compliance import Compliance
from adapters.embedded.platform.content_sources import ContentSources
from adapters.embedded.platform.smaller import Provisioning, Recommendations
from adapters.embedded.platform.state import Known
from adapters.embedded.platform.steering import Steering
from adapters.embedded.serving import cut_off

Handler = Callable[[Request], Awaitable[Response]]
BASES: Final = {
    answers.CONTENT_SOURCES: known.CONTENT_SOURCES_BASE,
    answers.PROVISIONING: known.PROVISIONING_BASE,
    answers.COMPLIANCE: known.COMPLIANCE_BASE,
    answers.RECOMMENDATIONS: known.RECOMMENDATIONS_BASE,
}
NO_ROUTE: Final = "no such route"


def build(store: Known, steering: Steering) -> Starlette:
    """The application."""

    def change(document: object) -> None:
        changes = behaviour.check(document)
        store.add(changes)
        steering.change(changes)

    def forget() -> None:
        store.clear()
        steering.forget()

    async def no_such_route(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        for back_end, base in BASES.items():
            if request.scope["path"].startswith(f"{base}/"):
                with steering.call(back_end, NO_ROUTE, request, await request.body()):
                    return refusal(back_end, status, str(error))
        return answer({"detail": str(error)}, status)

    app = Starlette(
        routes=[
            *_routes(store, steering),
            *own_routes(
                change=change,
                behave=steering.behave,
                forget=forget,
                shown=lambda: {**steering.document(), "added": store.added()},
            ),
        ],
        exception_handlers={HTTPException: no_such_route},
    )
    app.router.redirect_slashes = False
    return app


def _routes(store: Known, steering: Steering) -> Iterator[Route]:
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


def _operation(back_end: str, operation: str, handler: Handler, steering: Steering) -> Handler:
    async def endpoint(request: Request) -> Response:
        with steering.call(back_end, operation, request, await request.body()):
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


def _faulty(back_end: str, faults: Faults) -> Response | None:
    if faults.raw:
        # Not Starlette's `media_type`, which would add a charset.
        headers = {**faults.raw.headers, "content-type": faults.raw.content_type}
        return Response(faults.raw.body, faults.raw.status, headers)
    if faults.status:
        return refusal(back_end, faults.status, "refused, as the stand-in platform was told to")
    return None
