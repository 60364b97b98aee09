import bz2
import gzip
import io
import lzma
import math
import subprocess
import tracemalloc

import pytest
import zstandard

from adapters.repodata.compression import decompress
from adapters.repodata.primary import read_packages
from adapters.repodata.versions import Version, compare
from domain.errors import UnavailableError
from tests.support.rpm_repositories import need_tools

PIECE = 64 * 1024
NEVER = math.inf


def a_package(name="zsh", arch="x86_64", summary="A shell", version='epoch="0" ver="1.0" rel="1"', inner="", **other):
    return (
        f'<package type="{other.get("type", "rpm")}"><name>{name}</name><arch>{arch}</arch><version {version}/>'
        f"<summary>{summary}</summary><format>{inner}</format></package>"
    )


def a_primary(*packages):
    return f'<?xml version="1.0"?><metadata xmlns="x" xmlns:rpm="y">{"".join(packages)}</metadata>'.encode()


def pieces(content):
    return [content[at : at + PIECE] for at in range(0, len(content), PIECE)]


def read(content, arch="x86_64"):
    return [(package.name, package.summary) for package in read_packages(pieces(content), arch)]


def test_nested_names_and_summaries_are_not_those_of_the_package():
    inner = '<name>other</name><rpm:provides><rpm:entry name="p"/></rpm:provides><summary>other</summary>'
    assert read(a_primary(a_package(inner=inner))) == [("zsh", "A shell")]


def test_a_package_without_a_summary_has_an_empty_summary():
    content = a_primary(a_package()).replace(b"<summary>A shell</summary>", b"")
    assert read(content) == [("zsh", "")]


def test_entries_that_are_not_rpm_packages_are_skipped():
    assert read(a_primary(a_package(type="deb"), a_package("bash"))) == [("bash", "A shell")]


def test_packages_are_sorted_by_name():
    assert [name for name, _ in read(a_primary(*map(a_package, "cabBA")))] == ["A", "B", "a", "b", "c"]


@pytest.mark.parametrize("turn", [1, -1])
def test_the_summary_of_the_newest_version_is_used(turn):
    versions = ['ver="1.0~rc1" rel="9"', 'ver="1.0" rel="2"', 'epoch="0" ver="1.0" rel="10"']
    packages = [a_package(summary=version.replace('"', ""), version=version) for version in versions]
    assert read(a_primary(*packages[::turn])) == [("zsh", "epoch=0 ver=1.0 rel=10")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'<!DOCTYPE metadata [<!ENTITY a "b">]><metadata/>', "declares a document type"),
        (b'<!DOCTYPE metadata SYSTEM "file:///etc/passwd"><metadata/>', "declares a document type"),
        (b"<metadata>&unknown;</metadata>", "undefined entity"),
        (b"<html/>", "no package metadata"),
        (a_primary(a_package(name="")), "a package without name or architecture"),
        (a_primary(a_package(arch="")), "a package without name or architecture"),
        (a_primary(a_package(version='epoch="one"')), "an epoch of zsh that is no number"),
        (a_primary(a_package())[:-5], "not XML"),
        (a_primary(a_package(inner="<a>" * 100 + "</a>" * 100)), "nested more than 64 deep"),
        (a_primary(a_package(summary="x" * 100_000)), "text is longer than 65536 characters"),
        (a_primary(a_package(inner=f'<a b="{"x" * 3_000_000}"/>')), "a tag or a comment is longer than 1048576 bytes"),
        (a_primary(a_package(inner=f"<!--{'x' * 3_000_000}-->")), "a tag or a comment is longer than 1048576 bytes"),
        (a_primary(*(f"<a{number}/>" for number in range(20_000))), "more than 10000 names"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_harmful_or_misleading_xml_is_refused(content, reason):
    with pytest.raises(UnavailableError, match=reason):
        read(content)


def test_long_unused_texts_are_ignored():
    long = f"<description>{'x' * 3_000_000}</description>{' ' * 3_000_000}"
    assert read(a_primary(long, a_package(inner=long))) == [("zsh", "A shell")]


def many(count):
    yield b"<metadata>"
    inner = "".join(f'<rpm:entry name="lib{number}"/><file>/usr/{number}</file>' for number in range(100))
    package = a_package("a{}", inner=inner)
    for number in range(count):
        yield package.replace("a{}", f"a{number % 50}").encode()
    yield b"</metadata>"


def test_memory_does_not_grow_with_the_primary():
    tracemalloc.start()
    try:
        assert len(read_packages(many(2000), "x86_64")) == 50  # 12 MB
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_files_of_several_compressed_streams_are_decompressed_completely(pack):
    assert b"".join(decompress(io.BytesIO(pack(b"one") + pack(b"two")), NEVER)) == b"onetwo"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_a_decompression_bomb_is_decompressed_in_pieces(pack):
    bomb = io.BytesIO(pack(bytes(50_000_000)))
    assert max(map(len, decompress(bomb, NEVER))) <= 256 * 1024


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("kept", [8, -9])
def test_a_truncated_file_is_refused(pack, kept):
    with pytest.raises(UnavailableError, match="cannot be decompressed"):
        list(decompress(io.BytesIO(pack(bytes(range(256)) * 100)[:kept]), NEVER))


def test_a_file_that_needs_too_much_memory_is_refused():
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 256 * 1024 * 1024, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3}]
    packed = lzma.LZMACompressor(lzma.FORMAT_XZ, filters=filters)
    with pytest.raises(UnavailableError, match="cannot be decompressed: Memory usage limit"):
        list(decompress(io.BytesIO(packed.compress(b"x") + packed.flush()), NEVER))


VERSIONS = [
    ("1.0", "1.0"),
    ("1.9", "1.10"),
    ("1.0", "1.0.1"),
    ("1.0", "1.0a"),
    ("1.0.1", "1.0a"),
    ("1.001", "1.1"),
    ("0", "00"),
    ("1.0~rc1", "1.0"),
    ("1.0~rc1", "1.0~rc2"),
    ("1.0~~", "1.0~"),
    ("1.0^", "1.0"),
    ("1.0^git1", "1.0.1"),
    ("1.0^git1", "1.0^git2"),
    ("1.0^git1~pre", "1.0^git1"),
    ("1.0^", "1.0~"),
    ("a", "b"),
    ("A", "a"),
    ("aB", "ab"),
    ("1_0", "1.0"),
    ("1.0.", "1.0"),
    ("1a2", "1a10"),
    ("20240101", "9"),
    ("ä1", "1"),
    ("10a2", "10.2"),
    ("fc42", "el9"),
]


@pytest.mark.parametrize(("one", "other"), VERSIONS)
def test_versions_compare_as_in_rpm(one, other):
    need_tools()
    script = f"%{{lua: print(rpm.vercmp('{one}', '{other}'), rpm.vercmp('{other}', '{one}'))}}"
    asked = subprocess.run(["rpm", "--eval", script], check=True, capture_output=True, text=True).stdout
    assert [compare(one, other), compare(other, one)] == [int(number) for number in asked.split()]


def test_the_epoch_takes_precedence_over_version_and_release():
    oldest, old, new, newest = Version(0, "2", "1"), Version(1, "1", "1"), Version(1, "1", "2"), Version(1, "1.1", "1")
    assert sorted([newest, new, old, oldest]) == [oldest, old, new, newest]
