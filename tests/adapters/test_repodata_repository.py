import shutil
import time

import pytest

from adapters.repodata.download import Downloads
from adapters.repodata.repository import repository_packages
from domain.distributions import Repository
from domain.errors import UnavailableError
from tests.support.drip import DRIPS
from tests.support.file_server import FileServer
from tests.support.loopback import Loopback, answer, hang, refused_url, truncated
from tests.support.rpm_repositories import AARCH64, X86_64, RpmRepository, build_rpms, metalink
from tests.support.waiting import SOON, STRETCH


@pytest.fixture(scope="session")
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
def repository(www, rpms):
    return RpmRepository(www / "repo", rpms)


def packages(url=None, *, metalink=None, arch="x86_64", timeout=20.0, progress=lambda *_: None):
    with Downloads() as downloads:
        found = repository_packages(
            Repository("test", rhsm=False, baseurl=url, metalink=metalink), arch, downloads, timeout, progress
        )
    return [(package.name, package.summary) for package in found]


def refusal(url=None, **options):
    with pytest.raises(UnavailableError) as caught:
        packages(url, **options)
    return caught.value.detail


@pytest.mark.parametrize(("arch", "expected"), [("x86_64", X86_64), ("aarch64", AARCH64)])
@pytest.mark.parametrize("compression", ["gz", "xz", "bz2", "zstd", "plain"])
def test_every_compression_gives_the_same_packages(www, server, rpms, compression, arch, expected):
    RpmRepository(www / "repo", rpms, compression)
    assert packages(f"{server.url}/repo/", arch=arch) == expected


def test_an_address_without_a_trailing_slash_is_the_same_repository(server, repository):
    assert packages(f"{server.url}/repo") == X86_64


def test_a_web_server_that_declares_gzip_files_as_content_encoding_is_supported(server, repository):
    server.gzip_is_encoding = True
    assert packages(f"{server.url}/repo") == X86_64


def test_a_repository_without_packages_has_an_empty_list(www, server, rpms, tmp_path):
    (tmp_path / "nothing").mkdir()
    RpmRepository(www / "repo", tmp_path / "nothing")
    assert packages(f"{server.url}/repo") == []


def test_progress_reports_downloading_and_reading_until_the_end(server, repository):
    told = []
    packages(f"{server.url}/repo", progress=lambda *step: told.append(step))
    size = repository.primary.stat().st_size
    assert ("downloading", size, size) in told
    assert told[-1][0] == "reading"
    assert told[-1][1] == told[-1][2]


def cut(repository):
    repository.primary.write_bytes(repository.primary.read_bytes()[:-20])


def tamper(repository):
    content = bytearray(repository.primary.read_bytes())
    content[len(content) // 2] ^= 1
    repository.primary.write_bytes(content)


def lengthen(repository):
    repository.primary.write_bytes(repository.primary.read_bytes() + b"x")


def cut_and_promise_it(repository):
    packed = repository.primary.read_bytes()[:-20]
    repository.put_primary(packed, b"whatever")
    repository.say("open-size", "<open-size>1000000</open-size>")


def cut_xml_and_promise_it(repository):
    repository.put_primary(b"<metadata><package>", b"<metadata><package>", "primary.xml")


def say(name, instead):
    return lambda repository: repository.say(name, instead)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, "primary.xml.gz does not have the sha256 checksum that repomd.xml gives"),
        (tamper, "primary.xml.gz does not have the sha256 checksum that repomd.xml gives"),
        (lengthen, r"primary.xml.gz: larger than \d+ bytes"),
        (cut_and_promise_it, "primary.xml.gz: it cannot be decompressed: Compressed file ended"),
        (cut_xml_and_promise_it, "primary.xml: not XML: no element found"),
        (lambda r: r.primary.unlink(), "primary.xml.gz: status 404"),
        (lambda r: r.repomd.unlink(), "repomd.xml: status 404"),
        (lambda r: r.repomd.write_bytes(r.repomd.read_bytes()[:300]), "repomd.xml: not XML"),
        (lambda r: r.repomd.write_text("<html>sign in</html>"), "repomd.xml names no primary"),
        (say("checksum", ""), "repomd.xml: the primary's checksum: Missing data"),
        (say("checksum", '<checksum type="md5">00</checksum>'), "the primary's checksum.type: Is none of sha, sha1,"),
        (say("checksum", '<checksum type="sha256">?</checksum>'), "the primary's checksum.value: Not hexadecimal"),
        (say("location", '<location href="../other"/>'), "the primary's location: Leads out of the repository"),
        (say("location", '<location href="http://a/b"/>'), "the primary's location: Leads out of the repository"),
        (say("location", "<location/>"), "the primary's location: Missing data"),
        (say("size", "<size>999999999999</size>"), "the primary's size: More than 536870912 bytes"),
        (say("size", "<size>-1</size>"), "the primary's size: More than 536870912 bytes"),
        (say("open-size", "<open-size>99999999999</open-size>"), "the primary's open-size: More than 2147483648 bytes"),
        (say("open-size", "<open-size>1000</open-size>"), "primary.xml.gz: decompresses to more than 1000 bytes"),
        (
            say("open-checksum", f'<open-checksum type="sha256">{"0" * 64}</open-checksum>'),
            "primary.xml.gz: its decompressed content does not have the sha256 checksum that repomd.xml gives",
        ),
    ],
)
def test_files_that_differ_from_their_metadata_are_refused(server, repository, damage, reason):
    damage(repository)
    with pytest.raises(UnavailableError, match=reason):
        packages(f"{server.url}/repo")


