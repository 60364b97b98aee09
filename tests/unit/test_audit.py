"""`make audit`: what is wrong is an error, and not knowing is not the same as nothing being wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import PATIENCE
from tools.audit import unlocked

PROJECT = Path(__file__).parent.parent.parent
HASH = f"--hash=sha256:{'0' * 64}"
LOCKED = (
    f"one==1.0 \\\n    {HASH} \\\n    {HASH}\n    # via two\ntwo[more]==2.0 ; python_version < '4' \\\n    {HASH}\n"
)
ADVISORY = {
    "id": "PYSEC-1",
    "summary": "It does what it should not.",
    "affected": [
        {
            "package": {"name": "two", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}]}],
            "versions": ["2.0"],
        }
    ],
}


class Database(BaseHTTPRequestHandler):
    """A database of advisories that knows one, against the package `two`, if it knows any."""

    known: bool

    def do_POST(self) -> None:
        asked: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"vulns": [ADVISORY]} if self.known and asked["package"]["name"] == "two" else {}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        pass


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database of advisories; the parameter says whether it knows one."""
    handler = type("Known", (Database,), {"known": request.param})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


def audited(requirements: Path, osv_url: str) -> tuple[int, str]:
    """The exit status of an audit, and what it says."""
    command = [sys.executable, "tools/audit.py", "--requirements", str(requirements), "--osv-url", osv_url]
    ended = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, timeout=PATIENCE, check=False)
    return ended.returncode, ended.stdout.decode()


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    (tmp_path / "runtime.txt").write_text(LOCKED)
    return tmp_path


@pytest.mark.parametrize("lock", sorted(path.name for path in (PROJECT / "requirements").glob("*.txt")))
def test_every_requirement_of_ours_is_pinned_and_has_its_hashes(lock: str) -> None:
    assert unlocked((PROJECT / "requirements" / lock).read_text()) == []


@pytest.mark.parametrize(
    "loose",
    [
        "three==3.0",
        f"three>=3.0 {HASH}",
        f"three {HASH}",
        f"three @ https://example.com/three.whl {HASH}",
        "-e .",
        "--index-url https://example.com/simple",
        "three==3.0 --hash=md5:00000000000000000000000000000000",
    ],
)
def test_what_is_not_held_to_its_hashes_is_named(loose: str) -> None:
    assert unlocked(LOCKED + loose + "\n") == [loose.split(maxsplit=1)[0]]


@pytest.mark.parametrize("database", [True], indirect=True)
def test_an_advisory_is_an_error_and_is_named(requirements: Path, database: str) -> None:
    status, said = audited(requirements, database)
    assert status == 1
    assert "two 2.0: PYSEC-1 (mended in: 2.1)" in said


@pytest.mark.parametrize("database", [False], indirect=True)
def test_without_any_all_is_well(requirements: Path, database: str) -> None:
    status, said = audited(requirements, database)
    assert status == 0, said
    assert "none against 2 packages" in said


def test_a_database_that_cannot_be_asked_leaves_it_unknown(requirements: Path) -> None:
    status, said = audited(requirements, "http://127.0.0.1:9/v1/query")
    assert status == 3
    assert "NOT KNOWN" in said


@pytest.mark.parametrize("database", [False], indirect=True)
def test_a_requirement_without_a_hash_is_an_error(requirements: Path, database: str) -> None:
    (requirements / "more.txt").write_text("three==3.0\n")
    status, said = audited(requirements, database)
    assert status == 1
    assert "more.txt: three" in said
