"""`image-builder demo`: runs several builds as a client of the API, from the request to the image."""

from __future__ import annotations

import os
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

from adapters.embedded.platform import sample_data
from image_builder.cli.demo_service import DEFAULT_URL, find_or_start_service
from image_builder.cli.embedded import identity_header
from image_builder.cli.stop_signals import StartSignalHandler
from image_builder.telemetry.logs import DEMO_USER_AGENT

_BASE: Final = "/api/image-builder/v1"
_BLUEPRINT_IMAGES: Final = ("Guest image", "Google Cloud")
_FINAL_STATUSES: Final = frozenset({"success", "failure"})
# Seconds.
_POLL_INTERVAL: Final = 0.5
_REQUEST_TIMEOUT: Final = 10.0
# The package lookup of a check may take 20 s at the composer.
_CHECK_TIMEOUT: Final = 60.0
_MISSPELT: Final = "ngnix"
# Packages that let the stand-in composer report other errors (adapters/embedded/composer/build_errors.py).
_FAILURES: Final = {
    "with a package that is misspelt": "build-error-21",
    "with packages that conflict": "build-error-20",
    "with a repository that is away": "build-error-25",
    "with a stage that fails": "build-error-10",
    "shared with an unknown account": "build-error-3",
}

_BOOTC: Final = (
    "quay.io/redhat-services-prod/insights-management-tenant/image-builder-bootc-foundry/hummingbird-qcow2:latest"
)


@dataclass(slots=True)
class _Build:
    """A build of the demo: its request, its expected outcome, and its latest status."""

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
    help="URL of the service.  [default: the service that uses the data folder, or the one at "
    f"{DEFAULT_URL}, or one that the demo starts]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".data"),
    show_default=True,
    help="Data folder of a running `serve --embedded`.",
)
@click.option("--timeout", default=120, show_default=True, help="Time limit for all builds, in seconds.")
def demo(url: str | None, data: Path, timeout: int) -> None:
    """Check a request, queue builds for several clouds and of a blueprint, and show their progress and their list.

    Some of the builds are meant to fail; another is cancelled and run again. The exit status is 0 only if all builds
    end as expected.
    """
    console = Console()
    signal_handler = StartSignalHandler()
    with find_or_start_service(url, data, signal_handler, console) as running:
        api = _Api(running)
        builds = [_check_and_correct(api, console), *_builds()]
        for build in builds:
            build.id = api.start_compose(build.request)
        builds += _cancel_and_rerun(api)
        with _temporary_blueprint(api, console) as blueprint_id:
            builds += [
                _Build(f"{title}, of a blueprint", id=compose_id)
                for title, compose_id in zip(_BLUEPRINT_IMAGES, api.build_blueprint(blueprint_id), strict=True)
            ]
            _watch_builds(api, builds, console, time.monotonic() + timeout, signal_handler)
        for build in builds:
            _print_result(console, build)
        _print_list(console, api.list_composes(limit=len(builds)))
    wrong = [build.title for build in builds if build.outcome != build.expected]
    if wrong:
        raise click.ClickException(f"builds that did not end as expected: {', '.join(wrong)}")
    console.print("All builds ended as expected: some were meant to fail, one was cancelled, the others succeeded.")


