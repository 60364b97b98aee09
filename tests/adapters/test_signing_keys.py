import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pysequoia import Cert, Tsk

from adapters.files import signing_keys
from adapters.files.distribution_source import generate_documents, parse_source, write_documents
from adapters.files.signing_keys import download, fetch_keys
from domain.errors import ConfigurationError, UnavailableError
from tests.support.waiting import SOON


def a_key(owner):
    return Tsk.generate(owner).extract_certificate()


@pytest.fixture(scope="module")
def keys():
    return {owner: a_key(f"{owner} <{owner}@example.com>") for owner in ("release", "auxiliary", "stranger")}


class Vendor:
    """A web server with `pages` by path; `asked` are all requested paths."""

    def __init__(self):
        self.pages = {}
        self.failures = {}
        self.asked = []
        self.encodings = []
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                vendor.asked.append(self.path)
                vendor.encodings.append(self.headers["Accept-Encoding"])
                failing = vendor.failures.get(self.path, 0)
                vendor.failures[self.path] = failing - 1
                status = 503 if failing > 0 else 200 if self.path in vendor.pages else 404
                content = vendor.pages.get(self.path, b"")
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def address(self, path):
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def vendor():
    server = Vendor()
    yield server
    server.stop()


def a_source(addresses, *certificates):
    entry = {
        "description": "Test",
        "module_platform_id": "platform:el9",
        "image_types": {"x86_64": ["aws"], "aarch64": ["aws"]},
        "repositories": ["base"],
    }
    repositories = [
        {"id": "baseos", "baseurl": "https://mirror/baseos", "keys": "ours"},
        {"id": "unsigned", "baseurl": "https://mirror/unsigned"},
    ]
    fingerprints = [c.fingerprint.upper() for c in certificates]
    return parse_source(
        {
            "keys": {"ours": {"addresses": list(addresses), "fingerprints": fingerprints}},
            "repositories": {"base": repositories},
            "distributions": {"test-8": entry, "test-9": entry},
            "aliases": {"test": "test-9"},
        }
    )


def written(source, directory):
    write_documents(generate_documents(source), directory)
    return {path: path.read_bytes() for path in directory.glob("*/*.json")}


def gpgkeys(directory, name="test-9", arch="x86_64"):
    document = json.loads((directory / name / f"{name}.json").read_text())
    return [repository.get("gpgkey") for repository in document[arch]["repositories"]]


def fingerprints(armored):
    return [c.fingerprint for c in Cert.split_bytes(armored.encode())]


def armored(*certificates):
    return "".join(map(str, certificates)).encode()


def binary(*certificates):
    return b"".join(map(bytes, certificates))


@pytest.mark.parametrize("form", [armored, binary])
def test_the_keys_of_the_source_replace_the_address_in_the_order_of_the_source(tmp_path, vendor, keys, form):
    vendor.pages = {"/all": form(keys["stranger"], keys["auxiliary"], keys["release"])}
    source = a_source([vendor.address("/all")], keys["release"], keys["auxiliary"])
    written(source, tmp_path)
    assert len(fetch_keys(source, tmp_path)) == 2
    for name in ("test-8", "test-9"):
        for arch in ("x86_64", "aarch64"):
            signed, unsigned = gpgkeys(tmp_path, name, arch)
            assert fingerprints(signed) == [keys["release"].fingerprint, keys["auxiliary"].fingerprint]
            assert signed.count("-----BEGIN PGP PUBLIC KEY BLOCK-----\n") == 2
            assert unsigned is None
    assert vendor.asked == ["/all"]


def test_keys_are_collected_from_several_addresses_of_which_one_may_fail(tmp_path, vendor, keys):
    vendor.pages = {"/one": armored(keys["release"]), "/two": binary(keys["auxiliary"]), "/page": b"<html>"}
    addresses = [vendor.address(path) for path in ("/gone", "/one", "/two", "/page")]
    source = a_source(addresses, keys["release"], keys["auxiliary"])
    written(source, tmp_path)
    fetch_keys(source, tmp_path)
    assert fingerprints(gpgkeys(tmp_path)[0]) == [keys["release"].fingerprint, keys["auxiliary"].fingerprint]


def test_fetching_again_changes_nothing(tmp_path, vendor, keys):
    vendor.pages = {"/one": armored(keys["release"]), "/two": binary(keys["release"])}
    source = a_source([vendor.address("/one"), vendor.address("/two")], keys["release"])
    written(source, tmp_path)
    assert len(fetch_keys(source, tmp_path)) == 2
    assert fetch_keys(source, tmp_path) == ()


