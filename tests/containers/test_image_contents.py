"""What is in the image, and what is not."""

from __future__ import annotations

import json
import re
from typing import Any

import docker
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from image_builder import __version__
from tests.support.containers import ended
from tests.support.service import PROJECT

INSTALLED = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
WRITABLE = "import os; print([p for top in ('/app', '/usr', '/etc') for f, d, n in os.walk(top) for p in [f, *(os.path.join(f, x) for x in n)] if os.access(p, os.W_OK) and not os.path.islink(p)])"  # noqa: E501


def told(engine: docker.DockerClient, image: str, *command: str, **options: Any) -> str:
    status, output = ended(engine, image, command, **options)
    assert status == 0, output
    return output


@pytest.fixture(scope="module")
def installed(engine: docker.DockerClient, image: str) -> dict[str, str]:
    """The Python packages in the image, by their canonical names."""
    found = json.loads(told(engine, image, "/app/.venv/bin/python", "-c", INSTALLED))
    return {str(canonicalize_name(name)): version for name, version in found.items()}


@pytest.fixture(scope="module")
def sbom(engine: docker.DockerClient, image: str) -> str:
    return told(engine, image, "cat", "/app/sbom.cdx.json")


def components(sbom: str, prefix: str) -> dict[str, str]:
    """Versions by name, of the components whose package URL begins so."""
    found = json.loads(sbom)["components"]
    return {each["name"]: each["version"] for each in found if each["purl"].startswith(prefix)}


def locked() -> set[tuple[str, str]]:
    """Names and versions; some have one for each version of Python."""
    lines = (PROJECT / "requirements/runtime.txt").read_text().splitlines()
    found = (re.match(r"([\w.-]+)==([^\s;]+)", line) for line in lines)
    return {(str(canonicalize_name(match[1])), match[2]) for match in found if match}


def test_the_folder_of_the_service_holds_nothing_but_the_service(engine: docker.DockerClient, image: str) -> None:
    names = set(told(engine, image, "ls", "-A", "/app").split())
    assert {name for name in names if not name.endswith(".egg-info")} == {
        ".venv",
        "LICENSE",
        "README.md",
        "adapters",
        "config",
        "distributions",
        "domain",
        "image-builder",
        "image-builder-health",
        "image-builder-maintenance",
        "image-builder-migrate-db-tern",
        "image_builder",
        "openapi.yaml",
        "ports",
        "pyproject.toml",
        "sbom.cdx.json",
    }


def test_what_is_installed_is_what_was_locked(installed: dict[str, str]) -> None:
    assert {each for each in installed.items() if each[0] != "image-builder-api"} <= locked()


def test_what_building_took_is_not_shipped(engine: docker.DockerClient, image: str, installed: dict[str, str]) -> None:
    assert not {"pip", "pytest", "cyclonedx-bom"} & installed.keys()
    status, _ = ended(engine, image, ["test", "-e", "/build"])
    assert status == 1
    configuration = engine.images.get(image).attrs["Config"]
    assert not [each for each in configuration["Env"] if each.startswith("PIP_")]


def test_it_does_not_run_as_root(engine: docker.DockerClient, image: str) -> None:
    assert engine.images.get(image).attrs["Config"]["User"] == "1001:0"


@pytest.mark.parametrize("user", ["1001:0", "1234567:0"])
def test_its_user_could_write_nothing_of_it_anyway(engine: docker.DockerClient, image: str, user: str) -> None:
    assert told(engine, image, "python3", "-c", WRITABLE, user=user, read_only=False).strip() == "[]"


def test_the_sbom_is_valid(sbom: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom) is None


def test_the_sbom_tells_every_python_package_that_is_installed(sbom: str, installed: dict[str, str]) -> None:
    found = {str(canonicalize_name(name)): version for name, version in components(sbom, "pkg:pypi/").items()}
    assert found == {name: version for name, version in installed.items() if name != "image-builder-api"}


def test_the_sbom_tells_the_packages_of_the_system(engine: docker.DockerClient, image: str, sbom: str) -> None:
    packages = told(engine, image, "dpkg-query", "-W", "-f", "${Package} ${Version}\\n").splitlines()
    assert components(sbom, "pkg:deb/debian/") == dict(line.split() for line in packages)


def test_the_sbom_tells_what_the_service_itself_needs(sbom: str) -> None:
    document = json.loads(sbom)
    root = document["metadata"]["component"]
    needed = next(each["dependsOn"] for each in document["dependencies"] if each["ref"] == root["bom-ref"])
    assert (root["name"], root["version"]) == ("image-builder-api", __version__)
    assert {canonicalize_name(ref.partition("==")[0]) for ref in needed} >= {"connexion", "psycopg", "structlog"}
