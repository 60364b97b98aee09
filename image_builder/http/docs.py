"""The interactive documentation page of the API: Swagger UI, with a page and scripts of this service."""

from __future__ import annotations

import html
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]

# Headers of each file of the page. Swagger UI needs inline styles, and icons from `data:` URLs; inline scripts stay
# forbidden.
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
            "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    }
)

# The files of the Swagger UI package that the page uses.
_MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "swagger-ui.css": "text/css; charset=utf-8",
        "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
        "favicon-32x32.png": "image/png",
    }
)


class DocsPage:
    """The files of the documentation page, which are read at start.

    `openapi_url` is the URL of the API document, relative to the page: `../openapi.json` for a page at `/docs/`. The
    page must be served at a path that ends with a slash, and its other files below that path.
    """

    def __init__(self, openapi_url: str) -> None:
        folder = files("image_builder.http") / "docs_page"
        page = (folder / "index.html").read_text(encoding="utf-8")
        self._assets: dict[str, tuple[bytes, str]] = {
            "": (
                page.replace("{{ openapi_url }}", html.escape(openapi_url)).encode(),
                "text/html; charset=utf-8",
            ),
        }
        for name in ("defaults.js", "start.js"):
            self._assets[name] = ((folder / name).read_bytes(), "text/javascript; charset=utf-8")
        for name, media_type in _MEDIA_TYPES.items():
            self._assets[name] = ((swagger_ui_path / name).read_bytes(), media_type)

    def asset(self, path: str) -> tuple[bytes, str] | None:
        """Return the content and the media type of a file, or None if there is no such file.

        `path` is relative to the page; the page itself is the empty path.
        """
        return self._assets.get(path)