def test_only_public_keys_are_kept(tmp_path, vendor):
    secret = Tsk.generate("leaky <leaky@example.com>")
    vendor.pages = {"/key": bytes(secret)}
    source = a_source([vendor.address("/key")], secret.extract_certificate())
    written(source, tmp_path)
    fetch_keys(source, tmp_path)
    assert gpgkeys(tmp_path)[0] == str(secret.extract_certificate())


def refused(source, directory):
    before = written(source, directory)
    with pytest.raises(ConfigurationError) as caught:
        fetch_keys(source, directory)
    after = {path: path.read_bytes() for path in directory.glob("*/*")}
    assert after == before
    return caught.value.detail


def test_a_key_with_another_fingerprint_is_refused_and_nothing_is_written(tmp_path, vendor, keys):
    vendor.pages = {"/key": armored(keys["release"], keys["stranger"])}
    detail = refused(a_source([vendor.address("/key")], keys["release"], keys["auxiliary"]), tmp_path)
    assert keys["auxiliary"].fingerprint.upper() in detail
    assert keys["release"].fingerprint.upper() not in detail
    assert "test-8 baseos, test-9 baseos" in detail
    assert f"{vendor.address('/key')} (does not contain it)" in detail


@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", b"\x99\x01"])
def test_content_that_is_not_a_keyring_is_refused(tmp_path, vendor, keys, content):
    vendor.pages = {"/key": content}
    detail = refused(a_source([vendor.address("/key")], keys["release"]), tmp_path)
    assert f"{vendor.address('/key')} (no OpenPGP certificates)" in detail


def test_the_error_about_an_unavailable_server_names_it(tmp_path, vendor, keys):
    address = vendor.address("/key")
    vendor.server.server_close()
    detail = refused(a_source([address], keys["release"]), tmp_path)
    assert f"{address} (ConnectionError)" in detail


def test_an_invalid_directory_is_refused_before_any_request(tmp_path, vendor, keys):
    source = a_source([vendor.address("/key")], keys["release"])
    written(source, tmp_path)
    (tmp_path / "test-8" / "test-8.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"test-8\.json: Not JSON"):
        fetch_keys(source, tmp_path)
    assert vendor.asked == []


def test_distributions_that_the_directory_lacks_are_skipped(tmp_path, vendor, keys):
    vendor.pages = {"/key": armored(keys["release"])}
    source = a_source([vendor.address("/key")], keys["release"])
    written(source, tmp_path)
    (tmp_path / "test-8" / "test-8.json").unlink()
    (tmp_path / "test-8").rmdir()
    assert [path.name for path in fetch_keys(source, tmp_path)] == ["test-9.json"]


def test_the_file_keeps_its_permissions(tmp_path, vendor, keys):
    vendor.pages = {"/key": armored(keys["release"])}
    source = a_source([vendor.address("/key")], keys["release"])
    written(source, tmp_path)
    (tmp_path / "test-8" / "test-8.json").chmod(0o640)
    modes = {path.name: path.stat().st_mode & 0o777 for path in fetch_keys(source, tmp_path)}
    assert modes == {"test-8.json": 0o640, "test-9.json": 0o644}


def test_a_temporary_failure_is_retried(vendor):
    vendor.pages = {"/key": b"content"}
    vendor.failures = {"/key": 2}
    assert download(vendor.address("/key")) == b"content"
    assert vendor.asked == ["/key"] * 3


def test_a_missing_page_is_requested_once(vendor):
    with pytest.raises(UnavailableError, match="status 404"):
        download(vendor.address("/gone"))
    assert vendor.asked == ["/gone"]


def test_an_endless_answer_is_abandoned(vendor, monkeypatch):
    monkeypatch.setattr(signing_keys, "_MAX_DOWNLOAD_BYTES", 100)
    vendor.pages = {"/key": b"x" * 101}
    with pytest.raises(UnavailableError, match="more than 100 bytes"):
        download(vendor.address("/key"))


def test_a_slow_answer_is_abandoned_at_the_time_limit(monkeypatch):
    monkeypatch.setattr(signing_keys, "_TOTAL_TIMEOUT_SECONDS", 1.0)
    ended = threading.Event()

    class Dripping(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while not ended.wait(0.05):
                    self.wfile.write(b"x")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Dripping) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="not complete within 1 seconds"):
            download(f"http://127.0.0.1:{server.server_address[1]}/key")
        assert time.monotonic() - began < SOON
        ended.set()
        server.shutdown()


def test_compressed_answers_are_not_requested(vendor):
    vendor.pages = {"/key": b"content"}
    download(vendor.address("/key"))
    assert vendor.encodings == ["identity"]