class _Api:
    """A client of the API. Its methods raise ClickException for an error answer."""

    def __init__(self, url: str) -> None:
        self._base = url + _BASE
        self._session = requests.Session()
        self._session.headers.update({"x-rh-identity": identity_header(), "User-Agent": DEMO_USER_AGENT})

    def start_compose(self, request: dict[str, Any]) -> str:
        return str(self._call("POST", "/compose", request)["id"])

    def check(self, request: dict[str, Any]) -> dict[str, Any]:
        checked: dict[str, Any] = self._call("POST", "/compose/check", request, timeout=_CHECK_TIMEOUT)
        return checked

    def get_image_status(self, compose_id: str) -> dict[str, Any]:
        status: dict[str, Any] = self._call("GET", f"/composes/{compose_id}")["image_status"]
        return status

    def cancel(self, compose_id: str) -> None:
        self._call("POST", f"/composes/{compose_id}/cancel")

    def rerun(self, compose_id: str) -> str:
        return str(self._call("POST", f"/composes/{compose_id}/rerun")["id"])

    def list_composes(self, limit: int) -> list[dict[str, Any]]:
        composes: list[dict[str, Any]] = self._call("GET", f"/composes?limit={limit}")["data"]
        return composes

    def create_blueprint(self, blueprint: dict[str, Any]) -> str:
        return str(self._call("POST", "/blueprints", blueprint)["id"])

    def list_lint_errors(self, blueprint_id: str) -> list[str]:
        return [item["description"] for item in self._call("GET", f"/blueprints/{blueprint_id}")["lint"]["errors"]]

    def fix_blueprint(self, blueprint_id: str) -> None:
        self._call("POST", f"/experimental/blueprints/{blueprint_id}/fixup")

    def build_blueprint(self, blueprint_id: str) -> list[str]:
        return [started["id"] for started in self._call("POST", f"/blueprints/{blueprint_id}/compose")]

    def delete_blueprint(self, blueprint_id: str) -> None:
        self._call("DELETE", f"/blueprints/{blueprint_id}")

    def _call(self, method: str, path: str, body: object = None, timeout: float = _REQUEST_TIMEOUT) -> Any:
        response = self._session.request(method, self._base + path, json=body, timeout=timeout)
        if not response.ok:
            raise click.ClickException(f"{method} {path}: {response.status_code} {response.text}")
        return response.json() if response.content else None


@contextmanager
def _temporary_blueprint(api: _Api, console: Console) -> Iterator[str]:
    """Create a blueprint that follows a compliance policy, fix it, and delete it at the end."""
    blueprint_id = api.create_blueprint(_blueprint())
    try:
        missing = api.list_lint_errors(blueprint_id)
        console.print(
            f"Created a blueprint. It lacks {len(missing)} things that its policy requires: {missing[0]}, ...",
            soft_wrap=True,
        )
        api.fix_blueprint(blueprint_id)
        console.print(f"Fixed the blueprint. Now it lacks: {len(api.list_lint_errors(blueprint_id))}")
        yield blueprint_id
    finally:
        api.delete_blueprint(blueprint_id)


def _blueprint() -> dict[str, Any]:
    images = {"Guest image": ("guest-image", "aws.s3"), "Google Cloud": ("gcp", "gcp")}
    return {
        "name": f"demo {os.urandom(4).hex()}",
        "distribution": "rhel-9",
        "image_requests": [_image(*images[title]) for title in _BLUEPRINT_IMAGES],
        "customizations": {"openscap": {"policy_id": sample_data.POLICY_RHEL9}},
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
        *(_failing_build(title, package) for title, package in _FAILURES.items()),
    ]


def _failing_build(title: str, package: str) -> _Build:
    return _Build(title, _request("centos-9", "guest-image", "aws.s3", packages=[package]), expected="failure")


def _check_and_correct(api: _Api, console: Console) -> _Build:
    """Check a request with a misspelt package, and return the build of the corrected request.

    Raises ClickException if the check suggests no name, or finds an error in the corrected request.
    """
    misspelt = _request("centos-9", "guest-image", "aws.s3", packages=[_MISSPELT])
    console.print("Checking a request before it is built, POST /compose/check:")
    checked = api.check(misspelt)
    _print_problems(console, checked)
    suggestion = next((name for problem in checked["problems"] for name in problem["suggestions"]), None)
    if suggestion is None:
        raise click.ClickException(f"the check suggests no name for the package {_MISSPELT}")
    console.print(Text(f"Replaced {_MISSPELT} by {suggestion}. Checking the request again:"), soft_wrap=True)
    corrected = _request("centos-9", "guest-image", "aws.s3", packages=[suggestion])
    checked = api.check(corrected)
    _print_problems(console, checked)
    if not checked["valid"]:
        raise click.ClickException("the check finds an error in the corrected request")
    return _Build("the checked and corrected request", corrected)


