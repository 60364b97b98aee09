"""`image-builder distributions refresh-profiles`, and its effect for clients."""

from __future__ import annotations

import bz2
import fcntl
import gzip
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.files.distributions import find_problems
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.domain_builders import accept_customizations
from tests.support.scap import (
    AIDE,
    CIS,
    PREFIX,
    STIG,
    a_datastream,
    a_profile,
    a_rule,
    profile_files,
    put_distribution,
    refresh,
    ssg,
)
from tests.support.service import PROJECT, Service

OLD = {"openscap": {"profile_id": CIS, "profile_name": "Old"}, "packages": ["old"], "kernel": {"append": "old"}}
NEW = a_profile("cis", "aide", title="New", description="What it is for"), a_rule()
WRITTEN = {
    "openscap": {"profile_id": CIS, "profile_name": "New", "profile_description": "What it is for"},
    "packages": ["aide"],
}
# What the command takes without any harm is some 90 million.
MEMORY = 300_000_000
MILLION = 1_000_000
SSG_PREFIX = "xccdf_org.ssgproject.content_profile_"


def put(tmp_path: Path, content: bytes, name: str = "ssg-test-ds.xml") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "distributions"
    folder.mkdir()
    return folder


@pytest.fixture
def datastream(tmp_path: Path) -> Path:
    return put(tmp_path, a_datastream(*NEW))


def customizations(folder: Path, profile: str = CIS) -> Any:
    return json.loads((folder / "oscap" / profile / "customizations.json").read_text())


def test_the_profiles_of_all_distributions_of_the_product_are_replaced(directory: Path, datastream: Path) -> None:
    folder, other = put_distribution(directory, "test-9", cis=OLD), put_distribution(directory, "x-9", "x", cis=OLD)
    without = put_distribution(directory, "test-8")
    done = refresh(directory, "--datastream", datastream)
    assert (done.returncode, done.stdout, done.stderr) == (0, "test-9: 1 profiles written\n", "")
    assert customizations(folder) == WRITTEN
    assert customizations(other) == OLD
    assert profile_files(without) == {}
    assert find_problems(directory, accept_customizations) == []


def test_keys_that_a_datastream_lacks_stay_unchanged(directory: Path, datastream: Path) -> None:
    own = {"users": [{"name": "audit"}], "groups": [], "fips": {"enabled": True}}
    folder = put_distribution(directory, "test-9", cis=OLD | own)
    assert refresh(directory, "--datastream", datastream).returncode == 0
    assert customizations(folder) == WRITTEN | own


def test_the_target_of_an_alias_is_written_once(directory: Path, datastream: Path) -> None:
    folder = put_distribution(directory, "test-9", cis=OLD)
    (directory / "test").symlink_to("test-9")
    assert refresh(directory, "--datastream", datastream, "test", "test-9").stdout == "test: 1 profiles written\n"
    assert customizations(folder) == WRITTEN


def test_a_datastream_with_any_file_name_applies_to_named_distributions(directory: Path, tmp_path: Path) -> None:
    path = put(tmp_path, bz2.compress(a_datastream(*NEW)), "profiles.xml.bz2")
    folders = [put_distribution(directory, name, None, cis=OLD) for name in ("a-9", "b-9", "c-9")]
    assert refresh(directory, "--datastream", path, "a-9", "b-9").returncode == 0
    assert [customizations(folder) for folder in folders] == [WRITTEN, WRITTEN, OLD]
    assert "name the distributions" in refresh(directory, "--datastream", path).stderr


def test_each_of_several_datastreams_applies_to_its_product(directory: Path, datastream: Path, tmp_path: Path) -> None:
    other = put(tmp_path, a_datastream(a_profile("cis", title="Other")), "ssg-other-ds.xml")
    folders = [put_distribution(directory, f"{name}-9", name, cis=OLD) for name in ("test", "other")]
    for arguments in (["--datastream", datastream, other], ["--datastream", datastream, "--datastream", other]):
        assert refresh(directory, *arguments).returncode == 0
        assert [customizations(folder)["openscap"]["profile_name"] for folder in folders] == ["New", "Other"]


def test_a_named_distribution_without_profiles_gets_all_profiles(directory: Path, tmp_path: Path) -> None:
    path = put(tmp_path, a_datastream(a_profile("cis"), a_profile("stig")))
    folder = put_distribution(directory, "test-9")
    assert refresh(directory, "--datastream", path, "test-9").stdout == "test-9: 2 profiles written\n"
    assert [customizations(folder, each)["openscap"]["profile_id"] for each in (CIS, STIG)] == [CIS, STIG]


def test_new_profiles_are_added_on_request_only(directory: Path, tmp_path: Path) -> None:
    path = put(tmp_path, a_datastream(a_profile("cis"), a_profile("stig")))
    folder = put_distribution(directory, "test-9", cis=OLD)
    assert refresh(directory, "--datastream", path).stdout == "test-9: 1 profiles written\n"
    assert not (folder / "oscap" / STIG).exists()
    assert refresh(directory, "--datastream", path, "--add-new").stdout == "test-9: 2 profiles written\n"
    assert (folder / "oscap" / STIG / "customizations.json").exists()


