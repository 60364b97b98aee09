import json
import os
import pty
import re
import ssl
import subprocess
import sys
import time

import pytest
import trustme
import zstandard

from adapters.files.distributions import find_problems
from tests.support.domain_builders import accept_customizations
from tests.support.file_server import FileServer
from tests.support.loopback import Loopback, hang
from tests.support.refreshing import COMMAND, a_repository, lists, old_list, put, run
from tests.support.rpm_repositories import AARCH64, X86_64, RpmRepository, build_rpms, metalink
from tests.support.service import PROJECT
from tests.support.waiting import PATIENCE, SOON


@pytest.fixture(scope="module")
def rpms(tmp_path_factory):
    return build_rpms(tmp_path_factory.mktemp("rpms"))


@pytest.fixture
def www(tmp_path, rpms):
    folder = tmp_path / "www"
    folder.mkdir()
    for name, compression in (("baseos", "gz"), ("appstream", "xz"), ("extras", "zstd")):
        RpmRepository(folder / name, rpms, compression)
    return folder


@pytest.fixture
def server(www):
    with FileServer(www) as running:
        yield running


@pytest.fixture
def directory(tmp_path):
    folder = tmp_path / "distributions"
    folder.mkdir()
    return folder


def pairs(path):
    packages = json.loads(path.read_text())
    assert all(set(package) == {"name", "summary"} for package in packages)
    return [(package["name"], package["summary"]) for package in packages]


def test_each_repository_of_each_architecture_gets_a_list(directory, server):
    repositories = (a_repository(id_, f"{server.url}/{id_}") for id_ in ("baseos", "appstream", "extras"))
    folder = put(directory, "test-9", *repositories)
    done = run(directory, "test-9")
    assert (done.returncode, done.stdout) == (0, "test-9: 6 package lists written\n")
    for id_ in ("baseos", "appstream", "extras"):
        assert pairs(folder / f"test-9-x86_64-{id_}-packages.json") == X86_64
        assert pairs(folder / f"test-9-aarch64-{id_}-packages.json") == AARCH64
    assert find_problems(directory, accept_customizations) == []  # `distributions check` finds all lists


def test_without_a_terminal_each_repository_is_reported_in_a_plain_line(directory, server):
    put(directory, "test-9", a_repository("baseos", f"{server.url}/baseos"))
    assert run(directory).stderr == "test-9 x86_64 baseos: 4 packages\ntest-9 aarch64 baseos: 4 packages\n"