def test_a_repository_that_changes_while_it_is_read_is_read_again(server, repository):
    was = repository.primary
    content = was.read_bytes()
    tamper(repository)

    def mend_after_the_download(step, *_):
        if step == "downloading":
            was.write_bytes(content)

    assert packages(f"{server.url}/repo", progress=mend_after_the_download) == X86_64


def test_a_refused_repository_is_requested_once():
    with Loopback(answer(403)) as server:
        assert refusal(server.url) == f"{server.url}: repomd.xml: status 403"
        assert len(server.asked) == 1


def test_a_refused_connection_is_reported():
    assert refusal(url := refused_url()) == f"{url}: repomd.xml: cannot connect"


def test_a_mirror_may_redirect_to_another_one(server, repository):
    server.elsewhere["/old/repodata/repomd.xml"] = f"{server.url}/repo/repodata/repomd.xml"
    location = f"/repodata/{repository.primary.name}"
    server.elsewhere[f"/old{location}"] = f"{server.url}/repo{location}"
    assert packages(f"{server.url}/old") == X86_64


def test_endless_redirects_of_a_mirror_are_abandoned():
    with Loopback(answer(302, b"", location="/again")) as server:
        assert refusal(server.url) == f"{server.url}: repomd.xml: redirected too often"


def test_an_incomplete_answer_is_reported():
    with Loopback(truncated(b"<repomd>")) as server:
        assert refusal(server.url) == f"{server.url}: repomd.xml: cut off before its end"


@pytest.mark.parametrize("step", [hang, *DRIPS.values()], ids=["hang", *DRIPS])
def test_an_endless_answer_is_abandoned_at_the_time_limit(step):
    with Loopback(step) as server:
        started = time.monotonic()
        detail = refusal(server.url, timeout=1.0)
        assert time.monotonic() - started < SOON
    assert detail.startswith(f"{server.url}: repomd.xml: ")
    assert "time" in detail


class TestMetalink:
    @pytest.fixture
    def address(self, www, server):
        return lambda text: (www / "metalink").write_text(text) and f"{server.url}/metalink?repo=test&arch=x86_64"

    def test_the_preferred_mirror_is_tried_first(self, www, server, repository, address):
        shutil.copytree(repository.folder, www / "far")
        link = address(metalink(repository.checksum, (10, f"{server.url}/far"), (90, f"{server.url}/repo")))
        assert packages(metalink=link) == X86_64
        assert "/repo/repodata/repomd.xml" in server.asked
        assert not [path for path in server.asked if path.startswith("/far")]

    @pytest.mark.parametrize(
        "damage",
        [
            cut,
            tamper,
            lambda r: r.repomd.unlink(),
            lambda r: r.repomd.write_text(r.repomd.read_text() + "<!-- tampered -->"),
        ],
    )
    def test_a_mirror_with_other_content_is_skipped(self, www, server, repository, address, damage):
        good = shutil.copytree(repository.folder, www / "good")
        link = address(metalink(repository.checksum, (99, f"{server.url}/repo"), (1, f"{server.url}/{good.name}")))
        damage(repository)
        assert packages(metalink=link) == X86_64
        assert "/repo/repodata/repomd.xml" in server.asked

    def test_a_hanging_mirror_leaves_time_for_the_next_one(self, server, repository, address):
        with Loopback(hang) as hanging:
            link = address(metalink(repository.checksum, (99, hanging.url), (1, f"{server.url}/repo")))
            assert packages(metalink=link, timeout=4.0 * STRETCH) == X86_64
            assert hanging.asked

    @pytest.mark.usefixtures("repository")
    def test_if_all_mirrors_fail_the_reasons_of_the_first_ones_are_reported(self, server, address):
        gone = [(50 - number, f"{server.url}/gone{number}") for number in range(5)]
        tampered = (99, f"{server.url}/repo")
        detail = refusal(metalink=address(metalink("0" * 64, tampered, *gone)))
        assert detail == (
            "no mirror of its metalink serves it: "
            f"{server.url}/repo/: repomd.xml does not have the sha256 checksum that the metalink gives; "
            f"{server.url}/gone0/: repomd.xml: status 404; {server.url}/gone1/: repomd.xml: status 404; and 3 more"
        )

    def test_hanging_mirrors_are_abandoned_at_the_time_limit(self, address):
        with Loopback(hang) as hanging:
            link = address(metalink("0" * 64, *((n, f"{hanging.url}/{n}") for n in range(9))))
            started = time.monotonic()
            assert "time" in refusal(metalink=link, timeout=2.0)
            assert time.monotonic() - started < SOON

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (metalink("0" * 40, (1, "http://a"), type_="sha1"), "no sha256 checksum of repomd.xml, nor a stronger"),
            (metalink("?", (1, "http://a")), "the metalink's sha256 checksum is invalid"),
            (metalink("0" * 64, (1, "rsync://a"), (2, "ftp://a")), "names no http or https mirror"),
            (metalink("0" * 64), "names no http or https mirror"),
            ("<metalink/>", "the metalink does not name repomd.xml"),
            ("sign in", "the metalink: not XML"),
            ('<!DOCTYPE m [<!ENTITY a "b">]><metalink>&a;</metalink>', "the metalink: it declares a document type"),
        ],
    )
    def test_an_unusable_metalink_is_refused(self, address, text, reason):
        assert reason in refusal(metalink=address(text))

    def test_a_missing_metalink_is_reported_with_its_address(self, server):
        assert refusal(metalink=f"{server.url}/gone") == f"{server.url}/gone: status 404"