def test_a_missing_profile_keeps_all_profiles_unchanged(directory: Path, datastream: Path) -> None:
    folder = put_distribution(directory, "test-9", cis=OLD, gone=OLD)
    sound = put_distribution(directory, "test-8", cis=OLD)
    before = profile_files(folder)
    done = refresh(directory, "--datastream", datastream)
    assert (done.returncode, done.stdout) == (1, "test-8: 1 profiles written\n")
    assert f"test-9: the datastream has no profile {PREFIX}profile_gone (--keep-missing " in done.stderr
    assert profile_files(folder) == before
    assert customizations(sound) == WRITTEN


def test_a_missing_profile_stays_unchanged_with_keep_missing(directory: Path, datastream: Path) -> None:
    folder = put_distribution(directory, "test-9", cis=OLD, gone=OLD)
    done = refresh(directory, "--datastream", datastream, "--keep-missing")
    assert (done.returncode, done.stdout) == (0, "test-9: 1 profiles written\n")
    assert f"unchanged: {PREFIX}profile_gone" in done.stderr
    assert [customizations(folder, each) for each in (CIS, f"{PREFIX}profile_gone")] == [WRITTEN, OLD]


def test_a_datastream_with_none_of_the_profiles_is_refused(directory: Path, datastream: Path) -> None:
    folder = put_distribution(directory, "test-9", gone=OLD)
    before = profile_files(folder)
    assert refresh(directory, "--datastream", datastream, "--keep-missing").returncode == 1
    assert profile_files(folder) == before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["gone-9"], "gone-9: no such distribution"),
        (["other-9"], "no distribution with profiles"),
        (["other-9", "--datastream", "ssg-x-ds.xml"], "other-9: no datastream applies to its oscap_name other"),
    ],
)
def test_distributions_and_datastreams_that_cannot_be_assigned_are_reported(
    directory: Path, datastream: Path, arguments: list[str], reason: str
) -> None:
    put_distribution(directory, "other-9", "other", cis=OLD)
    named = [each for each in arguments if len(arguments) > 1 or each != "other-9"]
    done = refresh(directory, "--datastream", datastream, *named)
    assert done.returncode == 1
    assert reason in done.stderr


@pytest.mark.parametrize(
    ("profile", "reason"),
    [("{", "Not JSON"), ("[]", "Expected an object"), ({**OLD, "users": [{"name": 7}]}, "users[0].name")],
)
def test_an_invalid_file_of_the_directory_is_reported_and_kept(
    directory: Path, datastream: Path, profile: Any, reason: str
) -> None:
    folder = put_distribution(directory, "test-9", cis=profile)
    before = profile_files(folder)
    done = refresh(directory, "--datastream", datastream)
    assert (done.returncode, done.stdout) == (1, "")
    assert CIS in done.stderr
    assert reason in done.stderr
    assert profile_files(folder) == before


def test_concurrent_refreshes_of_one_distribution_do_not_mix(directory: Path, datastream: Path) -> None:
    folder = put_distribution(directory, "test-9", cis=OLD)
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        assert "is being refreshed by another process" in refresh(directory, "--datastream", datastream).stderr
    finally:
        os.close(lock)
    assert customizations(folder) == OLD


# Hostile and damaged datastreams


def blown_up(tmp_path: Path, start: bytes, piece: bytes, times: int) -> Path:
    """A compressed datastream that begins with a valid profile, and continues with this number of pieces."""
    head = a_datastream(*NEW).partition(b"</x:Benchmark>")[0]
    path = tmp_path / "ssg-test-ds.xml"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(head + start)
        for _ in range(times):
            file.write(piece)
    return path