def test_on_a_terminal_there_are_progress_bars(directory, server):
    put(directory, "test-9", a_repository("baseos", f"{server.url}/baseos"))
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100", "PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen(
        [*COMMAND, "--directory", str(directory)], env=environment, stdout=theirs, stderr=theirs, stdin=theirs
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # Linux' way to say that the other end is closed
            break
    os.close(ours)
    assert process.wait(PATIENCE) == 0
    assert "━" in shown.decode()
    assert re.search(r"test-9 x86_64 baseos: 4 packages", shown.decode())
    assert "test-9: 2 package lists written" in shown.decode()


def test_without_a_name_all_distributions_with_repositories_are_refreshed_once(directory, server):
    one = put(directory, "test-8", a_repository("baseos", f"{server.url}/baseos"), archs=["x86_64"])
    other = put(directory, "test-9.4", a_repository("baseos", f"{server.url}/baseos"), archs=["x86_64"])
    (directory / "test-9").symlink_to("test-9.4")
    put(directory, "image-mode")
    done = run(directory)
    assert done.returncode == 0
    assert list(lists(one)) == ["test-8-x86_64-baseos-packages.json"]
    assert list(lists(other)) == ["test-9.4-x86_64-baseos-packages.json"]
    assert len(done.stdout.splitlines()) == 2


def test_refreshing_an_alias_refreshes_its_target(directory, server):
    folder = put(directory, "test-9.4", a_repository("baseos", f"{server.url}/baseos"), archs=["x86_64"])
    (directory / "test-9").symlink_to("test-9.4")
    assert run(directory, "test-9").returncode == 0
    assert list(lists(folder)) == ["test-9.4-x86_64-baseos-packages.json"]


def test_lists_are_named_after_the_name_in_the_distribution_file(directory, server):
    folder = put(directory, "test-9-nightly", a_repository("r", f"{server.url}/baseos"), canonical="test-99")
    assert run(directory).returncode == 0
    assert sorted(lists(folder)) == ["test-99-aarch64-r-packages.json", "test-99-x86_64-r-packages.json"]


def test_unknown_names_and_distributions_without_repositories_are_reported_and_others_are_refreshed(directory, server):
    folder = put(directory, "test-9", a_repository("baseos", f"{server.url}/baseos"))
    put(directory, "image-mode")
    done = run(directory, "nonsense", "image-mode", "test-9")
    assert done.returncode == 1
    assert f"Error: nonsense: no such distribution in {directory}\n" in done.stderr
    assert "Error: image-mode: the distribution has no repositories\n" in done.stderr
    assert len(lists(folder)) == 2


def truncate(path):
    path.write_bytes(path.read_bytes()[:-10])


def tamper(path):
    path.write_bytes(path.read_bytes()[:-1] + b"?")


@pytest.mark.parametrize("damage", [truncate, tamper])
def test_a_damaged_repository_keeps_the_lists_of_its_distribution_and_others_are_refreshed(
    directory, server, www, damage
):
    good = a_repository("baseos", f"{server.url}/baseos")
    bad = put(directory, "test-8", good, a_repository("appstream", f"{server.url}/appstream"))
    whole = put(directory, "test-9", good)
    old_list(bad, "test-8-x86_64-baseos-packages.json", "test-8-x86_64-appstream-packages.json")
    before = lists(bad)
    damage(next((www / "appstream" / "repodata").glob("*-primary.xml.xz")))
    done = run(directory)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    assert len(errors) == 1
    assert errors[0].startswith(f"Error: test-8 x86_64 appstream: {server.url}/appstream: repodata/")
    assert errors[0].endswith(
        "primary.xml.xz does not have the sha256 checksum that repomd.xml gives; "
        "the lists of the distribution are unchanged"
    )
    assert lists(bad) == before
    assert len(lists(whole)) == 2


def test_a_decompression_bomb_uses_little_memory(directory, server, www):
    repository = RpmRepository(www / "bomb", directory)
    bomb = zstandard.compress(b"<metadata><a b='" + b"x" * 500_000_000)
    repository.put_primary(bomb, b"", "primary.xml.zst")
    repository.say("open-size", "")
    put(directory, "test-9", a_repository("bomb", f"{server.url}/bomb"))
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_DATA, (300_000_000,) * 2);"
        "from image_builder.cli import main; main(['distributions', 'refresh-packages'])"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "DISTRIBUTIONS_DIR": str(directory)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert "a tag or a comment is longer than 1048576 bytes" in done.stderr


def test_a_hanging_server_is_given_up_and_reported(directory):
    with Loopback(hang) as server:
        put(directory, "test-9", a_repository("baseos", server.url), archs=["aarch64"])
        started = time.monotonic()
        done = run(directory, "--timeout", 1)
        assert time.monotonic() - started < SOON
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: test-9 aarch64 baseos: {server.url}: repomd.xml: ")


def test_the_mirrors_of_a_metalink_are_used(directory, server, www, rpms):
    checksum = RpmRepository(www / "mirror", rpms).checksum
    mirrors = ((2, f"{server.url}/gone"), (1, f"{server.url}/mirror"))
    (www / "metalink").write_text(metalink(checksum, *mirrors))
    repository = {"id": "updates", "rhsm": False, "metalink": f"{server.url}/metalink?repo=a&arch=x86_64"}
    folder = put(directory, "test-9", repository, archs=["x86_64"])
    assert run(directory).returncode == 0
    assert pairs(folder / "test-9-x86_64-updates-packages.json") == X86_64


