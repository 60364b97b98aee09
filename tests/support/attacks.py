"""Attacks of one organization, or of clients without an identity, with limited connections and time.

Each attack is within the default rate limits, and goes to a service on this machine.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any
from uuid import uuid4

import orjson
import requests
from psycopg.types.json import Jsonb

from tests.support import raw_http
from tests.support.blueprints import blueprint
from tests.support.builders import compose_request, identity, image_request
from tests.support.databases import Parameters, session
from tests.support.rows import now
from tests.support.waiting import PATIENCE

BASE = "/api/image-builder/v1"
MIB = 1024 * 1024
# A little less than the largest body.
_WHOLE = 4 * MIB - 20_000

Messages = Callable[["Target"], Sequence[bytes]]
Send = Callable[["Target", Sequence[bytes]], None]


@dataclass(slots=True)
class Target:
    """The attacked service and the attacking organization; the attack lasts until `ends` (of `time.monotonic`)."""

    url: str
    database: Parameters
    tenant: str = field(default_factory=lambda: uuid4().hex)
    ends: float = 0.0
    # Statuses of the answers that were read; None where a connection ended without one.
    answers: list[int | None] = field(default_factory=list)

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.ends

    def request(self, method: str, path: str, body: bytes | None = None, media_type: str = "application/json") -> bytes:
        headers = {"x-rh-identity": identity(self.tenant)}
        if body is not None:
            headers |= {"Content-Type": media_type, "Content-Length": str(len(body))}
        return raw_http.head(method, BASE + path, headers) + (body or b"")


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack with its name: its messages, which may take time to prepare, and a function that sends them in time."""

    name: str
    messages: Messages
    send: Send


# Ways of sending


def flood(connections: int = 16) -> Send:
    """Send the requests repeatedly over this number of connections, each after the answer to the previous one."""

    def send(target: Target, messages: Sequence[bytes]) -> None:
        def client(number: int) -> None:
            while target.goes_on:
                for message in messages[number % len(messages) :] + messages[: number % len(messages)]:
                    answer = None
                    with suppress(OSError):
                        answer = raw_http.send(target.url, message)
                    target.answers.append(None if answer is None else answer.status_code)
                    if answer is None:
                        time.sleep(0.05)
                    if not target.goes_on:
                        return

        _at_once(client, connections)

    return send


def silent(connections: int) -> Send:
    """Send a request, or a part of one, over each of this number of connections, and never read the answers."""

    def send(target: Target, messages: Sequence[bytes]) -> None:
        with ExitStack() as stack:
            for number in range(connections):
                if not target.goes_on:
                    break
                with suppress(OSError):
                    opened = stack.enter_context(_quiet(target.url))
                    opened.sendall(messages[number % len(messages)])
            while target.goes_on:
                time.sleep(0.1)

    return send


