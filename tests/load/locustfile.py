"""Users of the service as Locust plays them: most look at the user interface, some are scripts.

Five users share an organization. Locust is a process of its own (`make load`): it changes Python's sockets.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
import uuid
from pathlib import Path
from typing import Any

import click
from locust import FastHttpUser, between, constant_pacing, events, task

from tests.load.levels import Levels
from tests.support.builders import compose_request, identity, image_request

ROWS = 10
DONE = {"success", "failure"}
# Seconds a script waits for its build, and between two looks.
BUILT_WITHIN = 60
LOOK = 3
USERS_OF_AN_ORGANIZATION = 5
WORDS = ["vim", "kernel", "python3", "http", "a"]

levels = Levels()
numbers = itertools.count()


@events.request.add_listener
def counted(name: str, response_time: float, response: Any, **_: Any) -> None:
    """An answer, or none; Locust tells milliseconds."""
    levels.count(name, getattr(response, "status_code", 0) or 0, response_time / 1000)


@events.quitting.add_listener
def judged(environment: Any, **_: Any) -> None:
    """Whether the service levels were kept is what the run comes to."""
    click.echo(f"\n{levels}")
    environment.process_exit_code = 0 if levels.kept else 1
    if path := os.environ.get("LOAD_SUMMARY"):
        total = environment.stats.total
        # Once all have come and their pages poll.
        first, last = min(total.num_reqs_per_sec, default=0), max(total.num_reqs_per_sec, default=0)
        middle = (first + last) // 2
        steady = sum(count for second, count in total.num_reqs_per_sec.items() if second > middle)
        figures = {
            "requests": total.num_requests,
            "rate": round(steady / max(last - middle, 1), 1),
            "median": total.get_response_time_percentile(0.5),
            "p95": total.get_response_time_percentile(0.95),
            "levels": levels.summary(),
        }
        Path(path).write_text(json.dumps(figures))


class Caller(FastHttpUser):
    """Somebody of an organization, below the base path of the host."""

    abstract = True

    def on_start(self) -> None:
        """Be somebody; the identity is made up unless one is given."""
        organization = f"load-{next(numbers) // USERS_OF_AN_ORGANIZATION}"
        self.headers = {"x-rh-identity": os.environ.get("IDENTITY") or identity(organization)}

    def ask(self, method: str, path: str, name: str | None = None, body: Any = None) -> Any:
        """The document that comes back; None for any other answer than a good one."""
        answer = self.client.request(method, path, name=name or path, json=body, headers=self.headers)
        return answer.json() if answer.status_code in {200, 201} else None

    def status(self, compose: str) -> str:
        """How a build is doing."""
        document = self.ask("GET", f"/composes/{compose}", "/composes/{id}")
        return document["image_status"]["status"] if document else ""

    def blueprints(self, query: str = "") -> list[Any]:
        """The blueprints of a page."""
        document = self.ask("GET", f"/blueprints?limit={ROWS}{query}", "/blueprints")
        return document["data"] if document else []


class Page(Caller):
    """Has the page with the images open: it polls each row every eight seconds, and its user does something else."""

    weight = 4
    wait_time = constant_pacing(8)

    def on_start(self) -> None:
        """Open the page, and build something."""
        super().on_start()
        self.ask("GET", "/distributions")
        self.ask("GET", "/features")
        self.ask("POST", "/compose", body=compose_request())
        # Not all pages were opened in the same second.
        time.sleep(random.uniform(0, 8))  # noqa: S311 - nothing secret

    @task(3)
    def look(self) -> None:
        """Only the rows."""
        self.poll()

    @task(2)
    def open_a_blueprint(self) -> None:
        """The rows, the list of blueprints, one of them and what was built of it."""
        self.poll()
        for kept in self.blueprints()[:1]:
            self.ask("GET", f"/blueprints/{kept['id']}", "/blueprints/{id}")
            self.ask("GET", f"/blueprints/{kept['id']}/composes", "/blueprints/{id}/composes")

    @task(2)
    def search(self) -> None:
        """The rows, packages by a word, blueprints by another."""
        self.poll()
        word = random.choice(WORDS)  # noqa: S311
        self.ask("GET", f"/packages?distribution=centos-9&architecture=x86_64&search={word}", "/packages")
        self.blueprints("&search=load")

    @task(1)
    def build(self) -> None:
        """One more image."""
        self.ask("POST", "/compose", body=compose_request())

    def poll(self) -> None:
        """The list, and the status of each row."""
        document = self.ask("GET", f"/composes?limit={ROWS}", "/composes")
        for row in document["data"] if document else []:
            self.status(row["id"])


class Script(Caller):
    """A program that builds images and waits for them."""

    weight = 1
    wait_time = between(1, 5)

    @task(2)
    def build_of_a_blueprint(self) -> None:
        """Make a blueprint, build its image, and take it away again."""
        made = self.ask("POST", "/blueprints", body=blueprint())
        if made:
            path = f"/blueprints/{made['id']}"
            for build in self.ask("POST", f"{path}/compose", "/blueprints/{id}/compose") or []:
                self.wait_for(build["id"])
            self.client.delete(path, name="/blueprints/{id}", headers=self.headers)

    @task(2)
    def build_at_once(self) -> None:
        """Build an image without a blueprint."""
        build = self.ask("POST", "/compose", body=compose_request())
        if build:
            self.wait_for(build["id"])

    @task(1)
    def read_the_contract(self) -> None:
        """As generated clients do at times."""
        self.ask("GET", "/openapi.json")

    def wait_for(self, build: str) -> None:
        """Ask until the image is done."""
        deadline = time.monotonic() + BUILT_WITHIN
        while self.status(build) not in DONE and time.monotonic() < deadline:
            time.sleep(LOOK)


def blueprint() -> dict[str, Any]:
    """A CreateBlueprintRequest under a name that nobody has."""
    return {
        "name": f"load {uuid.uuid4().hex}",
        "distribution": "centos-9",
        "image_requests": [image_request()],
        "customizations": {"packages": ["nginx", "vim-enhanced"]},
    }
