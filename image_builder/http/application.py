"""The ASGI application of the API's operations, of Connexion and Flask (docs/architecture.md, A request's way).

Connexion routes requests and ContractMiddleware validates them, both by openapi.yaml; Flask runs the handlers. All base
paths serve the same operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
from image_builder.http.bridge import Bridge, WsgiApp
from image_builder.http.call import CALL
from image_builder.http.call import Route as HandlerRoute
from image_builder.http.contract import Contract
from image_builder.http.limiter import Limiter
from image_builder.http.memory import RequestMemory
from image_builder.http.validation import ContractMiddleware


class StrictRoutingMiddleware(RoutingMiddleware):
    """Connexion's routing without redirects: a path with an additional slash at its end is an unknown path."""

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
        """Route a request. Raises HTTPException with status 405 and the allowed methods, or with status 404."""
        try:
            await super().__call__(scope, receive, send)
        except HTTPException as error:
            if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and error.headers:
                raise HTTPException(405, headers={"Allow": self._methods_of(scope)}) from None
            raise

    def _methods_of(self, scope: Scope) -> str:
        """The methods that a path allows. Starlette's own error names only those of the first matching route."""
        path_scope = {"type": "http", "method": scope["method"], "path": scope["path"], "root_path": ""}
        methods: set[str] = set()
        for mount in self.router.routes:
            match, mount_scope = mount.matches(path_scope)
            if match is not Match.NONE and isinstance(mount, Mount):
                child_scope = {**path_scope, **mount_scope}
                for route in mount.routes:
                    if isinstance(route, Route) and route.matches(child_scope)[0] is not Match.NONE:
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
    create_bridge: Callable[[WsgiApp], Bridge],
) -> tuple[ConnexionMiddleware, Bridge]:
    """Build the ASGI application of the API's operations; returns it with its bridge, which the caller has to close.

    `routes` are the handlers by operation id, `largest_body` is in bytes, `arriving` the memory that all bodies share
    while they arrive. `create_bridge` is called with the application of the handlers.
    """
    bridge = create_bridge(_flask_application().wsgi_app)
    validating = partial(
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
        middlewares=[StrictRoutingMiddleware, validating],  # type: ignore[list-item]
        resolver=Resolver(lambda operation_id: routes[operation_id].handler),
    )
    for base_path in base_paths:
        application.add_api(contract.routing_document, base_path=base_path)
    return application, bridge


class _RoutedFlask(Flask):
    """Flask for requests that Connexion has routed: it provides the request context and runs the request's Call."""

    def create_url_adapter(self, request: Request | None) -> None:
        """Match no URL rules: Connexion has routed the request already."""

    def dispatch_request(self) -> Response:
        """Run the Call that ContractMiddleware has validated."""
        response: Response = current_request.environ[CALL].run()
        return response


def _flask_application() -> Flask:
    application = _RoutedFlask(__name__, static_folder=None)
    # Exceptions leave Flask, because the Edge turns them into answers.
    application.config["PROPAGATE_EXCEPTIONS"] = True
    return application
