"""refresh-packages against servers that try to harm terminals, other hosts, or existing package lists."""

import json
import os
import pty
import signal
import subprocess
import threading
import time
import unicodedata
from contextlib import ExitStack

import pytest

from tests.support.loopback import Loopback, answer
from tests.support.refreshing import (
    COMMAND,
    LIST,
    a_package,
    a_primary,
    a_repository,
    assert_left_alone,
    lists,
    old_list,
    put,
    run,
)
from tests.support.rpm_repositories import RpmRepository, metalink
from tests.support.service import PROJECT
from tests.support.waiting import PATIENCE, until

HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Erases the screen in C1, reverses what follows, ends a line for some terminals, deletes.
EVIL = "\x9b2J\u202eevil\u2028\x7f\x85"
EVIL_BYTES = b"\x1b[2J\x1b]0;evil\x07\x9b2J\x7f"


def harmful(text):
    return sorted({character for character in text if unicodedata.category(character) in HARMFUL} - {"\n"})


def put_plain(repository, content):
    repository.put_primary(content, content, "primary.xml")


SPOILT_DOCUMENTS = [
    lambda r: r.say("location", f'<location href="{EVIL}"/>'),
    lambda r: r.say("checksum", f'<checksum type="{EVIL}">00</checksum>'),
    lambda r: put_plain(r, a_primary(a_package(name=EVIL))),
    lambda r: put_plain(r, a_primary(a_package(name=f"a{EVIL}", version='epoch="x"'))),
    lambda r: put_plain(r, a_primary(f"<{'x' * 100}\u0300{EVIL}>")),
    lambda r: r.repomd.write_text(f"<{EVIL}/>"),
]
NO_PROPER_ANSWERS = [
    b"HTTP/1.1 404 " + EVIL_BYTES + b"\r\nContent-Length: 0\r\n\r\n",
    EVIL_BYTES + b" no HTTP\r\n\r\n",
    b"HTTP/1.1 " + EVIL_BYTES + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + EVIL_BYTES + b": no header\r\nfoo\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + EVIL_BYTES + b"\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://" + EVIL_BYTES + b"/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://a" + EVIL.encode() + b"/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: " + EVIL_BYTES + b":x\r\nContent-Length: 0\r\n\r\n",
]


def said(directory, distributions):
    """The output of the command for this number of distributions, which all fail, without control characters."""
    done = run(directory)
    assert done.returncode == 1
    assert done.stderr.count("Error: test-") == distributions
    assert harmful(done.stdout + done.stderr) == []


def test_texts_of_metadata_send_no_control_characters_to_a_terminal(directory, www, server, rpms):
    for number, spoil in enumerate(SPOILT_DOCUMENTS):
        spoil(RpmRepository(www / f"{number}", rpms))
        put(directory, f"test-{number}", a_repository("r", f"{server.url}/{number}"), archs=["x86_64"])
    said(directory, len(SPOILT_DOCUMENTS))


def test_invalid_answers_send_no_control_characters_to_a_terminal(directory):
    def sending(raw):
        def step(visit):
            visit.connection.sendall(raw)
            return False

        return step

    with ExitStack() as servers:
        for number, raw in enumerate(NO_PROPER_ANSWERS):
            server = servers.enter_context(Loopback(sending(raw)))
            put(directory, f"test-{number}", a_repository("r", server.url), archs=["x86_64"])
        said(directory, len(NO_PROPER_ANSWERS))


def test_addresses_of_mirrors_send_no_control_characters_to_a_terminal(directory, www, server):
    (www / "metalink").write_text(metalink("0" * 64, (1, f"{server.url}/{EVIL.replace(chr(0x85), '')}")))
    repository = {"id": "r", "rhsm": False, "metalink": f"{server.url}/metalink"}
    put(directory, "test-9", repository, archs=["x86_64"])
    said(directory, 1)


