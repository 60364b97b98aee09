"""Why a build failed, explained from the errors that the composer reports."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.failures import FailureCode, Responsible, explain
from domain.status import BuildError
from tests.support.waiting import SOON

REQUEST, PLATFORM = Responsible.REQUEST, Responsible.PLATFORM
DNF4_MISSING = "Error occurred when marking packages for installation: Problems in request:\nmissing packages: "
HASH = "5f0b9d" * 10
READING = f"There was a problem reading a repository: Failed to download metadata for repo '{HASH}'"
DEPSOLVING = "There was a problem depsolving bash, nginx: \n Problem: "


def wrapped(inner: dict[str, Any], *ids: int) -> BuildError:
    """An error inside others, each of which holds a list of one error, as jobs of the composer do."""
    details: Any = inner
    for each in reversed(ids[1:]):
        details = {"id": each, "reason": "osbuild did not return any output", "details": [details]}
    return BuildError(ids[0], "Manifest dependency failed", [details])


def error(identifier: int, reason: str = "Something failed", details: Any = None) -> BuildError:
    return BuildError(identifier, reason, details)


def missing(text: str, identifier: int = 21) -> BuildError:
    return wrapped({"id": identifier, "reason": "DNF error occurred: MarkingErrors", "details": text}, 9, 5)


def unsolvable(text: str) -> BuildError:
    return wrapped({"id": 20, "reason": "DNF error occurred: DepsolveError", "details": text}, 9, 5)


def similar(names: Any) -> dict[str, list[str]]:
    known = {"ngnix": ["nginx"], "htppd": ["httpd", "httpd-tools"]}
    return {name: known.get(name, []) for name in names}


CASES: dict[str, tuple[BuildError, str, Responsible, bool, list[str]]] = {
    # Packages.
    "one missing package": (missing(DNF4_MISSING + "ngnix"), "packages-not-found", REQUEST, False, ["ngnix", "nginx"]),
    "missing packages": (
        missing(DNF4_MISSING + "ngnix, htppd, vim"),
        "packages-not-found",
        REQUEST,
        False,
        ["ngnix (did you mean nginx?)", "htppd (did you mean httpd or httpd-tools?)", "vim"],
    ),
    "missing groups": (
        missing(DNF4_MISSING + "foo\nmissing groups or modules: @core-x, @web"),
        "packages-not-found",
        REQUEST,
        False,
        ["foo", "@core-x, @web"],
    ),
    "groups alone": (
        missing("Problems in request:\nmissing groups or modules: @web"),
        "packages-not-found",
        REQUEST,
        False,
        ["groups or modules do not exist: @web"],
    ),
    "missing packages in German": (
        missing("Fehler beim Markieren: Probleme in der Anfrage:\nfehlende Pakete: ngnix, htppd"),
        "packages-not-found",
        REQUEST,
        False,
        ["ngnix", "htppd"],
    ),
    "missing packages of dnf5": (
        missing("Failed to resolve the transaction:\nNo match for argument: ngnix\nNo match for argument: htppd"),
        "packages-not-found",
        REQUEST,
        False,
        ["ngnix", "htppd"],
    ),
    "a list of texts": (
        wrapped({"id": 21, "reason": "r", "details": ["no match for argument: ngnix"]}, 9, 5),
        "packages-not-found",
        REQUEST,
        False,
        ["ngnix"],
    ),
    "missing packages without names": (missing("eine Meldung"), "packages-not-found", REQUEST, False, ["Packages"]),
    "many missing packages": (
        missing(DNF4_MISSING + ", ".join(f"p{number}" for number in range(30))),
        "packages-not-found",
        REQUEST,
        False,
        ["p0, p1, p2, p3, p4 and 25 more"],
    ),
    "nothing provides": (
        unsolvable(
            DEPSOLVING + "conflicting requests\n  - nothing provides libfoo.so.1 needed by bar-1.0-1.el9.x86_64"
        ),
        "packages-conflict",
        REQUEST,
        False,
        ["bar-1.0-1.el9.x86_64 needs libfoo.so.1"],
    ),
    "a requirement that no candidate fulfils": (
        unsolvable(
            DEPSOLVING + "package a-1-1.noarch requires b >= 2, but none of the providers can be installed\n"
            "  - conflicting requests"
        ),
        "packages-conflict",
        REQUEST,
        False,
        ["a-1-1.noarch needs b >= 2"],
    ),
    "conflicting packages": (
        unsolvable(DEPSOLVING + "package a-1-1.noarch conflicts with b provided by b-2-1.noarch"),
        "packages-conflict",
        REQUEST,
        False,
        ["a-1-1.noarch conflicts with b"],
    ),
    "conflict in words unknown here": (unsolvable("Problem: 1"), "packages-conflict", REQUEST, False, ["together"]),
    "another error of the package manager": (
        wrapped({"id": 22, "reason": "DNF error occurred: InvalidRequest", "details": "x"}, 9, 5),
        "package-manager",
        PLATFORM,
        True,
        ["DNF error occurred: InvalidRequest."],
    ),
    "no package specifications": (error(24, "empty package set"), "invalid-request", REQUEST, False, ["empty package"]),
    # Repositories.
    "a repository of dnf4": (
        wrapped(
            {
                "id": 25,
                "reason": "DNF error occurred: RepoError",
                "details": f"{READING} [https://repo.example.com/9/x86_64]: Cannot download repomd.xml: Status 404",
            },
            9,
            5,
        ),
        "repository-unavailable",
        PLATFORM,
        True,
        ["https://repo.example.com/9/x86_64"],
    ),
    "a repository with credentials": (
        wrapped(
            {"id": 25, "reason": "r", "details": f"{READING} [https://u:secret@repo.example.com/a?token=secret]"}, 9, 5
        ),
        "repository-unavailable",
        PLATFORM,
        True,
        ["https://repo.example.com/a"],
    ),
    "a repository without its address": (
        wrapped({"id": 25, "reason": "r", "details": "Failed to download metadata for repo 'my-repo'"}, 9, 5),
        "repository-unavailable",
        PLATFORM,
        True,
        ["my-repo"],
    ),
    "a repository of which nothing is known": (error(25), "repository-unavailable", PLATFORM, True, ["A repository"]),
    "metadata": (error(23, "bad", "https://r.example.com/x"), "repository-metadata", PLATFORM, True, ["r.example.com"]),
    "an invalid address": (error(39, "bad url"), "repository-unavailable", PLATFORM, True, ["A repository"]),
    # Uploads.
    "an upload target": (
        error(28, "Target errors", [{"id": 4, "reason": "invalid target", "details": None}]),
        "upload-refused",
        REQUEST,
        False,
        ["upload target"],
    ),
    "sharing": (
        error(28, "Target errors", [{"id": 3, "reason": "unable to share ami with 123456789012", "details": None}]),
        "image-not-shared",
        REQUEST,
        False,
        ["123456789012"],
    ),
    "sharing with an address": (
        error(3, "sharing failed", {"account": "somebody@example.com"}),
        "image-not-shared",
        REQUEST,
        False,
        ["somebody@example.com"],
    ),
    "a configuration of the target": (error(2), "upload-refused", REQUEST, False, ["upload options"]),
    "an upload": (
        error(28, "Target errors", [{"id": 11, "reason": "upload failed", "details": "timeout"}]),
        "upload-refused",
        PLATFORM,
        True,
        ["upload to the cloud failed"],
    ),
    "an import": (error(12, "import failed"), "upload-refused", PLATFORM, True, ["Start the build again"]),
    "targets that are not listed": (error(28, "Target errors", "text"), "upload-refused", REQUEST, False, ["target"]),
    # Containers, OSTree, files.
    "a container": (
        error(30, "container", "quay.io/org/app:1.2: manifest unknown"),
        "container-not-found",
        REQUEST,
        False,
        ["quay.io/org/app:1.2"],
    ),
    "a container without a name": (error(30), "container-not-found", REQUEST, False, ["container image"]),
    "a registry": (
        error(31, "r", ["registry.example.com:5000/a/b"]),
        "container-registry",
        PLATFORM,
        True,
        ["registry.example.com:5000/a/b"],
    ),
    "an OSTree ref": (error(32, "invalid ref"), "ostree", PLATFORM, True, ["ostree"]),
    "an OSTree repository": (
        error(35, "r", "https://ostree.example.com/r"),
        "ostree",
        REQUEST,
        False,
        ["ostree.example"],
    ),
    "OSTree parameters": (error(34), "ostree", PLATFORM, True, ["OSTree"]),
    "a remote file": (error(36, "r", "https://f.example.com/k"), "file-not-found", PLATFORM, True, ["f.example.com/k"]),
    # The build itself.
    "osbuild": (
        error(10, "osbuild build failed", {"stage": "org.osbuild.rpm"}),
        "build-failed",
        PLATFORM,
        True,
        ["logs"],
    ),
    "a download during the build": (
        error(10, "osbuild build failed", "error downloading https://cdn.example.com/a.rpm"),
        "repository-unavailable",
        PLATFORM,
        True,
        ["cdn.example.com/a.rpm"],
    ),
    "mirrors": (
        error(10, "failed", ["No more mirrors to try"]),
        "repository-unavailable",
        PLATFORM,
        True,
        ["repository"],
    ),
    "a worker": (error(27, "worker did not respond"), "worker-lost", PLATFORM, True, ["again"]),
    "a crash": (error(37, "worker crashed"), "worker-lost", PLATFORM, True, ["again"]),
    "an empty manifest": (error(19), "invalid-request", REQUEST, False, ["empty image"]),
    "arguments": (error(1, "no dynamic arguments"), "invalid-request", REQUEST, False, ["no dynamic arguments"]),
    "a cancelled build": (error(0, "Cancelled"), "cancelled", REQUEST, True, ["cancelled"]),
    # Wrappers whose details do not hold an error.
    "a wrapper with a text": (
        error(5, "Error in depsolve job", "nothing to see"),
        "package-manager",
        PLATFORM,
        True,
        [],
    ),
    "a wrapper with missing packages": (
        error(9, "Manifest failed", DNF4_MISSING + "ngnix"),
        "packages-not-found",
        REQUEST,
        False,
        ["ngnix"],
    ),
    "a wrapper with a conflict": (
        error(5, "depsolve", ["nothing provides x needed by y-1-1.noarch"]),
        "packages-conflict",
        REQUEST,
        False,
        ["y-1-1.noarch"],
    ),
    "a wrapper without details": (error(26, "job failed"), "invalid-request", REQUEST, False, ["job failed."]),
    "a wrapper with an object without id": (error(9, "r", {"a": 1}), "invalid-request", REQUEST, False, ["r."]),
    # Everything else.
    "a worker's configuration": (error(17), "internal", PLATFORM, True, ["build service"]),
    "an old result": (error(18), "internal", PLATFORM, True, []),
    "a signature": (error(38), "internal", PLATFORM, True, []),
    "an id unknown here": (error(9999, "New kind of failure"), "internal", PLATFORM, True, ["New kind of failure."]),
    "an unknown id in a wrapper": (wrapped({"id": 777, "reason": "odd"}, 9, 5), "internal", PLATFORM, True, ["odd."]),
    "no reason": (error(9999, ""), "internal", PLATFORM, True, ["no reason was given."]),
    "a number for details": (error(25, "r", 7), "repository-unavailable", PLATFORM, True, []),
}


@pytest.mark.parametrize("case", CASES)
def test_a_failure_is_explained(case: str) -> None:
    failure, code, responsible, retryable, parts = CASES[case]
    found = explain(failure, similar)
    assert (found.code, found.responsible, found.retryable) == (code, responsible, retryable)
    assert [part for part in parts if part not in found.hint] == []
    assert "secret" not in found.hint


@pytest.mark.parametrize("case", CASES)
def test_a_hint_is_one_or_a_few_sentences(case: str) -> None:
    hint = explain(CASES[case][0]).hint
    assert re.fullmatch(r"[A-Z].*[.…]", hint, re.DOTALL)
    assert len(hint) < 2000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "reason", "details", "x"]), inner)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(identifier=st.integers(-5, 60), reason=st.text(max_size=50), details=json_values)
def test_any_error_has_a_code_and_a_hint(identifier: int, reason: str, details: Any) -> None:
    found = explain(BuildError(identifier, reason, details))
    assert found.code in FailureCode
    assert found.hint


@pytest.mark.parametrize(
    "text",
    ["a: " + "b, " * 300_000, "missing packages: " + "a" * 500_000, "http://" * 200_000, "[" * 500_000, "1" * 500_000],
    ids=["names", "a name", "addresses", "brackets", "digits"],
)
def test_long_details_cost_little(text: str) -> None:
    began = time.thread_time()
    for identifier in (3, 5, 10, 20, 21, 25, 30):
        explain(error(identifier, "r", text))
    assert time.thread_time() - began < SOON