@contextmanager
def _quiet(url: str) -> Iterator[socket.socket]:
    """A connection whose client receives as little as possible."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.settimeout(1)
        opened.connect((host, int(port)))
        yield opened


def _at_once(work: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# What is sent


def composing(*bodies: bytes) -> Messages:
    """POST /compose with each of these bodies."""
    return lambda target: [target.request("POST", "/compose", body) for body in bodies]


def customized(**customizations: Any) -> bytes:
    """A ComposeRequest with these customizations."""
    return orjson.dumps(compose_request(customizations=customizations))


def filled(before: str, entry: str, after: str) -> bytes:
    """A ComposeRequest whose customizations have the maximum number of entries of a body."""
    start, end = json.dumps(compose_request(customizations={"@": 0})).split('"@": 0')
    count = (_WHOLE - len(start) - len(end)) // (len(entry) + 1)
    return "".join([start, before, ",".join([entry] * count), after, end]).encode()


def blueprint_of_toml(start: str, entry: str, end: str = "", size: int = _WHOLE) -> Messages:
    """POST /blueprints with TOML of the maximum number of entries for a body of this size."""

    def messages(target: Target) -> Sequence[bytes]:
        path = "/blueprints?architecture=x86_64&image_type=guest-image&upload_type=aws.s3"
        head = f'name = "{uuid4()}"\n'
        text = head + start + entry * ((size - len(head) - len(start) - len(end)) // len(entry)) + end
        return [target.request("POST", path, text.encode(), "application/toml")]

    return messages


def _file(size: int, character: str = "a", more: str = "") -> dict[str, Any]:
    return {"files": [{"path": "/etc/large", "data": character * size + more}]}


def _large_blueprint(target: Target, images: int) -> str:
    body = blueprint(
        str(uuid4()),
        *[image_request(options={"number": number}) for number in range(images)],
        customizations=_file(_WHOLE - 400_000 - 200 * images),
    )
    answer = requests.post(
        f"{target.url}{BASE}/blueprints",
        json=body,
        headers={"x-rh-identity": identity(target.tenant)},
        timeout=PATIENCE,
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _composing_a_blueprint(target: Target) -> Sequence[bytes]:
    return [target.request("POST", f"/blueprints/{_large_blueprint(target, 40)}/compose", b"{}")]


def _reading_a_blueprint(target: Target) -> Sequence[bytes]:
    made = _large_blueprint(target, 1)
    return [target.request("GET", f"/blueprints/{made}"), target.request("GET", f"/blueprints/{made}/export")]


_STORE = """
INSERT INTO composes (job_id, request, created_at, account_number, org_id)
SELECT gen_random_uuid(), %(request)s, %(now)s - n * interval '1 second', '', %(tenant)s FROM generate_series(1, 100) n
"""


def stored_builds(target: Target, request: Any) -> None:
    """A hundred composes of the target's organization with this request, inserted into its database."""
    with session(target.database) as connection:
        values = {"request": Jsonb(request, dumps=orjson.dumps), "now": now(), "tenant": target.tenant}
        connection.execute(_STORE, values)


def _listing(*paths: str) -> Messages:
    def messages(target: Target) -> Sequence[bytes]:
        stored_builds(target, compose_request(customizations=_file(_WHOLE)))
        return [target.request("GET", path) for path in paths]

    return messages


def _slow_bodies(target: Target) -> Sequence[bytes]:
    head = target.request("POST", "/compose", b"a" * (4 * MIB))
    return [head[:-1000]]


