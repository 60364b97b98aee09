"""The ASGI application of the API's operations, made of Connexion.

Connexion creates the routes of the operations and ContractMiddleware validates requests, both as openapi.yaml
describes; then the Bridge runs the handlers. All base paths serve the same operations. docs/architecture.md, How a
request is processed, shows its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.middleware.main import ConnexionMiddleware
from connexion.middleware.routing import RoutingMiddleware
from connexion.resolver import Resolver
from connexion.spec import Specification
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from image_builder.http.auth import Authenticate
from image_builder.http.bridge import Bridge
from image_builder.http.call import Route as HandlerRoute
from image_builder.http.contract import Contract
from image_builder.http.limiter import Limiter
from image_builder.http.memory import RequestMemory
from image_builder.http.validation import ContractMiddleware

# The base path, the number of slashes behind it, and the text between the first two of them.
_Shape = tuple[str, int, str]


class IndexedRoutingMiddleware(RoutingMiddleware):
    """Connexion's routing with an index of its routes, and without redirects.

    Connexion compares each path with the routes of each base path in turn. Here only routes of the same base path,
    number of segments and first segment are compared. A path with an additional slash at its end is an unknown path.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
        # The routes of each shape, with the ids of their operations.
        self._routes: dict[_Shape, list[tuple[Route, str]]] = {}
        self._base_paths: tuple[str, ...] = ()

    def add_api(
        self,
        specification: Specification,
        base_path: str | None = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Add the routes of a specification."""
        super().add_api(specification, base_path, arguments, **kwargs)
        self._routes.clear()
        for mount in self._mounts():
            for route in mount.routes:
                if isinstance(route, Route):
                    operation: Any = route.endpoint
                    routes = self._routes.setdefault(_shape(mount.path, route.path), [])
                    routes.append((route, operation.operation_id))
        self._base_paths = tuple(mount.path for mount in self._mounts())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route a request. Raises HTTPException with status 405 and the allowed methods, or with status 404."""
        path: str = scope["path"]
        methods: set[str] = set()
        for base_path in self._base_paths:
            if not path.startswith(base_path):
                continue
            rest = path[len(base_path) :]
            for route, operation_id in self._routes.get(_shape(base_path, rest), ()):
                match = route.path_regex.match(rest)
                if match is not None and scope["method"] in (route.methods or ()):
                    scope["path_params"] = match.groupdict()
                    scope.setdefault("extensions", {})[ROUTING_CONTEXT] = {
                        "api_base_path": base_path,
                        "operation_id": operation_id,
                    }
                    await self.app(scope, receive, send)
                    return
                if match is not None:
                    methods |= route.methods or set()
        raise HTTPException(405, headers={"Allow": ", ".join(sorted(methods))}) if methods else HTTPException(404)

    def _mounts(self) -> Iterator[Mount]:
        for route in self.router.routes:
            if isinstance(route, Mount) and isinstance(route.app, Router):
                yield route


def _shape(base_path: str, path: str) -> _Shape:
    """Return what all paths of one route have in common; the first segment of a route is never a parameter."""
    return base_path, path.count("/"), path.split("/", 2)[1] if "/" in path else ""


def create_connexion_application(
    contract: Contract,
    routes: Mapping[str, HandlerRoute],
    *,
    base_paths: tuple[str, ...],
    authenticate: Authenticate,
    limiter: Limiter,
    max_body_bytes: int,
    incoming_bodies: RequestMemory,
    bridge: Bridge,
) -> ConnexionMiddleware:
    """Create the ASGI application of the API's operations.

    `routes` are the handlers by operation id. `max_body_bytes` limits the body of a request; `incoming_bodies` is the
    memory that all bodies share until they are complete. `bridge` runs the handlers; the caller has to close it.
    """
    validating = partial(
        ContractMiddleware,
        settings={
            "contract": contract,
            "routes": routes,
            "authenticate": authenticate,
            "limiter": limiter,
            "max_body_bytes": max_body_bytes,
            "incoming_bodies": incoming_bodies,
        },
    )
    application = ConnexionMiddleware(
        bridge,
        import_name=__name__,
        middlewares=[IndexedRoutingMiddleware, validating],  # type: ignore[list-item]
        resolver=Resolver(lambda operation_id: routes[operation_id].handler),
    )
    for base_path in base_paths:
        application.add_api(contract.routing_document, base_path=base_path)
    return application