class TestRedHatRepositories:
    @pytest.fixture
    def certificates(self, tmp_path):
        authority = trustme.CA()
        files = {"ca": tmp_path / "ca.pem", "cert": tmp_path / "cert.pem", "key": tmp_path / "key.pem"}
        authority.cert_pem.write_to_path(files["ca"])
        client = authority.issue_cert("client@example.com")
        client.cert_chain_pems[0].write_to_path(files["cert"])
        client.private_key_pem.write_to_path(files["key"])
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        authority.configure_trust(tls)
        tls.verify_mode = ssl.CERT_REQUIRED
        return files | {"tls": tls}

    @pytest.fixture
    def cdn(self, www, certificates):
        with FileServer(www, certificates["tls"]) as running:
            yield running

    @pytest.fixture
    def folder(self, directory, cdn, server):
        repositories = (
            a_repository("baseos", f"{cdn.url}/baseos", rhsm=True),
            a_repository("extras", f"{server.url}/extras"),
        )
        return put(directory, "rhel-9.9", *repositories, archs=["x86_64"])

    def test_without_a_certificate_rhel_repositories_are_skipped_with_a_message_and_keep_their_lists(
        self, directory, folder
    ):
        old_list(folder, "rhel-9.9-x86_64-baseos-packages.json")
        before = lists(folder)
        done = run(directory)
        assert done.returncode == 0
        assert (
            "rhel-9.9 x86_64 baseos: skipped: it requires a client certificate (--client-cert); its list is unchanged\n"
        ) in done.stderr
        assert done.stdout == "rhel-9.9: 1 package lists written\n"
        after = lists(folder)
        assert after.pop("rhel-9.9-x86_64-extras-packages.json")
        assert after == before

    def test_with_a_certificate_rhel_repositories_are_read(self, directory, folder, certificates):
        options = (
            "--client-cert",
            certificates["cert"],
            "--client-key",
            certificates["key"],
            "--ca",
            certificates["ca"],
        )
        done = run(directory, *options)
        assert (done.returncode, done.stdout) == (0, "rhel-9.9: 2 package lists written\n"), done.stderr
        assert pairs(folder / "rhel-9.9-x86_64-baseos-packages.json") == X86_64

    @pytest.mark.usefixtures("folder")
    def test_certificate_and_key_may_be_one_file(self, directory, certificates, tmp_path):
        both = tmp_path / "both.pem"
        both.write_bytes(certificates["cert"].read_bytes() + certificates["key"].read_bytes())
        assert run(directory, "--client-cert", both, "--ca", certificates["ca"]).returncode == 0

    @pytest.mark.usefixtures("folder")
    def test_a_server_without_a_certificate_of_the_given_authority_is_not_trusted(self, directory, certificates):
        done = run(directory, "--client-cert", certificates["cert"], "--client-key", certificates["key"])
        assert done.returncode == 1
        assert "rhel-9.9 x86_64 baseos" in done.stderr
        assert "no trusted connection" in done.stderr

    @pytest.mark.usefixtures("folder")
    def test_a_certificate_that_does_not_match_its_key_is_refused_before_any_request(
        self, directory, certificates, tmp_path, server
    ):
        stranger = tmp_path / "stranger.pem"
        trustme.CA().issue_cert("a@example.com").private_key_pem.write_to_path(stranger)
        done = run(directory, "--client-cert", certificates["cert"], "--client-key", stranger)
        assert done.returncode == 1
        assert f"{stranger}: no usable client certificate" in done.stderr
        assert server.asked == []

    @pytest.mark.usefixtures("folder")
    def test_a_redirect_from_https_to_http_is_refused(self, directory, certificates, cdn, server):
        cdn.elsewhere["/baseos/repodata/repomd.xml"] = f"{server.url}/baseos/repodata/repomd.xml"
        options = (
            "--client-cert",
            certificates["cert"],
            "--client-key",
            certificates["key"],
            "--ca",
            certificates["ca"],
        )
        done = run(directory, *options)
        assert done.returncode == 1
        assert "repomd.xml: redirected from https to http" in done.stderr

    @pytest.mark.usefixtures("folder")
    def test_a_key_without_a_certificate_is_refused(self, directory, certificates):
        done = run(directory, "--client-key", certificates["key"])
        assert done.returncode == 2
        assert "--client-key and --ca require --client-cert" in done.stderr


def test_an_invalid_directory_is_refused_before_any_request(directory, server):
    put(directory, "test-9", a_repository("baseos", f"{server.url}/baseos"))
    (directory / "test-9" / "test-9.json").write_text("{")
    done = run(directory)
    assert done.returncode == 1
    assert "test-9.json: Not JSON" in done.stderr
    assert server.asked == []
