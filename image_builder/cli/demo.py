"""`image-builder demo`: a few builds, from the request to the image, as a client sees them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
import requests
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from adapters.embedded.platform import known
from image_builder.cli.embedded import find_address, identity_header
from image_builder.cli.ending import SIGNALS, Ending
from image_builder.telemetry.logs import DEMO_USER_AGENT

_BASE: Final = "/api/image-builder/v1"
_DEFAULT_URL: Final = "http://127.0.0.1:8086"
_BLUEPRINT_IMAGES: Final = ("Guest image", "Google Cloud")
_FINAL: Final = frozenset({"success", "failure"})
_START_WITHIN: Final = 60.0
_END_WITHIN: Final = 60.0
_POLL: Final = 0.5
_TIMEOUT: Final = 10.0
_BOOTC: Final = (
    "quay.io/redhat-services-prod/insights-management-tenant/image-builder-bootc-foundry/hummingbird-qcow2:latest"
)


@dataclass(slots=True)
class _Build:
    """A build of the demo: what is asked for, how it is to end, and what became of it."""

    title: str
    request: dict[str, Any] = field(default_factory=dict)
    expected: str = "success"
    id: str = ""
    status: dict[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        return str(self.status.get("status", "pending"))


@click.command()
@click.option(
    "--url",
    help="The service to show.  [default: the one that uses the data folder, or the one at "
    f"{_DEFAULT_URL}, or one that is started for the demo]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".data"),
    show_default=True,
    help="Data folder of the `serve --embedded` to look for.",
)
@click.option("--timeout", default=120, show_default=True, help="Seconds after which the builds should have ended.")
def demo(url: str | None, data: Path, timeout: int) -> None:
    """Queue builds for several clouds, one of them bound to fail, and those of a blueprint, and watch them.

    Exit status 0 only if all ended as they should.
    """
    console = Console()
    ending = Ending()
    with _service(url, data, ending, console) as running:
        api = _Api(running)
        builds = _builds()
        for build in builds:
            build.id = api.start(build.request)
        with _kept_blueprint(api, console) as blueprint_id:
            builds += [
                _Build(f"{title}, of a blueprint", id=compose_id)
                for title, compose_id in zip(_BLUEPRINT_IMAGES, api.build(blueprint_id), strict=True)
            ]
            _watch(api, builds, console, time.monotonic() + timeout, ending)
    for build in builds:
        _print_result(console, build)
    wrong = [build.title for build in builds if build.outcome != build.expected]
    if wrong:
        raise click.ClickException(f"not as they should be: {', '.join(wrong)}")
    console.print("All ended as they should: one was told to fail, the others succeeded.")


class _Api:
    """The service as a client sees it."""

    def __init__(self, url: str) -> None:
        self._base = url + _BASE
        self._session = requests.Session()
        self._session.headers.update({"x-rh-identity": identity_header(), "User-Agent": DEMO_USER_AGENT})

    def start(self, request: dict[str, Any]) -> str:
        return str(self._answer("POST", "/compose", request)["id"])

    def status(self, compose_id: str) -> dict[str, Any]:
        status: dict[str, Any] = self._answer("GET", f"/composes/{compose_id}")["image_status"]
        return status

    def keep(self, blueprint: dict[str, Any]) -> str:
        return str(self._answer("POST", "/blueprints", blueprint)["id"])

    def lint(self, blueprint_id: str) -> list[str]:
        return [item["description"] for item in self._answer("GET", f"/blueprints/{blueprint_id}")["lint"]["errors"]]

    def fix(self, blueprint_id: str) -> None:
        self._answer("POST", f"/experimental/blueprints/{blueprint_id}/fixup")

    def build(self, blueprint_id: str) -> list[str]:
        return [started["id"] for started in self._answer("POST", f"/blueprints/{blueprint_id}/compose")]

    def delete(self, blueprint_id: str) -> None:
        self._answer("DELETE", f"/blueprints/{blueprint_id}")

    def _answer(self, method: str, path: str, body: object = None) -> Any:
        response = self._session.request(method, self._base + path, json=body, timeout=_TIMEOUT)
        if not response.ok:
            raise click.ClickException(f"{method} {path}: {response.status_code} {response.text}")
        return response.json() if response.content else None


@contextmanager
def _kept_blueprint(api: _Api, console: Console) -> Iterator[str]:
    """A blueprint that follows a compliance policy, for the while."""
    blueprint_id = api.keep(_blueprint())
    try:
        lacking = api.lint(blueprint_id)
        console.print(f"Kept a blueprint. Its policy asks for {len(lacking)} things it lacks: {lacking[0]}, ...")
        api.fix(blueprint_id)
        console.print(f"Mended it; what it lacks now: {len(api.lint(blueprint_id))}")
        yield blueprint_id
    finally:
        api.delete(blueprint_id)


def _blueprint() -> dict[str, Any]:
    images = {"Guest image": ("guest-image", "aws.s3"), "Google Cloud": ("gcp", "gcp")}
    return {
        "name": f"demo {os.urandom(4).hex()}",
        "distribution": "rhel-9",
        "image_requests": [_image(*images[title]) for title in _BLUEPRINT_IMAGES],
        "customizations": {"openscap": {"policy_id": known.POLICY_RHEL9}},
    }


def _builds() -> list[_Build]:
    return [
        _Build(
            "CentOS Stream 9 guest image",
            _request("centos-9", "guest-image", "aws.s3", packages=["vim-enhanced"]),
        ),
        _Build(
            "CentOS Stream 10 in AWS",
            _request("centos-10", "aws", "aws", {"share_with_accounts": ["123456789012"]}),
        ),
        _Build("RHEL 9 in Google Cloud", _request("rhel-9", "gcp", "gcp")),
        _Build(
            "RHEL 10 in Azure",
            _request(
                "rhel-10",
                "azure",
                "azure",
                {"tenant_id": "tenant", "subscription_id": "subscription", "resource_group": "images"},
            ),
        ),
        _Build("RHEL 8 in Oracle Cloud", _request("rhel-8", "oci", "oci.objectstorage")),
        _Build(
            "RHEL 9 of last March, by a source",
            _request("rhel-9", "aws", "aws", {"share_with_sources": ["1"]}, snapshot_date="2026-03-01"),
        ),
        _Build("Image mode guest image", _request(None, "guest-image", "aws.s3", bootc={"reference": _BOOTC})),
        _Build(
            "with a package that does not exist",
            _request("centos-9", "guest-image", "aws.s3", packages=["no-such-package"]),
            expected="failure",
        ),
    ]


def _request(
    distribution: str | None,
    image_type: str,
    upload: str,
    options: dict[str, Any] | None = None,
    *,
    packages: list[str] | None = None,
    bootc: dict[str, str] | None = None,
    snapshot_date: str | None = None,
) -> dict[str, Any]:
    image = _image(image_type, upload, options) | ({"snapshot_date": snapshot_date} if snapshot_date else {})
    source = {"bootc": bootc} if distribution is None else {"distribution": distribution}
    customizations = {"packages": packages} if packages else {}
    return {
        **source,
        "image_name": f"demo-{image_type}",
        "image_requests": [image],
        "customizations": customizations,
    }


def _image(image_type: str, upload: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "architecture": "x86_64",
        "image_type": image_type,
        "upload_request": {"type": upload, "options": options or {}},
    }


def _watch(api: _Api, builds: list[_Build], console: Console, deadline: float, ending: Ending) -> None:
    columns = (
        TextColumn("{task.description:<36}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[status]:<10}"),
        TimeElapsedColumn(),
    )
    if not console.is_terminal:
        console.print(f"Waiting for {len(builds)} builds ...")
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks = [progress.add_task(build.title, total=100, status="pending") for build in builds]
        while any(build.outcome not in _FINAL for build in builds) and time.monotonic() < deadline:
            ending.check()
            for build, task in zip(builds, tasks, strict=True):
                if build.outcome not in _FINAL:
                    build.status = api.status(build.id)
                    _show(progress, task, build)
            time.sleep(_POLL)


def _show(progress: Progress, task: TaskID, build: _Build) -> None:
    steps = build.status.get("progress")
    completed = 100.0 if build.outcome in _FINAL else 0.0
    if steps and steps["total"] and build.outcome not in _FINAL:
        completed = 95.0 * steps["done"] / steps["total"]
    progress.update(task, completed=completed, status=build.outcome)
    if build.outcome in _FINAL:
        progress.stop_task(task)


def _print_result(console: Console, build: _Build) -> None:
    """Print one fact a line: long ones are not broken, so that they can be copied at any width and out of a pipe."""
    style = "green" if build.outcome == "success" else "red"
    console.print(Text.assemble((f"{build.outcome:<9}", style), build.title), soft_wrap=True)
    for name, value in (("id", build.id), *_result(build)):
        console.print(Text(f"  {name}: {value}"), soft_wrap=True)


def _result(build: _Build) -> list[tuple[str, str]]:
    """Where the image is, or why the build failed: names and values."""
    error = build.status.get("error")
    if error:
        return [("error", f"{error['reason']}: {error['details']}" if "details" in error else str(error["reason"]))]
    options = build.status.get("upload_status", {}).get("options", {})
    return [(name, str(value)) for name, value in options.items()]


@contextmanager
def _service(url: str | None, data: Path, ending: Ending, console: Console) -> Iterator[str]:
    """The address of a running service: the one at `url`; without it one that is found, or started for the demo.

    Raises ClickException when the service does not answer or start.
    """
    if url is not None and not _answers(url):
        raise click.ClickException(f"No service answers at {url}, or it is not ready (GET {url}/ready)")
    candidates = [url] if url else [found for found in (find_address(data), _DEFAULT_URL) if found]
    running = next((candidate for candidate in candidates if _answers(candidate)), None)
    if running is not None:
        console.print(f"Using the service at {running}", soft_wrap=True)
        yield running
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = f"http://127.0.0.1:{port}"
    console.print(f"No service answers at {candidates[0]}; starting one for the demo at {own} ...", soft_wrap=True)
    with tempfile.TemporaryDirectory(dir="/var/tmp" if Path("/var/tmp").is_dir() else None) as folder:  # noqa: S108
        Path(folder).chmod(0o755)
        process = None
        try:
            process = _start(Path(folder, "data"), port)
            _wait_for(own, process, ending)
            yield own
        finally:
            # A further signal must not interrupt the clean-up.
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            if process is not None:
                _end(process)


def _start(data: Path, port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", "image_builder", "serve", "--embedded", "--data", str(data)],
        env={**os.environ, "LISTEN_ADDRESS": f"127.0.0.1:{port}", "LOG_LEVEL": "WARNING"},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], ending: Ending) -> None:
    deadline = time.monotonic() + _START_WITHIN
    while not _answers(url):
        ending.check()
        if process.poll() is not None or time.monotonic() > deadline:
            raise click.ClickException("the service for the demo does not start")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/ready", timeout=_TIMEOUT).ok
    except requests.RequestException:
        return False
