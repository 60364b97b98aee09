"""The interactive page about the API: Swagger UI from its wheel, our own page and start script around it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]

# Swagger UI sets style attributes and draws its icons from `data:` URLs; its scripts need no exception.
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
            "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    }
)

_MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "swagger-ui.css": "text/css; charset=utf-8",
        "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
        "favicon-32x32.png": "image/png",
    }
)


class DocsPage:
    """The page's few files, read once; whatever else is asked for is not there.

    `openapi_url` is where the API's description is, relative to the page: `../openapi.json` for a page at
    `/docs/`. The page has to be served at a path that ends with a slash, its files beside it.
    """

    def __init__(self, openapi_url: str) -> None:
        own = files("image_builder.http") / "docs_page"
        page = (own / "index.html").read_text(encoding="utf-8")
        self._assets: dict[str, tuple[bytes, str]] = {
            "": (
                page.replace("{{ openapi_url }}", html.escape(openapi_url)).encode(),
                "text/html; charset=utf-8",
            ),
        }
        for name in ("defaults.js", "start.js"):
            self._assets[name] = ((own / name).read_bytes(), "text/javascript; charset=utf-8")
        for name, media_type in _MEDIA_TYPES.items():
            self._assets[name] = ((swagger_ui_path / name).read_bytes(), media_type)

    def asset(self, path: str) -> tuple[bytes, str] | None:
        """Content and media type of a file by its path from the page (itself: `""`); None for any other."""
        return self._assets.get(path)
