"""Connexion and Flask put together for one process (docs/architecture.md, a request's way).

Connexion routes, ContractMiddleware validates, both from openapi.yaml; Flask carries the request context of the
handlers. The same operations are served below three base paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from connexion.middleware.main import ConnexionMiddleware
from connexion.middleware.routing import RoutingMiddleware
from connexion.resolver import Resolver
from connexion.spec import Specification
from flask import Flask, Request, Response
from flask import request as current_request
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from image_builder.http.auth import Authenticate
from image_builder.http.bridge import Bridge
from image_builder.http.call import CALL, Lane
from image_builder.http.call import Route as HandlerRoute
from image_builder.http.contract import Contract
from image_builder.http.limiter import Limiter
from image_builder.http.memory import RequestMemory
from image_builder.http.validation import ContractMiddleware


class StrictRoutingMiddleware(RoutingMiddleware):
    """Connexion's routing without its redirects: a path with a slash too many is an unknown path."""

    def add_api(
        self,
        specification: Specification,
        base_path: str | None = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Add the routes of a specification."""
        super().add_api(specification, base_path, arguments, **kwargs)
        self.router.redirect_slashes = False
        for api in self._apis():
            api.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route a request. Raises HTTPException 405 that says which methods the path takes."""
        try:
            await super().__call__(scope, receive, send)
        except HTTPException as error:
            if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and error.headers:
                raise HTTPException(405, headers={"Allow": self._methods_of(scope)}) from None
            raise

    def _methods_of(self, scope: Scope) -> str:
        """All methods of a path: the router itself knows those of the first route that matches."""
        asked = {"type": "http", "method": scope["method"], "path": scope["path"], "root_path": ""}
        methods: set[str] = set()
        for mount in self.router.routes:
            match, below = mount.matches(asked)
            if match is not Match.NONE and isinstance(mount, Mount):
                child = {**asked, **below}
                for route in mount.routes:
                    if isinstance(route, Route) and route.matches(child)[0] is not Match.NONE:
                        methods |= route.methods or set()
        return ", ".join(sorted(methods))

    def _apis(self) -> Iterator[Router]:
        for route in self.router.routes:
            if isinstance(route, Mount) and isinstance(route.app, Router):
                yield route.app


def connexion_application(
    contract: Contract,
    routes: Mapping[str, HandlerRoute],
    *,
    base_paths: tuple[str, ...],
    authenticate: Authenticate,
    limiter: Limiter,
    largest_body: int,
    arriving: RequestMemory,
    threads: Mapping[Lane, int],
) -> tuple[ConnexionMiddleware, Bridge]:
    """The contract's operations as an ASGI application, and the bridge to be closed at its end."""
    bridge = Bridge(_flask_application().wsgi_app, threads)
    checking = partial(
        ContractMiddleware,
        settings={
            "contract": contract,
            "routes": routes,
            "authenticate": authenticate,
            "limiter": limiter,
            "largest_body": largest_body,
            "arriving": arriving,
        },
    )
    application = ConnexionMiddleware(
        bridge,
        import_name=__name__,
        middlewares=[StrictRoutingMiddleware, checking],  # type: ignore[list-item]
        resolver=Resolver(lambda operation_id: routes[operation_id].handler),
    )
    for base_path in base_paths:
        application.add_api(contract.outline, base_path=base_path)
    return application, bridge


class _RoutedFlask(Flask):
    """Flask for requests that Connexion has routed: it carries the request context, and runs the call that is given."""

    def create_url_adapter(self, request: Request | None) -> None:
        """No rules are matched: they were, against the contract."""

    def dispatch_request(self) -> Response:
        """Run the call that the contract's middleware checked."""
        response: Response = current_request.environ[CALL].run()
        return response


def _flask_application() -> Flask:
    application = _RoutedFlask(__name__, static_folder=None)
    # Errors leave the application: the edge is the one place that answers them.
    application.config["PROPAGATE_EXCEPTIONS"] = True
    return application