ENTITIES = "".join(f'<!ENTITY a{each} "{f"&a{each - 1};" * 10}">' for each in range(1, 12))
DAMAGED = {
    "entities": (f'<!DOCTYPE a [<!ENTITY a0 "x">{ENTITIES}]><a>&a11;</a>'.encode(), "declares a document type"),
    "an outer entity": (
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        "declares a document type",
    ),
    "cut off": (a_datastream(*NEW)[:-40], "not XML"),
    "empty": (b"", "not XML"),
    "not a datastream": (b"<html/>", "no SCAP source datastream"),
    "without profiles": (a_datastream(a_rule()), "the datastream has no profiles"),
    "a control character": (a_datastream(a_profile(title="\x9b2J"), a_rule()), "control characters"),
    "a path": (a_datastream(*NEW, a_profile("../../../gone")), "the id of the profile"),
    "a bad fix": (
        a_datastream(a_profile("cis", "aide"), a_rule(fix=AIDE + "?")),
        "rule_aide: The blueprint is not TOML",
    ),
    "more than the contract allows": (a_datastream(a_profile(title="x" * 2000)), "openscap.profile_name"),
    "a compressed file cut off": (bz2.compress(a_datastream(*NEW))[:-10], "it cannot be decompressed"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_datastream_is_refused_and_replaces_nothing(directory: Path, tmp_path: Path, case: str) -> None:
    content, reason = DAMAGED[case]
    folder = put_distribution(directory, "test-9", cis=OLD)
    before = profile_files(folder)
    done = refresh(directory, "--datastream", put(tmp_path, content), "--add-new")
    assert (done.returncode, done.stdout) == (1, "")
    assert reason in done.stderr
    assert "are unchanged" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.rstrip("\n").isprintable()
    assert profile_files(folder) == before


BOMBS = {
    "a text": (b"<x:Profile id='p'><x:title>", b"x" * MILLION, 250, "text is longer than"),
    "an attribute": (b"<x:a b='", b"x" * MILLION, 250, "a tag or a comment is longer than"),
    "blanks": (b"", b" " * MILLION, 300, "larger than 268435456 bytes"),
    "elements nobody wants": (b"", b"<x:a></x:a>" * 100_000, 5, "not XML"),
    "rules with one id": (b"", b"<x:Rule id='a'/>" * 1000, 10, "two with the id a"),
    "selects": (b"<x:Profile id='p'>", b"<x:select idref='aide' selected='1'/>" * 10_000, 30, "fit into memory"),
    "depth": (b"", b"<x:a>" * 100_000, 10, "nested more than 64 deep"),
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_datastream_that_would_fill_the_memory_is_refused_early(directory: Path, tmp_path: Path, case: str) -> None:
    start, piece, times, reason = BOMBS[case]
    folder = put_distribution(directory, "test-9", cis=OLD)
    before = profile_files(folder)
    done = refresh(directory, "--datastream", blown_up(tmp_path, start, piece, times), memory=MEMORY)
    assert (done.returncode, done.stdout) == (1, "")
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert profile_files(folder) == before


def test_a_named_pipe_is_refused_without_waiting(directory: Path, tmp_path: Path) -> None:
    put_distribution(directory, "test-9", cis=OLD)
    os.mkfifo(tmp_path / "ssg-test-ds.xml")
    done = refresh(directory, "--datastream", tmp_path / "ssg-test-ds.xml")
    assert "not a regular file" in done.stderr


# The SCAP Security Guide


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """The distribution directory of this repository."""
    directory = tmp_path / "distributions"
    shutil.copytree(PROJECT / "distributions", directory, symlinks=True)
    return directory


@pytest.mark.parametrize(
    ("product", "distribution"), [("rhel8", "rhel-8.10"), ("rhel9", "rhel-9.6"), ("cs9", "centos-9")]
)
def test_profiles_of_the_scap_security_guide_are_imported(ours: Path, product: str, distribution: str) -> None:
    done = refresh(ours, "--datastream", ssg(product), "--keep-missing", memory=MEMORY)
    assert done.returncode == 0, done.stderr
    assert f"{distribution}: " in done.stdout
    cis = customizations(ours / distribution, f"{SSG_PREFIX}cis_server_l1")
    product_name = f"Red Hat Enterprise Linux {8 if product == 'rhel8' else 9}"
    assert f"CIS {product_name} Benchmark for Level 1 - Server" in cis["openscap"]["profile_name"]
    assert cis["openscap"]["profile_description"]
    stig = customizations(ours / distribution, f"{SSG_PREFIX}stig")
    assert {"aide", "usbguard", "audit"} <= set(stig["packages"])
    assert {"auditd", "fapolicyd", "sshd"} <= set(stig["services"]["enabled"])
    assert {"mountpoint": "/var/log/audit", "min_size": 10 * 2**30} in stig["filesystem"]
    assert {"audit=1", "pti=on", "slub_debug=P"} <= set(stig["kernel"]["append"].split())
    assert [each for each in find_problems(ours, accept_customizations) if "oscap" in each.where] == []


@pytest.fixture
def refreshed_service(
    database: Parameters, composer_process: Any, directory: Path, tmp_path: Path
) -> Iterator[Service]:
    shutil.copytree(PROJECT / "distributions" / "centos-9", directory / "centos-9")
    cis = a_datastream(a_profile("cis", "aide", title="New", description="What it is for"), a_rule())
    done = refresh(directory, "--datastream", put(tmp_path, cis), "--add-new", "--keep-missing", "centos-9")
    assert done.returncode == 1  # not one of its profiles is in there
    shutil.rmtree(directory / "centos-9" / "oscap")
    assert refresh(directory, "--datastream", put(tmp_path, cis), "centos-9").returncode == 0
    with Service(database, composer_process.url, environment={"DISTRIBUTIONS_DIR": str(directory)}) as running:
        yield running


def test_clients_are_shown_the_refreshed_profiles_and_can_build_them(refreshed_service: Service) -> None:
    client = refreshed_service.client()
    assert client.get("/oscap/centos-9/profiles").json() == [CIS]
    found = client.get(f"/oscap/centos-9/{CIS}/customizations").json()
    assert found == WRITTEN
    client.compose(compose_request(distribution="centos-9", customizations=found))
