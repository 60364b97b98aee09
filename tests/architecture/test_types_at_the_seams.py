"""`make check` proves that adapters implement their ports and that the composition root is well typed.

Each test changes one thing in a copy of the project so that two of its parts no longer fit together, and expects mypy
to report it where the parts meet. Adapters are found by their docstrings: "Implements ports.module.Protocol".
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.support.rounds import sampled
from tests.support.waiting import PATIENCE

PROJECT = Path(__file__).parents[2]
PACKAGES = ("domain", "ports", "adapters", "image_builder")
IMPLEMENTS = re.compile(r"(?:[Ii]mplements|[Ff]ulfils)\s+ports\.(\w+)\.(\w+)")


@dataclass(frozen=True)
class Method:
    """A method of an adapter that its port has too."""

    file: str
    adapter: str
    name: str
    line: int
    returns: ast.expr

    def __str__(self) -> str:
        return f"{self.adapter}.{self.name}"


def protocols() -> dict[tuple[str, str], set[str]]:
    """The methods of each port, by module and name."""
    return {
        (file.stem, node.name): {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
        for file in sorted((PROJECT / "ports").glob("*.py"))
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "Protocol" for base in node.bases)
    }


def implementations() -> Iterator[tuple[Path, ast.ClassDef | ast.FunctionDef, tuple[str, str]]]:
    """The classes and functions that implement a port, each with the port."""
    for package in ("adapters", "image_builder"):
        for file in sorted((PROJECT / package).rglob("*.py")):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.ClassDef | ast.FunctionDef):
                    for port in IMPLEMENTS.findall(ast.get_docstring(node) or ""):
                        yield file, node, port


@cache
def methods() -> list[Method]:
    """The methods of adapters that their ports have too."""
    ports = protocols()
    return [
        Method(str(file.relative_to(PROJECT)), node.name, each.name, each.lineno, each.returns)
        for file, node, port in implementations()
        if isinstance(node, ast.ClassDef) and file.is_relative_to(PROJECT / "adapters")
        for each in node.body
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name in ports[port]
        if each.returns is not None
    ]


class Copy:
    """A copy of the project that a mypy daemon checks again after each change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._modified = int(time.time())
        for package in PACKAGES:
            shutil.copytree(PROJECT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(PROJECT / "pyproject.toml", folder)

    def check(self, within: float = PATIENCE) -> str:
        """What mypy reports; empty for nothing. The first call starts the daemon, which reads everything."""
        ran = self._dmypy("run", "--timeout", "600", "--", within=within)
        assert ran.returncode in {0, 1}, ran.stdout + ran.stderr
        return "" if ran.returncode == 0 else ran.stdout

    def stop(self) -> None:
        """End the daemon."""
        self._dmypy("kill", within=PATIENCE)

    def report_of(self, file: str, change: Callable[[str], str]) -> str:
        """What mypy reports while a file is changed."""
        path = self.folder / file
        before = path.read_text()
        after = change(before)
        assert after != before, "the change changed nothing"
        self._write(path, after)
        try:
            return self.check()
        finally:
            self._write(path, before)

    def _write(self, path: Path, text: str) -> None:
        """Write a file that mypy must notice: it ignores a file of the same size, changed within the same second."""
        path.write_text(text)
        self._modified += 1
        os.utime(path, (self._modified, self._modified))

    def _dmypy(self, *words: str, within: float) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mypy.dmypy", *words]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=within, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    copied = Copy(tmp_path_factory.mktemp("seams"))
    try:
        assert copied.check(within=4 * PATIENCE) == ""
        yield copied
    finally:
        copied.stop()


def test_every_port_has_an_implementation() -> None:
    assert protocols().keys() - {port for _, _, port in implementations()} == set()


def test_a_docstring_that_names_a_port_names_one_that_exists() -> None:
    assert {port for _, _, port in implementations()} - protocols().keys() == set()


@pytest.mark.parametrize("method", sampled(methods(), 5), ids=str)
def test_an_adapter_whose_method_has_another_name_is_reported(copy: Copy, method: Method) -> None:
    def rename(text: str) -> str:
        lines = text.splitlines(keepends=True)
        lines[method.line - 1] = lines[method.line - 1].replace(f"def {method.name}(", f"def other_{method.name}(")
        return "".join(lines)

    assert_reported_at_the_seam(copy.report_of(method.file, rename), method.adapter)


@pytest.mark.parametrize("method", sampled(methods(), 5), ids=str)
def test_an_adapter_whose_method_returns_another_type_is_reported(copy: Copy, method: Method) -> None:
    def retype(text: str) -> str:
        lines = text.splitlines(keepends=True)
        returns = method.returns
        assert returns.end_col_offset is not None
        line = lines[returns.lineno - 1].encode()
        changed = line[: returns.col_offset] + b"type[complex]" + line[returns.end_col_offset :]
        lines[returns.lineno - 1] = changed.decode()
        return "".join(lines)

    assert_reported_at_the_seam(copy.report_of(method.file, retype), method.adapter)


def assert_reported_at_the_seam(report: str, adapter: str) -> None:
    """The report must name the place that hands out the adapter as its port, not only the adapter's own module."""
    seams = [
        line for line in report.splitlines() if line.startswith(("image_builder/", "adapters/")) and adapter in line
    ]
    assert seams, report or "mypy reported nothing"


COMPOSITION = "image_builder/composition/"


# By module of the composition root: a text and what replaces it, such that mypy must report the module.
CHANGES = {
    "adapters.py": {
        "swapped arguments": ("(settings.amounts, settings.window)", "(settings.window, settings.amounts)"),
        "swapped arguments of files": (
            "load_distributions(builds.distributions), load_",
            "load_allow_list(None), load_",
        ),
        "another adapter": ("PostgresStarts(container.database())", "PostgresAbandonedStarts(container.database())"),
        "a misspelt setting": ("settings.database.parameters", "settings.database.parameter"),
        "a section for a setting": ("container.settings().fingerprint_secret", "container.settings().builds"),
        "a text for a number": ("settings.serving.pool_size", "settings.serving.listen_address"),
    },
    "use_cases.py": {
        "swapped arguments": (
            "IdempotentRequests(container.idempotency_keys(), container.fingerprints())",
            "IdempotentRequests(container.fingerprints(), container.idempotency_keys())",
        ),
        "another port": ("composer=container.back_ends().composer,", "composer=container.back_ends().content_sources,"),
        "another provider": ("quotas=container.quotas()", "quotas=container.starts()"),
        "a misspelt provider": ("starts=container.starts()", "starts=container.stars()"),
    },
    "controllers.py": {
        "swapped arguments": (
            "SearchPackages(container.catalogue(), container.package_lists(),",
            "SearchPackages(container.package_lists(), container.catalogue(),",
        ),
        "another use case": ("blueprints=container.manage_blueprints()", "blueprints=container.start_composes()"),
        "an attribute for routes": ("container.oscap_controller().routes()", "container.oscap_controller().profiles"),
    },
    "back_ends.py": {
        "another adapter": ("composer_lookups=HttpComposer(lookups)", "composer_lookups=HttpCompliance(lookups)")
    },
    "container.py": {
        "another factory": ("adapters.create_quotas", "adapters.create_starts"),
        "a misspelt factory": ("adapters.create_database", "adapters.create_databases"),
    },
}


@pytest.mark.parametrize(
    ("file", "change"), sampled([(file, change) for file, changes in CHANGES.items() for change in changes], 5)
)
def test_a_composition_root_whose_parts_do_not_fit_is_reported(copy: Copy, file: str, change: str) -> None:
    old, new = CHANGES[file][change]
    path = f"image_builder/composition/{file}"
    assert path in copy.report_of(path, lambda text: text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('_database.integer("PGPORT", 5432', '_database.integer("PGPORT", "5432"'),
        ("port: int = _database.integer", "port: str = _database.integer"),
        ('_builds.number(\n        "COMPOSE_DEADLINE", 30.0', '_builds.seconds(\n        "COMPOSE_DEADLINE", 30.0'),
    ],
)
def test_a_setting_whose_default_or_type_does_not_fit_is_reported(copy: Copy, old: str, new: str) -> None:
    file = f"image_builder/configuration/{'serving' if '_database' in old else 'sections'}.py"
    assert file in copy.report_of(file, lambda text: text.replace(old, new, 1))
