"""Linters of API descriptions have nothing to say about openapi.yaml."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import toolchains
from tests.support.service import PROJECT

pytestmark = pytest.mark.timeout(2 * toolchains.PATIENCE)
RULES = Path(__file__).parent / "lint"


@pytest.fixture(scope="module")
def linters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the rules, and the installed linters in `node_modules`."""
    folder = tmp_path_factory.mktemp("lint") / "lint"
    shutil.copytree(RULES, folder, ignore=shutil.ignore_patterns("node_modules"))
    toolchains.install_npm_packages(folder)
    # The list of tolerated findings names it beside itself.
    shutil.copy(PROJECT / "openapi.yaml", folder)
    return folder


def test_spectral_finds_nothing(linters: Path) -> None:
    command = ("spectral", "lint", "--ruleset", ".spectral.yaml", "--fail-severity", "hint", "openapi.yaml")
    toolchains.run(*command, folder=linters, path=linters / "node_modules/.bin")


def test_redocly_finds_nothing(linters: Path) -> None:
    command = ("redocly", "lint", "--config", "redocly.yaml", "openapi.yaml")
    toolchains.run(*command, folder=linters, path=linters / "node_modules/.bin")