def _in_chunks(size: int, body: int) -> Messages:
    """POST /compose with a body of this number of bytes in chunks of this size."""

    def messages(target: Target) -> Sequence[bytes]:
        headers = {
            "x-rh-identity": identity(target.tenant),
            "Content-Type": "application/json",
            "Transfer-Encoding": "chunked",
        }
        chunk = b"%x\r\n%b\r\n" % (size, b"a" * size)
        return [raw_http.head("POST", f"{BASE}/compose", headers) + chunk * (body // size) + b"0\r\n\r\n"]

    return messages


_DOCS = raw_http.head("GET", "/docs/swagger-ui-bundle.js")
_OPENAPI = raw_http.head("GET", f"{BASE}/openapi.json")
_ENDLESS_HEAD = raw_http.head("GET", "/status", {"x-filler": "a" * 60_000})[:-2]

ATTACKS = (
    Attack("14,000 partitions that are none, 28 kB", composing(customized(disk={"partitions": [1] * 14_000})), flood()),
    Attack("a million packages that are none, 2 MB", composing(customized(packages=[1] * 1_000_000)), flood()),
    Attack("300,000 files without content, 4 MB", composing(filled('"files": [', '{"path":"/a"}', "]")), flood()),
    Attack("10,000 packages", composing(customized(packages=[f"p{n}" for n in range(10_000)])), flood()),
    Attack("empty objects, 4 MB", composing(filled('"x": [', "{}", "]")), flood()),
    Attack("unknown keys, 4 MB", composing(filled("", '"k": 1', "")), flood()),
    Attack("escapes, 4 MB", composing(customized(files=[{"path": "/a", "data": "\x01" * 690_000}])), flood()),
    Attack("lists 2 million deep", composing(b"[" * 2_000_000 + b"]" * 2_000_000), flood()),
    Attack("one file of 4 MB", composing(customized(**_file(_WHOLE))), flood()),
    Attack("one file of 4 MB with an emoji", composing(customized(**_file(_WHOLE, more="\U0001f600"))), flood()),
    Attack("chunks of one byte", _in_chunks(1, 400_000), flood(8)),
    Attack("chunks of three bytes, 4 MB", _in_chunks(3, _WHOLE), flood(8)),
    Attack("chunks of 128 bytes, 4 MB", _in_chunks(128, _WHOLE), flood(8)),
    Attack(
        "200 passwords of 512 bytes",
        composing(customized(users=[{"name": f"u{n}", "password": "p" * 512} for n in range(200)])),
        flood(),
    ),
    Attack("numbers in TOML, 4 MB", blueprint_of_toml("x = [", "1,", "]\n"), flood(8)),
    Attack("arrays in TOML, 4 MB", blueprint_of_toml("x = [", "[],", "]\n"), flood(8)),
    Attack("keys in TOML, 4 MB", blueprint_of_toml("", "a.b.c.d.e.f.g = 1\n"), flood(8)),
    Attack("a text in TOML, 4 MB", blueprint_of_toml('description = """', "a\n", '"""\n'), flood(8)),
    Attack("120 kB of line ends in TOML", blueprint_of_toml('description = """', "\\\n", '"""\n', 120_000), flood(40)),
    Attack("a blueprint of 3.6 MB with 40 images", _composing_a_blueprint, flood(8)),
    Attack("40 readers of a blueprint of 3.6 MB", _reading_a_blueprint, flood(40)),
    Attack("lists of 100 builds of 4 MB", _listing("/composes", "/composes?limit=50"), flood(16)),
    Attack("50 lists of 100 builds of 4 MB that are not read", _listing("/composes"), silent(50)),
    Attack("200 bodies of 4 MB that do not end", _slow_bodies, silent(200)),
    Attack("1,000 readers of the docs that do not read", lambda _: [_DOCS], silent(1000)),
    Attack("1,000 readers of openapi.json that do not read", lambda _: [_OPENAPI], silent(1000)),
    Attack("1,000 heads of 60 kB that do not end", lambda _: [_ENDLESS_HEAD], silent(1000)),
    Attack("3,000 idle connections", lambda _: [b"G"], silent(3000)),
)


@dataclass(slots=True)
class Neighbour:
    """Another organization: the times of its requests for /status and its list in seconds, and their failures."""

    status: list[float] = field(default_factory=list)
    composes: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def neighbour_until(url: str, ends: float) -> Neighbour:
    """Send requests repeatedly, each over a new connection, until `ends` (of `time.monotonic`)."""
    found = Neighbour()
    headers = {"x-rh-identity": identity(uuid4().hex)}

    def ask(path: str, times: list[float]) -> None:
        began = time.monotonic()
        try:
            answer = requests.get(url + path, headers=headers, timeout=PATIENCE)
            if answer.status_code != 200:
                found.failures.append(f"{path}: {answer.status_code} {answer.text}")
        except requests.RequestException as error:
            found.failures.append(f"{path}: {error}")
        times.append(time.monotonic() - began)

    while time.monotonic() < ends:
        ask("/status", found.status)
        ask(f"{BASE}/composes", found.composes)
        time.sleep(0.02)
    return found


def attacked(attack: Attack, url: str, database: Parameters, seconds: float) -> tuple[Target, Neighbour]:
    """Run an attack for some seconds while a neighbour sends requests from a separate process."""
    target = Target(url, database)
    with ProcessPoolExecutor(1, get_context("spawn")) as processes:
        processes.submit(int).result()  # it has started
        messages = attack.messages(target)
        target.ends = time.monotonic() + seconds
        neighbour = processes.submit(neighbour_until, url, target.ends)
        attack.send(target, messages)
        return target, neighbour.result()