def _print_problems(console: Console, checked: dict[str, Any]) -> None:
    """Print the problems that a check found, one item per line, as `_print_result` does."""
    for problem in checked["problems"]:
        style = "red" if problem["severity"] == "error" else "yellow"
        console.print(Text.assemble("  ", (problem["severity"], style), f": {problem['message']}"), soft_wrap=True)
        items = {"field": problem["path"], "code": problem["code"], "similar": ", ".join(problem["suggestions"])}
        for name, value in items.items():
            if value:
                console.print(Text(f"    {name}: {value}"), soft_wrap=True)
    if not checked["problems"]:
        packages = sum(image.get("packages", {}).get("count", 0) for image in checked["images"])
        console.print(f"  no problems; the image would have {packages} packages")


def _cancel_and_rerun(api: _Api) -> list[_Build]:
    """Start a build, cancel it, and run it again; return both builds."""
    request = _request("centos-9", "guest-image", "aws.s3")
    cancelled = _Build("a build that is cancelled", request, expected="failure", id=api.start_compose(request))
    api.cancel(cancelled.id)
    return [cancelled, _Build("the cancelled build, run again", request, id=api.rerun(cancelled.id))]


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


def _watch_builds(
    api: _Api, builds: list[_Build], console: Console, deadline: float, signal_handler: StartSignalHandler
) -> None:
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
        while any(build.outcome not in _FINAL_STATUSES for build in builds) and time.monotonic() < deadline:
            signal_handler.check()
            for build, task in zip(builds, tasks, strict=True):
                if build.outcome not in _FINAL_STATUSES:
                    build.status = api.get_image_status(build.id)
                    _show_progress(progress, task, build)
            time.sleep(_POLL_INTERVAL)


def _show_progress(progress: Progress, task: TaskID, build: _Build) -> None:
    steps = build.status.get("progress")
    completed = 100.0 if build.outcome in _FINAL_STATUSES else 0.0
    if steps and steps["total"] and build.outcome not in _FINAL_STATUSES:
        completed = 95.0 * steps["done"] / steps["total"]
    progress.update(task, completed=completed, status=build.outcome)
    if build.outcome in _FINAL_STATUSES:
        progress.stop_task(task)


def _print_result(console: Console, build: _Build) -> None:
    """Print the result, one item per line. Long lines are not wrapped, so that they can be copied and piped."""
    style = "green" if build.outcome == "success" else "red"
    console.print(Text.assemble((f"{build.outcome:<9}", style), build.title), soft_wrap=True)
    for name, value in (("id", build.id), *_result(build)):
        console.print(Text(f"  {name}: {value}"), soft_wrap=True)


def _print_list(console: Console, composes: list[dict[str, Any]]) -> None:
    """Print the latest builds as GET /composes lists them: status, name of the image, id."""
    console.print("The list of builds, GET /composes:")
    for compose in composes:
        # Services of earlier versions list no statuses.
        status = compose.get("image_status", {}).get("status", "unknown")
        console.print(Text(f"  {status:<9}{compose['image_name'] or '-':<18}{compose['id']}"), soft_wrap=True)


def _result(build: _Build) -> list[tuple[str, str]]:
    """The location of the image, or the error of the build, as names and values."""
    error = build.status.get("error")
    if error:
        reason = f"{error['reason']}: {error['details']}" if "details" in error else str(error["reason"])
        # Services of earlier versions do not explain failures.
        explanation = [(name, str(error[name])) for name in ("code", "responsible", "hint") if name in error]
        return [("error", reason), *explanation]
    options = build.status.get("upload_status", {}).get("options", {})
    return [(name, str(value)) for name, value in options.items()]
