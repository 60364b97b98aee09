"""The interactive page about the API in a browser: its content, its requests, and trying operations."""

from __future__ import annotations

import json
import os
import struct
import tomllib
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.blueprints import kept
from tests.support.browser import Browser, chromium
from tests.support.builders import compose_request, identity
from tests.support.embedded import Embedded, embedded
from tests.support.operations import operations
from tests.support.rounds import sampled
from tests.support.service import Client

BASES = ("/api/image-builder/v1", "/api/image-builder/v1.0", "/api/v1/image-builder")
PUBLIC = BASES[2]
OPERATIONS = operations()
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
    """A running `serve --embedded`; started only if there is a browser."""
    with embedded() as running:
        yield running


@pytest.fixture(autouse=True)
def _as_new(browser: Browser) -> Iterator[None]:
    """Open a new page; at the end it must have requested nothing from other hosts and reported no problem."""
    browser.new_page()
    yield
    assert browser.complaints == []
    hosts = {urlsplit(url).netloc for url in browser.requested}
    assert hosts == {browser.run("location.host")}


def open_operation(browser: Browser, docs: str, operation: str) -> str:
    """Open the page with the unfolded operation, and return its selector."""
    tag, operation_id = operation.split("/")
    browser.open(f"{docs}#/{tag}/{operation_id}")
    selector = f"#operations-{tag}-{operation_id}"
    # Until the references of an operation are followed, its button to execute does nothing.
    browser.wait_for(f"document.querySelector('{selector}.is-open .responses-inner .response p') !== null")
    return selector


def authorize(browser: Browser, value: str) -> None:
    browser.click(".auth-wrapper .btn.authorize")
    browser.type(".auth-container input", value)
    browser.click(".auth-container .btn.authorize")
    browser.click(".auth-container .btn-done")


def execute(browser: Browser, selector: str) -> tuple[str, str]:
    """Press Execute, and return status and body as the page shows them."""
    browser.click(f"{selector} .btn.execute")
    browser.wait_for(f"document.querySelector('{selector} {ANSWER}') !== null")
    status: str = browser.run(f"document.querySelector('{selector} {ANSWER} .response-col_status').innerText")
    body: str = browser.run(f"document.querySelector('{selector} {ANSWER} .response-col_description').innerText")
    return status.split(maxsplit=1)[0], body


def execute_again(browser: Browser, selector: str) -> tuple[str, str]:
    """Clear the answer and press Execute once more."""
    browser.click(f"{selector} .btn-clear")
    browser.wait_for(f"document.querySelector('{selector} {ANSWER}') === null")
    return execute(browser, selector)


def unfold(browser: Browser, tag: str, operation_id: str) -> str:
    """Unfold an operation of the open page, and return its selector."""
    selector = f"#operations-{tag}-{operation_id}"
    if not browser.run(f"document.querySelector('{selector}').classList.contains('is-open')"):
        browser.click(f"{selector} .opblock-summary-control")
    browser.wait_for(f"document.querySelector('{selector}.is-open .responses-inner .response p') !== null")
    return selector


def fold(browser: Browser, selector: str) -> None:
    """Fold an operation, because the page is faster with few unfolded operations."""
    browser.click(f"{selector} .opblock-summary-control")
    browser.wait_for(f"document.querySelector('{selector}.is-open') === null")


def forget_refusals(browser: Browser) -> None:
    """Ignore Chromium's complaints about answers with 4xx, which are expected here."""
    browser.complaints[:] = [each for each in browser.complaints if "with a status of 4" not in each]


def different_lines(png: bytes) -> int:
    """The number of different pixel lines of a PNG: a blank picture has one or two."""
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


def test_an_example_on_the_page_of_the_public_route_starts_a_build(
    browser: Browser, default: Embedded, tmp_path: Path
) -> None:
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
def test_the_page_of_each_base_sends_requests_to_that_base(browser: Browser, default: Embedded, base: str) -> None:
    version = open_operation(browser, f"{default.url}{base}/docs/", "meta/getVersion")
    authorize(browser, default.identity)

    status, body = execute(browser, version)

    assert (status, '"version"' in body) == ("200", True)
    assert browser.requested[-1] == f"{default.url}{base}/version"


def test_the_page_outside_the_bases_offers_each_base_as_a_server(browser: Browser, default: Embedded) -> None:
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


def test_behind_a_gateway_that_sets_the_identity_the_page_needs_no_authorization(
    browser: Browser, default: Embedded
) -> None:
    browser.call("Network.setExtraHTTPHeaders", headers={"x-rh-identity": default.identity})
    version = open_operation(browser, default.docs, "meta/getVersion")

    status, _ = execute(browser, version)

    assert status == "200"


