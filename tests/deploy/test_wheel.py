"""The wheel contains everything that the service needs, and works without the checkout."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import pytest

from adapters.embedded.composer.process import StandInComposer
from adapters.files.distributions import load_distributions
from adapters.files.project_files import DISTRIBUTIONS
from image_builder import __version__
from tests.support import output
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.service import PATIENCE, PROJECT, Service
from tests.support.wheel import build_sdist, build_wheel, copy_sources, install

PACKAGED = Path("adapters", "files", "packaged")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files from which the wheel is built."""
    folder = tmp_path_factory.mktemp("wheel") / "sources"
    copy_sources(folder)
    return folder


@pytest.fixture(scope="module")
def wheel(sources: Path) -> Path:
    return build_wheel(sources, sources.parent / "dist")


@pytest.fixture(scope="module")
def python(wheel: Path) -> Path:
    """The interpreter of an environment in which the wheel is installed."""
    return install(wheel, wheel.parent.parent / "environment")


@pytest.fixture(scope="module")
def site_packages(python: Path) -> Path:
    return next(python.parents[1].glob("lib/python*/site-packages"))


def run(
    python: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the console command of the environment, without the environment variables of this process."""
    ended = subprocess.run(
        [python.with_name("image-builder"), *arguments],
        cwd=python.parents[1],
        env={"PATH": os.environ["PATH"], **(environment or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    output.said(" ".join(arguments), ended.stdout + ended.stderr)
    return ended


def test_the_installed_wheel_uses_no_file_of_the_checkout(python: Path, site_packages: Path) -> None:
    program = (
        "import adapters, domain, image_builder, ports; print(adapters.__path__ + domain.__path__ + ports.__path__)"
    )
    ended = subprocess.run([python, "-c", program], cwd="/", env={}, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == str([str(site_packages / name) for name in ("adapters", "domain", "ports")])


def test_the_wheel_contains_the_contract_and_the_distributions_of_the_checkout(site_packages: Path) -> None:
    packaged = site_packages / PACKAGED
    assert (packaged / "openapi.yaml").read_bytes() == (PROJECT / "openapi.yaml").read_bytes()
    files = [path.relative_to(DISTRIBUTIONS) for path in sorted(DISTRIBUTIONS.rglob("*")) if path.is_file()]
    different = [
        str(path)
        for path in files
        if (DISTRIBUTIONS / path).read_bytes() != (packaged / "distributions" / path).read_bytes()
    ]
    assert different == []
    # Aliases too, which are no links there.
    assert load_distributions(packaged / "distributions") == load_distributions(DISTRIBUTIONS)


def test_a_wheel_built_from_the_source_distribution_is_the_same(sources: Path, wheel: Path) -> None:
    archive = build_sdist(sources, sources.parent / "sdist")
    unpacked = sources.parent / "unpacked"
    with tarfile.open(archive) as files:
        files.extractall(unpacked, filter="data")
    again = build_wheel(next(unpacked.iterdir()), sources.parent / "again")
    with ZipFile(wheel) as first, ZipFile(again) as second:
        assert sorted(second.namelist()) == sorted(first.namelist())


def test_the_metadata_of_the_wheel_names_its_dependencies(site_packages: Path) -> None:
    (distribution,) = importlib.metadata.distributions(name="image-builder-api", path=[str(site_packages)])
    assert distribution.version == __version__
    required = {line.partition(";")[0].strip() for line in distribution.requires or () if "extra ==" not in line}
    assert required == {line for line in lines("runtime.in") if not line.startswith("#")}
    extra = {line.partition(";")[0].strip() for line in distribution.requires or () if 'extra == "embedded"' in line}
    assert extra == {line for line in lines("embedded.in") if not line.startswith(("#", "-r"))}
    assert distribution.metadata.get_all("Project-URL")
    assert distribution.metadata["License-Expression"] == "Apache-2.0"
    assert [f"{name}/py.typed" for name in ("adapters", "domain", "image_builder", "ports")] == sorted(
        str(file) for file in distribution.files or () if file.name == "py.typed"
    )


def lines(name: str) -> list[str]:
    return (PROJECT / "requirements" / name).read_text(encoding="utf-8").splitlines()


def test_the_command_of_the_wheel_prints_its_version(python: Path) -> None:
    assert run(python, "--version").stdout == f"image-builder {__version__}\n"


def test_the_command_of_the_wheel_checks_its_distributions(python: Path, site_packages: Path) -> None:
    ended = run(python, "distributions", "check")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1].startswith(f"{site_packages / PACKAGED / 'distributions'}: 0 errors")


def test_the_command_of_the_wheel_prints_the_configuration(python: Path) -> None:
    ended = run(python, "config", environment={"COMPOSER_URL": "http://127.0.0.1:1"})
    assert ended.returncode == 0, ended.stderr
    assert "COMPOSER_URL" in ended.stdout


@pytest.mark.parametrize("distribution", ["centos-9", "rhel-9"])
def test_the_wheel_migrates_a_database_and_starts_a_build(
    python: Path, empty_database: Parameters, composer: StandInComposer, distribution: str
) -> None:
    service = Service(empty_database, composer.url, environment={"PYTHONPATH": ""}, python=python)
    status, said = service.command("migrate")
    assert status == 0, said
    with service:
        build = service.client().compose(compose_request(distribution=distribution))
        assert service.client().get(f"/composes/{build}").json()["image_status"]["status"]


def test_the_stand_ins_of_the_wheel_start(python: Path) -> None:
    """`serve --embedded` and `demo` start the stand-ins besides PostgreSQL."""
    program = (
        "from adapters.embedded.composer.process import StandInComposer\n"
        "from adapters.embedded.platform.process import StandInPlatform\n"
        "with StandInComposer() as composer, StandInPlatform() as platform: print(composer.url, platform.url)"
    )
    ended = subprocess.run([python, "-c", program], cwd="/", env={}, capture_output=True, text=True, check=False)
    assert ended.stdout.count("http://127.0.0.1:") == 2, ended.stderr
