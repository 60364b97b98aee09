"""The client of the composer, over HTTP: package search."""

import json
from fnmatch import fnmatchcase

import orjson
import pytest
import stamina
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.embedded.composer.schema import search_validator
from adapters.http.composer import _create_glob
from domain.compose.repositories import write_repository
from domain.errors import UnavailableError
from domain.packages import Package
from tests.support.composer_adapter import HastyBackEnd, a_composer, asking
from tests.support.domain_builders import a_repository
from tests.support.loopback import answer, close, garbage, refused_url, reset, truncated

REPOSITORIES = [
    write_repository(a_repository()),
    write_repository(a_repository("second", baseurl=None, metalink="https://m", rhsm=True)),
]
HTML = answer(200, b"<html>busy</html>", "text/html")


@pytest.fixture(autouse=True)
def _attempts_without_pauses():
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


def searched(adapter, text="vim"):
    return adapter.search_packages("centos-9", "x86_64", REPOSITORIES, text)


def names(adapter, text):
    return [package.name for package in searched(adapter, text)]


def test_the_composer_finds_packages(real):
    assert Package("openssh-server", "An open source SSH server daemon") in searched(real, "ssh-s")


@pytest.mark.parametrize("text", ["ssh", "vim-enhanced", "lib", "NetworkManager"])
def test_every_package_that_contains_the_text_is_found(real, text):
    everything = names(real, "")
    assert sorted(names(real, text)) == sorted(name for name in everything if text in name)


def test_an_empty_text_finds_all_packages(real):
    assert {"bash", "zsh", "NetworkManager"} <= set(names(real, ""))


def test_the_search_is_translated_to_a_glob_of_the_composer():
    with asking(answer(200, {"packages": []})) as (adapter, asked):
        searched(adapter)
    (request,) = asked
    body = json.loads(request.body)
    assert search_validator().is_valid(body)
    assert (request.method, request.path) == ("POST", "/api/image-builder-composer/v2/search/packages")
    assert body == {
        "distribution": "centos-9",
        "architecture": "x86_64",
        "repositories": REPOSITORIES,
        "packages": ["*vim*"],
    }


@pytest.mark.parametrize(
    ("text", "glob"),
    [
        ("", "*"),
        ("vim", "*vim*"),
        ("g++", "*g++*"),
        ("a b", "*a b*"),
        ("*", "*"),
        ("v*m-en", "*m-en*"),
        ("lib?", "*lib*"),
        ("[lib]", "*lib*"),
        ("\\vim", "*vim*"),
        ("vim\ud800", "*vim*"),
    ],
)
def test_the_longest_part_of_a_text_without_glob_characters_is_requested(text, glob):
    assert _create_glob(text) == glob


@given(st.text("ab*?[]!-\\", max_size=6), st.text("ab*?[]!-\\", max_size=4))
@example("a", "[a]")
def test_the_requested_glob_matches_every_name_that_contains_the_text(around, text):
    glob = _create_glob(text)
    assert fnmatchcase(f"{around}{text}{around}", glob)
    assert orjson.dumps(glob)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"packages": [{"name": "a", "summary": "s", "version": 5, "arch": None}]}, (Package("a", "s"),)),
        ({"packages": [{"name": "a"}, {"name": "a", "summary": None}]}, (Package("a", ""),) * 2),
        ({"packages": [], "more": 1}, ()),
    ],
)
def test_packages_are_read_from_their_required_keys(document, expected):
    with asking(answer(200, document)) as (adapter, _):
        assert searched(adapter) == expected


@pytest.mark.parametrize(
    "document", [None, [], {}, {"packages": None}, {"packages": {}}, {"packages": ["vim"]}, {"packages": [{}]}]
)
def test_packages_of_the_wrong_shape_are_an_unusable_answer(document):
    with asking(answer(200, document)) as (adapter, _), pytest.raises(UnavailableError):
        searched(adapter)


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 429, 500, 502, 503, 504])
def test_any_other_http_status_is_an_unusable_answer(status):
    with asking(answer(status, b"{}")) as (adapter, _), pytest.raises(UnavailableError) as away:
        searched(adapter)
    assert "127.0.0.1" not in away.value.detail


@pytest.mark.parametrize("step", [HTML, truncated(), garbage, close, reset])
def test_garbage_is_an_unusable_answer(step):
    with asking(step) as (adapter, _), pytest.raises(UnavailableError):
        searched(adapter)


def test_a_composer_that_hangs_gives_no_answer(composer):
    composer.steer(hang=True)
    with a_composer(composer.url, HastyBackEnd) as adapter, pytest.raises(UnavailableError):
        searched(adapter)


def test_a_composer_that_is_not_there_gives_no_answer():
    with a_composer(refused_url()) as adapter, pytest.raises(UnavailableError):
        searched(adapter)


def test_an_unknown_distribution_is_an_unusable_answer(real):
    with pytest.raises(UnavailableError):
        real.search_packages("plan9-4", "x86_64", REPOSITORIES, "vim")


def test_a_search_is_repeated_if_the_composer_is_briefly_unavailable():
    with asking(answer(503), answer(200, {"packages": [{"name": "a"}]})) as (adapter, asked):
        assert searched(adapter) == (Package("a", ""),)
    assert len(asked) == 2