def test_every_operation_can_be_executed_twice_with_its_example(browser: Browser, default: Embedded) -> None:
    open_operation(browser, default.docs, "meta/getVersion")
    authorize(browser, identity("executes everything"))
    unexpected = {}
    # Backwards: the first to be executed need a build or a blueprint, and the organization has none.
    for name, operation in reversed(sampled(OPERATIONS.items(), 5)):
        selector = unfold(browser, operation["tags"][0], name)
        first, second = execute(browser, selector), execute_again(browser, selector)
        successes = {status for status in operation["responses"] if status < "300"}
        refusals = operation["responses"].keys() & {"404", "409", "422"}
        if first[0] not in successes or second[0] not in successes | refusals:
            unexpected[name] = (first, second)
        fold(browser, selector)

    forget_refusals(browser)
    assert unexpected == {}


def test_the_examples_of_changes_do_not_touch_data_of_the_organization(browser: Browser, default: Embedded) -> None:
    client = Client(default.url, {"x-rh-identity": identity("has its own")})
    blueprint, build = kept(client, name="its own"), client.compose(compose_request())
    open_operation(browser, default.docs, "meta/getVersion")
    authorize(browser, identity("has its own"))

    for tag, operation in (("blueprint", "deleteBlueprint"), ("compose", "deleteCompose")):
        assert execute(browser, unfold(browser, tag, operation))[0] in {"200", "204"}

    assert client.get(f"/blueprints/{blueprint}").status_code == 200
    assert client.get(f"/composes/{build}").status_code == 200
    _, body = execute(browser, unfold(browser, "blueprint", "getBlueprint"))
    assert "its own" in body


# Parameters that supply what an osbuild blueprint leaves out. Lists have no value before an entry is added.
COMPLETIONS = dict.fromkeys(
    ("name", "description", "distribution", "image_type", "architecture", "upload_type", "share_with_account"), ""
)


# The optional parameters of operations, and what the page fills in.
FILLED = {
    "distribution/getDistributions": {"kind": "", "distro": "", "arch": "", "type": ""},
    "blueprint/getBlueprints": {"name": "", "search": "", "sort": "", "limit": "100", "offset": "0", "cursor": ""},
    "blueprint/createBlueprint": {"Idempotency-Key": "", "on_conflict": "", **COMPLETIONS},
    "blueprint/getBlueprint": {"version": ""},
    "blueprint/updateBlueprint": {"If-Match": "", **COMPLETIONS},
    "blueprint/composeBlueprint": {"Idempotency-Key": "", "Prefer": "", "X-ImageBuilder-ui": ""},
    "compose/checkCompose": {"explain": ""},
}


def test_optional_parameters_are_filled_in_with_their_defaults_only(browser: Browser, default: Embedded) -> None:
    open_operation(browser, default.docs, "meta/getVersion")
    found = {}
    for operation in FILLED:
        selector = unfold(browser, *operation.split("/"))
        found[operation] = browser.run(
            f"""Object.fromEntries(
                [...document.querySelectorAll("{selector} tr[data-param-name]")]
                    .filter((row) => row.querySelector(".parameter__name.required") === null)
                    .map((row) => [row.dataset.paramName, row.querySelector("input, select")?.value ?? ""])
            )"""
        )
        fold(browser, selector)

    assert found == FILLED


def choose(browser: Browser, selector: str, media_type: str) -> str:
    """Choose the media type of the body, and return the body that the page then shows."""
    before = browser.run(f"document.querySelector('{selector} textarea').value")
    browser.run(
        f"""(() => {{
            const types = document.querySelector("{selector} .body-param-content-type select");
            types.value = "{media_type}";
            types.dispatchEvent(new Event("change", {{bubbles: true}}));
        }})()"""
    )
    shown = f"document.querySelector('{selector} textarea')?.value"
    browser.wait_for(f"{shown} && {shown} !== {json.dumps(before)}")
    body: str = browser.run(shown)
    return body


def test_choosing_a_media_type_shows_a_valid_example_of_it(browser: Browser, default: Embedded) -> None:
    who = identity("writes TOML")
    kept(Client(default.url, {"x-rh-identity": who}), name="web-server")  # the name that the document's examples have
    selector = open_operation(browser, default.docs, "blueprint/createBlueprint")
    authorize(browser, who)

    in_toml = choose(browser, selector, "application/toml")
    assert tomllib.loads(in_toml)["name"].startswith("web-server")
    status, body = execute(browser, selector)
    assert status == "201", body

    in_json = choose(browser, selector, "application/json")
    assert json.loads(in_json)["name"].startswith("web-server")
    browser.wait_for(f"document.querySelector('{selector} {ANSWER}') === null")
    status, body = execute(browser, selector)
    assert status == "201", body


def test_the_first_of_several_examples_is_chosen_and_shown(browser: Browser, default: Embedded) -> None:
    selector = open_operation(browser, default.docs, "compose/composeImage")
    chosen = f"document.querySelector('{selector} .opblock-section-request-body .examples-select select').value"
    browser.wait_for(f"{chosen} === 'aws'")
    shown = json.loads(browser.run(f"document.querySelector('{selector} textarea').value"))
    assert shown == OPERATIONS["composeImage"]["requestBody"]["content"]["application/json"]["examples"]["aws"]["value"]
