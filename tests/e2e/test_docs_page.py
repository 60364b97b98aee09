"""The interactive page about the API in a browser: what it shows, what it asks for, and that trying something works."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.browser import Browser, chromium
from tests.support.embedded import Embedded, embedded

BASES = ("/api/image-builder/v1", "/api/image-builder/v1.0", "/api/v1/image-builder")
PUBLIC = BASES[2]
ANSWER = ".live-responses-table .response"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = chromium()
    if executable is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI has to have Debian's chromium")
        pytest.skip("there is no chromium")
    with Browser(executable, tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="module")
def default(browser: Browser) -> Iterator[Embedded]:
    """The embedded default; without a browser there is no need of it."""
    with embedded() as running:
        yield running


@pytest.fixture(autouse=True)
def _as_new(browser: Browser) -> Iterator[None]:
    """A new page, that in the end has asked for nothing elsewhere and found nothing to complain about."""
    browser.new_page()
    yield
    assert browser.complaints == []
    hosts = {urlsplit(url).netloc for url in browser.requested}
    assert hosts == {browser.run("location.host")}


def open_operation(browser: Browser, docs: str, operation: str) -> str:
    """Open the page with the operation unfolded, and return its selector."""
    tag, operation_id = operation.split("/")
    browser.open(f"{docs}#/{tag}/{operation_id}")
    selector = f"#operations-{tag}-{operation_id}"
    # Until the references of an operation are followed, its button to execute does nothing.
    browser.wait_for(f"document.querySelector('{selector}.is-open .response[data-code=\"401\"] p') !== null")
    return selector


def authorize(browser: Browser, value: str) -> None:
    browser.click(".auth-wrapper .btn.authorize")
    browser.type(".auth-container input", value)
    browser.click(".auth-container .btn.authorize")
    browser.click(".auth-container .btn-done")


def execute(browser: Browser, selector: str) -> tuple[str, str]:
    """Press Execute; status and body as the page then shows them."""
    browser.click(f"{selector} .btn.execute")
    browser.wait_for(f"document.querySelector('{selector} {ANSWER}') !== null")
    status: str = browser.run(f"document.querySelector('{selector} {ANSWER} .response-col_status').innerText")
    body: str = browser.run(f"document.querySelector('{selector} {ANSWER} .response-col_description').innerText")
    return status.split(maxsplit=1)[0], body


def different_lines(png: bytes) -> int:
    """How many lines of a PNG's pixels differ from all others, as stored: of a blank picture one or two."""
    position, packed = 8, b""
    while position < len(png):
        length, kind = struct.unpack(">I4s", png[position : position + 8])
        if kind == b"IHDR":
            width, _, depth, colour = struct.unpack(">IIBB", png[position + 8 : position + 18])
        elif kind == b"IDAT":
            packed += png[position + 8 : position + 8 + length]
        position += length + 12
    assert depth == 8
    size = 1 + width * {2: 3, 6: 4}[colour]
    pixels = zlib.decompress(packed)
    return len({pixels[start : start + size] for start in range(0, len(pixels), size)})


def test_under_the_public_route_an_example_starts_a_build(browser: Browser, default: Embedded, tmp_path: Path) -> None:
    blank = different_lines(browser.screenshot())
    compose = open_operation(browser, default.docs, "compose/composeImage")
    authorize(browser, default.identity)

    status, body = execute(browser, compose)

    browser.run(f"document.querySelector('{compose} {ANSWER}').scrollIntoView({{block: 'end', behavior: 'instant'}})")
    picture = tmp_path / "docs.png"
    picture.write_bytes(browser.screenshot())
    assert status == "201"
    assert '"id"' in body
    assert different_lines(picture.read_bytes()) > blank + 100
    assert all(url.startswith(f"{default.url}{PUBLIC}/") for url in browser.requested)


@pytest.mark.parametrize("base", [base for base in BASES if base != PUBLIC])
def test_below_each_base_what_is_tried_is_sent_below_that_base(browser: Browser, default: Embedded, base: str) -> None:
    version = open_operation(browser, f"{default.url}{base}/docs/", "meta/getVersion")
    authorize(browser, default.identity)

    status, body = execute(browser, version)

    assert (status, '"version"' in body) == ("200", True)
    assert browser.requested[-1] == f"{default.url}{base}/version"


def test_outside_the_bases_each_server_of_the_list_can_be_chosen(browser: Browser, default: Embedded) -> None:
    version = open_operation(browser, f"{default.url}/docs/", "meta/getVersion")
    authorize(browser, default.identity)
    for base in reversed(BASES):
        browser.run(
            f"""(() => {{
                const servers = document.querySelector(".servers select");
                servers.value = "{base}";
                servers.dispatchEvent(new Event("change", {{bubbles: true}}));
            }})()"""
        )

        status, _ = execute(browser, version)

        assert status == "200"
        assert browser.requested[-1] == f"{default.url}{base}/version"
        browser.click(f"{version} .btn-clear")
        browser.wait_for(f"document.querySelector('{version} {ANSWER}') === null")


def test_behind_a_gateway_that_says_who_calls_nobody_has_to_authorize(browser: Browser, default: Embedded) -> None:
    browser.call("Network.setExtraHTTPHeaders", headers={"x-rh-identity": default.identity})
    version = open_operation(browser, default.docs, "meta/getVersion")

    status, _ = execute(browser, version)

    assert status == "200"
