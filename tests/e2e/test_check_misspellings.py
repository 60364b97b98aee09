"""Suggestions of a check for a distribution that has a package list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.listed_distribution import write_listed_distribution
from tests.support.misspelt_packages import list_existing_names
from tests.support.service import Client, Service


@pytest.fixture(scope="module")
def listing_client(
    module_database: Parameters, composer_process: StandInComposer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """A client of a service whose distribution has 8,000 packages."""
    folder: Path = tmp_path_factory.mktemp("distributions")
    write_listed_distribution(folder, "centos-9", dict.fromkeys(list_existing_names(), "A package"))
    environment = {"DISTRIBUTIONS_DIR": str(folder)}
    with Service(module_database, composer_process.url, environment=environment) as service:
        yield service.client(uuid4().hex)


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [("ngnix", "nginx"), ("opensshserver", "openssh-server"), ("apache2", "httpd"), ("libssl-dev", "openssl-devel")],
)
def test_a_misspelt_package_comes_with_the_name_that_was_meant(
    listing_client: Client, composer: StandInComposer, misspelt: str, meant: str
) -> None:
    packages = ["nginx", misspelt] if meant != "nginx" else ["httpd", misspelt]
    answer = listing_client.post("/compose/check", compose_request(customizations={"packages": packages}))
    assert answer.status_code == 200, answer.text
    (problem,) = answer.json()["problems"]
    assert (problem["path"], problem["code"]) == ("customizations.packages[1]", "packages-not-found")
    assert problem["suggestions"][0] == meant
