from __future__ import annotations

import re

import pytest

from image_builder.http.docs import HEADERS, DocsPage


@pytest.fixture(scope="module")
def docs() -> DocsPage:
    return DocsPage("../openapi.json")


def text_of(docs: DocsPage, path: str) -> str:
    asset = docs.asset(path)
    assert asset is not None
    return asset[0].decode()


def files_named_by(page: str) -> list[str]:
    return re.findall(r'(?:src|href)="([^"]+)"', page)


@pytest.mark.parametrize(
    ("path", "media_type", "beginning"),
    [
        ("", "text/html; charset=utf-8", b"<!DOCTYPE html>"),
        ("defaults.js", "text/javascript; charset=utf-8", b'"use strict";'),
        ("start.js", "text/javascript; charset=utf-8", b'"use strict";'),
        ("swagger-ui.css", "text/css; charset=utf-8", b".swagger-ui"),
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8", b"/*! For license information"),
        ("favicon-32x32.png", "image/png", b"\x89PNG"),
    ],
)
def test_each_file_of_the_page_has_its_media_type(docs: DocsPage, path: str, media_type: str, beginning: bytes) -> None:
    asset = docs.asset(path)

    assert asset is not None
    assert asset[0].startswith(beginning)
    assert asset[1] == media_type


@pytest.mark.parametrize(
    "path",
    [
        "index.html",
        "../docs.py",
        "../../etc/passwd",
        "/",
        "/start.js",
        "./start.js",
        "start.js/",
        "swagger-ui.js",
        "%2e%2e",
    ],
)
def test_other_files_are_unknown(docs: DocsPage, path: str) -> None:
    assert docs.asset(path) is None


def test_the_page_refers_only_to_its_own_files_and_the_api_document(docs: DocsPage) -> None:
    named = set(files_named_by(text_of(docs, "")))

    assert named - {"../openapi.json"} == {
        "favicon-32x32.png",
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "defaults.js",
        "start.js",
    }
    assert all(docs.asset(name) for name in named - {"../openapi.json"})


def test_the_page_has_no_inline_script_which_the_policy_would_block(docs: DocsPage) -> None:
    assert re.search(r"<script(?![^>]*\bsrc=)|\son\w+=", text_of(docs, "")) is None
    assert "script-src" not in HEADERS["Content-Security-Policy"]
    assert HEADERS["Content-Security-Policy"].startswith("default-src 'self';")


def test_the_url_of_the_api_document_is_escaped() -> None:
    page = text_of(DocsPage('"><script>x</script>'), "")

    assert "<script>x" not in page