def test_texts_send_no_control_characters_to_a_terminal_with_progress_bars(directory, folder, repository):
    put_plain(repository, a_primary(a_package(name=f"zsh{EVIL}:warning:")))
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100", "PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen(
        [*COMMAND, "--directory", str(directory)], env=environment, stdout=theirs, stderr=theirs, stdin=theirs
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:
            break
    os.close(ours)
    assert process.wait(PATIENCE) == 1
    text = shown.decode()
    assert r"zsh\x9b2J\u202eevil\u2028\x7f\x85:warning:" in text
    assert not {"\x9b", "\u202e", "\u2028", "\x7f", "\x85"} & set(text)


def test_summaries_in_package_lists_contain_no_control_characters(directory, folder, repository):
    put_plain(repository, a_primary(a_package(summary=f"A shell,\n\t{EVIL} \u200fof \u05d0")))
    assert run(directory).returncode == 0
    assert json.loads((folder / LIST).read_text()) == [{"name": "zsh", "summary": "A shell, 2J evil  \u200fof \u05d0"}]


class TestListsThatAreThere:
    @pytest.fixture
    def nothing(self, www):

        return RpmRepository(www / "repo", www / "no-rpms")

    def test_a_repository_without_packages_does_not_replace_a_list(self, directory, folder, server, www, rpms, nothing):
        RpmRepository(www / "whole", rpms)
        other = put(directory, "test-8", a_repository("r", f"{server.url}/whole"), archs=["x86_64"])
        done = run(directory)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == (
            "Error: test-9 x86_64 r: the repository has no packages, but the current list has some; "
            "the lists of the distribution are unchanged"
        )
        assert_left_alone(folder)
        assert len(lists(other)) == 1

    def test_a_repository_with_only_other_architectures_does_not_replace_a_list(self, directory, folder, repository):
        put_plain(repository, a_primary(a_package().replace("noarch", "s390x")))
        assert run(directory).returncode == 1
        assert_left_alone(folder)

    @pytest.mark.parametrize("old", [None, "[]", "[]\n", "[\n]\n", " [ ] "])
    def test_an_empty_repository_creates_an_empty_list_if_there_is_none_or_an_empty_one(
        self, directory, folder, nothing, old
    ):
        (folder / LIST).unlink()
        if old is not None:
            (folder / LIST).write_text(old)
        assert run(directory).returncode == 0
        assert json.loads((folder / LIST).read_text()) == []

    @pytest.mark.parametrize("old", ["", "{", '[{"name": "cut'])
    def test_a_damaged_list_does_not_count_as_empty(self, directory, folder, nothing, old):
        (folder / LIST).write_text(old)
        assert run(directory).returncode == 1
        assert (folder / LIST).read_text() == old

    def test_of_two_concurrent_refreshes_one_writes_and_the_other_reports_the_conflict(self, directory, repository):
        second_has_ended = threading.Event()

        def late_primary(visit):
            second_has_ended.wait(PATIENCE)
            return answer(200, repository.primary.read_bytes())(visit)

        with Loopback(answer(200, repository.repomd.read_bytes()), late_primary) as server:
            folder = put(directory, "test-9", a_repository("r", server.url), archs=["x86_64"])
            old_list(folder, LIST)
            first = subprocess.Popen([*COMMAND, "--directory", str(directory)], cwd=PROJECT)
            until(lambda: len(server.asked) == 2, "the first one downloads")
            second = run(directory)
            assert_left_alone(folder)
            second_has_ended.set()
            assert first.wait(PATIENCE) == 0
        assert second.returncode == 1
        assert "is being refreshed by another process" in second.stderr
        assert len(json.loads((folder / LIST).read_text())) == 4

    def test_a_killed_refresh_leaves_either_the_old_or_the_new_list(self, directory, folder, repository):
        names = [f"{number:06}" for number in range(20_000)]
        put_plain(repository, a_primary(*(a_package(name=name) for name in names)))
        beside = folder / f".{LIST}.new"
        for number in range(3):
            old_list(folder, LIST)
            old = (folder / LIST).read_text()
            beside.unlink(missing_ok=True)
            process = subprocess.Popen(
                [*COMMAND, "--directory", str(directory)], stderr=subprocess.DEVNULL, cwd=PROJECT
            )
            deadline = time.monotonic() + PATIENCE
            while not beside.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(number * 0.002)
            process.send_signal(signal.SIGKILL)
            process.wait()
            text = (folder / LIST).read_text()
            assert text == old or [each["name"] for each in json.loads(text)] == names
        assert run(directory).returncode == 0
        assert list(lists(folder)) == [LIST]
        assert [each["name"] for each in json.loads((folder / LIST).read_text())] == names
