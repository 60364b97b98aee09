"""Repositories try to make the command read files outside them, by locations and redirects."""

import pytest

from adapters.repodata.download import Downloads
from adapters.repodata.repository import repository_packages
from domain.distributions import Repository
from domain.errors import UnavailableError
from tests.support.file_server import FileServer
from tests.support.rpm_repositories import RpmRepository, build_rpms


@pytest.fixture(scope="module")
def rpms(tmp_path_factory):
    return build_rpms(tmp_path_factory.mktemp("rpms"))


@pytest.fixture
def www(tmp_path):
    folder = tmp_path / "www"
    folder.mkdir()
    return folder


@pytest.fixture
def server(www):
    with FileServer(www) as running:
        yield running


@pytest.fixture
def elsewhere(www):
    with FileServer(www) as running:
        yield running


@pytest.fixture
def repository(www, rpms):
    return RpmRepository(www / "repo", rpms)


def names(server):
    with Downloads() as downloads:
        repository = Repository("r", rhsm=False, baseurl=f"{server.url}/repo", metalink=None)
        found = repository_packages(repository, "x86_64", downloads, 20.0, lambda *_: None)
    return [package.name for package in found]


def refusal(server):
    with pytest.raises(UnavailableError) as caught:
        names(server)
    return caught.value.detail


LEAVING = [
    "../other/primary.xml",
    "repodata/../../other/primary.xml",
    "repodata/..",
    "..",
    ".",
    "./primary.xml",
    "/other/primary.xml",
    "//127.0.0.1:1/primary.xml",
    "repodata//primary.xml",
    "http://127.0.0.1:1/primary.xml",
    "HTTPS://127.0.0.1:1/primary.xml",
    "file:///etc/passwd",
    "file:primary.xml",
    "%2e%2e/other/primary.xml",
    "%2E./other/primary.xml",
    ".%2e/other/primary.xml",
    "%252e%252e/other/primary.xml",
    "%25252e%25252e/other/primary.xml",
    "..%2fother%2fprimary.xml",
    "..%252fother/primary.xml",
    "repodata%2fprimary.xml",
    "%2fother/primary.xml",
    "..\\other\\primary.xml",
    "..%5cother%5cprimary.xml",
    "..%255cother/primary.xml",
    "\\\\127.0.0.1\\primary.xml",
    "..;/other/primary.xml",
    "..;a=b/other/primary.xml",
    "..%3b/other/primary.xml",
    "repodata/primary.xml;/../../other",
    "repodata/primary.xml?x=../",
    "repodata/primary.xml#x",
    "repodata/primary.xml%00.gz",
    "%c0%ae%c0%ae/other/primary.xml",
    "\uff0e\uff0e/other/primary.xml",
    "%ef%bc%8e%ef%bc%8e/other/primary.xml",
    "..&#9;/other/primary.xml",
    ".&#10;./other/primary.xml",
    "%0d%0aHost:%20other/primary.xml",
    "@127.0.0.1:1/primary.xml",
    "%",
    "%zz/primary.xml",
    "a" * 5000,
    "",
]


@pytest.mark.parametrize("location", LEAVING)
def test_a_location_outside_the_repository_is_refused_without_a_request(server, repository, location):
    repository.say("location", f'<location href="{location}"/>')
    assert "repomd.xml: the primary's location: " in refusal(server)
    assert server.asked == ["/repo/repodata/repomd.xml"]


@pytest.mark.parametrize("location", ["repodata/{}", "r%65podata/{}", "repodata/%{}"])
def test_a_location_inside_the_repository_is_accepted_in_every_notation(server, repository, location):
    name = repository.primary.name
    shown = f"{ord(name[0]):02x}{name[1:]}" if "%{}" in location else name
    repository.say("location", f'<location href="{location.format(shown)}"/>')
    assert "zsh" in names(server)


@pytest.mark.parametrize("part", ["repomd", "primary"])
@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("{elsewhere}{path}", "redirected to another host, 127.0.0.1:"),
        ("//localhost:{port}{path}", "redirected to another host, localhost:"),
        ("http://127.0.0.1@localhost:{port}{path}", "redirected to another host, localhost:"),
        ("http://127.0.0.1{path}", "redirected to another host, 127.0.0.1:80"),
        ("file://{file}", "redirected to file, neither http nor https"),
        ("FILE:///etc/passwd", "redirected to file, neither http nor https"),
        ("ftp://127.0.0.1{path}", "redirected to ftp, neither http nor https"),
        ("gopher:x", "redirected to gopher, neither http nor https"),
        ("http://[::1{path}", "redirected to an invalid address"),
        ("http://127.0.0.1:x{path}", "redirected to an invalid address"),
    ],
)
def test_a_redirect_to_another_host_or_scheme_is_refused(server, elsewhere, repository, part, target, reason):
    file = getattr(repository, part)
    path = f"/repo/repodata/{file.name}"
    port = server.url.rpartition(":")[2]
    server.elsewhere[path] = target.format(elsewhere=elsewhere.url, path=path, port=port, file=file)
    assert reason in refusal(server)
    assert elsewhere.asked == []


def test_a_redirect_to_the_same_host_is_followed(www, server, repository):
    primary = repository.primary.name
    (www / "repo").rename(www / "moved")
    server.elsewhere["/repo/repodata/repomd.xml"] = f"{server.url}/moved/repodata/repomd.xml"
    server.elsewhere[f"/repo/repodata/{primary}"] = f"../../moved/repodata/{primary}"
    assert "zsh" in names(server)
