"""`demo` and `serve --embedded`: the service that the demo uses, and the effects of signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.embedded import Embedded, embedded
from tests.support.folders import open_folder
from tests.support.loopback import refused_url
from tests.support.ports import free_port
from tests.support.processes import command_of, running
from tests.support.rounds import sampled
from tests.support.service import PROJECT
from tests.support.waiting import PATIENCE

ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1", "COLUMNS": "80"}


def command(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "image_builder", *arguments],
        env=ENVIRONMENT | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def output(process: subprocess.Popen[str]) -> str:
    return process.communicate(timeout=PATIENCE)[0]


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


def is_gone(word: str) -> bool:
    deadline = time.monotonic() + PATIENCE
    while any(command_of(process) for process in running(word)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(command_of(process) for process in running(word))


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that has ended, and the service that it used."""

    service: Embedded
    status: int
    lines: list[str]


@pytest.fixture(scope="module")
def demo() -> Demo:
    """The demo at a service that runs already; both have ended."""
    with embedded() as service:
        process = command("demo", "--data", str(service.data))
        lines = output(process).splitlines()
    return Demo(service, process.returncode, lines)


def test_the_demo_uses_the_service_of_the_data_folder_and_does_not_wrap_lines(demo: Demo) -> None:
    said = demo.lines
    assert demo.status == 0, said
    assert said[0] == f"Using the service at {demo.service.url}"
    # Nothing is broken at 80 columns.
    assert len([line for line in said if line.startswith("  url: ") and ".qcow2?X-Amz-" in line]) == 6
    failed = said.index("failure  with a package that does not exist")
    explanation = " ".join(said[failed : failed + 8])
    assert "code: packages-not-found" in explanation
    assert "responsible: request" in explanation
    assert "no-such-package" in explanation.partition("hint: ")[2]
    codes = {line.removeprefix("  code: ") for line in said if line.startswith("  code: ")}
    assert codes == {
        *("packages-not-found", "packages-conflict", "repository-unavailable", "build-failed"),
        *("image-not-shared", "cancelled"),
    }
    hints = " ".join(line for line in said if line.startswith("  hint: "))
    for name in ("ngnix", "libfoo.so.1", "https://repo.invalid/os/", "logs", "123456789012"):
        assert name in hints
    cancelled = said.index("failure  a build that is cancelled")
    assert "  code: cancelled" in said[cancelled : cancelled + 8]
    assert "success  the cancelled build, run again" in said
    below = said[said.index("The list of builds, GET /composes:") + 1 :]
    listed = [line for line in below if line.startswith("  ")]
    assert [line.split()[0] for line in listed].count("failure") == 7
    assert {line.split()[0] for line in listed} == {"success", "failure"}
    assert not (demo.service.data / "address").exists()


def test_the_demo_checks_a_request_shows_the_suggestion_and_builds_the_corrected_request(demo: Demo) -> None:
    said = demo.lines
    begin = said.index("Checking a request before it is built, POST /compose/check:")
    shown = said[begin + 1 : begin + 7]
    assert shown == [
        "  error: ngnix does not exist in the repositories of the image",
        "    field: customizations.packages[0]",
        "    code: packages-not-found",
        "    similar: nginx",
        "Replaced ngnix by nginx. Checking the request again:",
        "  no problems; the image would have 9 packages",
    ]
    assert max(map(len, shown)) <= 80
    assert "success  the checked and corrected request" in said


def test_the_demo_of_a_named_service_never_starts_another_one() -> None:
    url = refused_url()
    demo = command("demo", "--url", url)
    assert f"No service answers at {url}" in output(demo)
    assert demo.returncode == 1


@pytest.mark.parametrize("number", sampled([signal.SIGTERM, signal.SIGHUP], 1))
def test_a_signal_to_the_demo_leaves_no_process_and_no_folder(folder: Path, number: signal.Signals) -> None:
    demo = command("demo", "--data", str(folder / "none"))
    assert demo.stdout
    first = demo.stdout.readline()
    assert "starting one for the demo" in first, first
    demo.stdout.readline()  # the service has started
    (service,) = [
        process
        for process in running("serve --embedded")
        if f"PPid:\t{demo.pid}\n" in Path(f"/proc/{process}/status").read_text()
    ]
    data = Path(command_of(service).split("--data ")[1].strip())
    demo.send_signal(number)
    output(demo)
    assert not data.parent.exists()
    assert is_gone(str(data))


@pytest.mark.parametrize("workers", sampled([1, 2], 1))
def test_a_closed_terminal_ends_serve_embedded_gracefully(folder: Path, workers: int) -> None:
    address = f"127.0.0.1:{free_port()}"
    data = folder / "with blanks in its name"
    process = command("serve", "--embedded", f"--data={data}", f"--workers={workers}", LISTEN_ADDRESS=address)
    assert process.stdout
    while not (line := process.stdout.readline()).startswith("Ctrl-C"):
        assert line, "the service does not start"
    os.killpg(process.pid, signal.SIGHUP)
    assert "Ended." in output(process)
    assert process.returncode == 0
    assert is_gone(str(data))


def test_an_address_in_use_is_reported_before_anything_is_started(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        process = command("serve", "--embedded", f"--data={folder / 'data'}", LISTEN_ADDRESS=address)
        said = output(process)
    assert process.returncode == 1
    assert said.startswith(f"Error: LISTEN_ADDRESS {address}: Address already in use. Choose another one, such as: ")
    assert "make run" in said
    assert not (folder / "data").exists()


def test_a_data_folder_that_cannot_be_created_is_reported_in_one_sentence(folder: Path) -> None:
    (folder / "file").touch()
    process = command("serve", "--embedded", f"--data={folder}/file/data", LISTEN_ADDRESS="127.0.0.1:0")
    said = output(process).splitlines()
    assert process.returncode == 1
    assert said[-1].startswith("Error: The embedded PostgreSQL cannot use")
    assert f"File exists ({folder}/file)" in said[-1]
