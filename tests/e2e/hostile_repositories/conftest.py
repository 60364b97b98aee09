"""A repository, and a distribution of which there is a list that must not come to harm."""

import pytest

from tests.support.file_server import FileServer
from tests.support.refreshing import LIST, a_repository, old_list, put
from tests.support.rpm_repositories import RpmRepository, build_rpms


@pytest.fixture(scope="module")
def rpms(tmp_path_factory):
    return build_rpms(tmp_path_factory.mktemp("rpms"))


@pytest.fixture
def www(tmp_path):
    folder = tmp_path / "www"
    (folder / "no-rpms").mkdir(parents=True)
    return folder


@pytest.fixture
def server(www):
    with FileServer(www) as running:
        yield running


@pytest.fixture
def repository(www, rpms):
    return RpmRepository(www / "repo", rpms)


@pytest.fixture
def directory(tmp_path):
    folder = tmp_path / "distributions"
    folder.mkdir()
    return folder


@pytest.fixture
def folder(directory, server):
    """The folder of a distribution that has one list."""
    made = put(directory, "test-9", a_repository("r", f"{server.url}/repo"), archs=["x86_64"])
    old_list(made, LIST)
    return made
