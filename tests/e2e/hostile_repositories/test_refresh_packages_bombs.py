"""refresh-packages against repositories that try to fill its memory or to keep it busy for ever."""

import bz2
import gzip
import lzma
import re
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import zstandard

from tests.support.drip import DRIPS, dripping
from tests.support.floods import unending
from tests.support.loopback import Loopback, answer
from tests.support.refreshing import a_package, a_repository, lists, old_list, put, run
from tests.support.rounds import sampled
from tests.support.rpm_repositories import RpmRepository, metalink
from tests.support.waiting import PATIENCE

# What the command takes without any harm is some 90 million.
MEMORY = 300_000_000


PACK = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress}
MILLION = 1_000_000


def repeated(piece, times):
    return lambda: (piece for _ in range(times))


def packages(number, **texts):
    """This number of packages with different names, in one piece each."""
    return lambda: (a_package(name=f"p{each}", **texts).encode() for each in range(number))


def blocks(write, number, each):
    """The output of `write` for this number of numbers, in pieces of `each`."""
    return lambda: ("".join(map(write, range(at, at + each))).encode() for at in range(0, number, each))


# How a primary begins, what follows piece by piece, and why it is refused.
PRIMARIES = {
    "an attribute": (b"<metadata><a b='", repeated(b"x" * MILLION, 350), "a tag or a comment is longer than"),
    "a text": (
        b"<metadata><package type='rpm'><name>",
        repeated(b"x" * MILLION, 350),
        "an element's text is longer than",
    ),
    "a comment": (b"<metadata><!--", repeated(b"x" * MILLION, 350), "a tag or a comment is longer than"),
    "depth": (b"<metadata>", repeated(b"<a>" * 300_000, 350), "elements are nested more than 64 deep"),
    "names": (b"<metadata>", blocks("<a{}/>".format, MILLION, 50_000), "more than 10000 names"),
    "attributes": (b"<metadata><a ", blocks("a{}='' ".format, MILLION, 50_000), "a tag or a comment is longer than"),
    "long versions": (
        b"<metadata>",
        packages(350, version=f'ver="{"1" * 500_000}" rel="{"2" * 400_000}"'),
        "a version of p0 longer than 256 characters",
    ),
    "wide characters": (
        b"<metadata>",
        packages(1400, summary="\U0001f600" * 60_000),
        "more packages than fit into memory",
    ),
    "packages": (
        b"<metadata>",
        blocks(lambda number: a_package(name=f"p{number}"), 400_000, 5000),
        "more packages than fit into memory",
    ),
}


@dataclass(frozen=True, slots=True)
class Hostile:
    """The distributions of a run, each with a separate hostile repository, and the expected reason of each refusal."""

    directory: Path
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, kind, repository, reason):
        name = f"test-{len(self.reasons)}"
        old_list(put(self.directory, name, repository, archs=["x86_64"]), f"{name}-x86_64-r-packages.json")
        self.reasons[f"{name} ({kind})"] = reason

    def assert_all_refused(self, *arguments):
        """All are refused in one process that may use MEMORY bytes, and their old lists stay unchanged."""
        done = run(self.directory, *arguments, memory=MEMORY)
        errors = dict(re.findall(r"^Error: (\S+) x86_64 r: (.*)$", done.stderr, re.MULTILINE))
        assert done.returncode == 1
        for kind, reason in self.reasons.items():
            name = kind.partition(" ")[0]
            assert reason in errors.get(name, done.stderr[-2000:]), kind
            assert list(lists(self.directory / name).values()) == ['[{"name": "old", "summary": "Old"}]']


@pytest.fixture
def hostile(directory):
    return Hostile(directory)


def packed_repository(www, name, packed, compression):
    repository = RpmRepository(www / name, www / "no-rpms")
    repository.put_primary(packed, b"", f"primary.xml.{compression}")
    repository.say("open-size", "")
    repository.say("open-checksum", "")


def test_primary_files_that_decompress_to_more_than_the_memory_use_little_memory(hostile, www, server):
    for number, (kind, (head, pieces, reason)) in enumerate(sampled(PRIMARIES.items(), 3)):
        packed = zstandard.compress(head) + b"".join(map(zstandard.compress, pieces()))
        packed_repository(www, f"{number}", packed, "zst")
        hostile.add(kind, a_repository("r", f"{server.url}/{number}"), reason)
    hostile.assert_all_refused()


def test_decompression_bombs_of_any_format_use_little_memory(hostile, www, server):
    for compression, pack in sampled(PACK.items(), 2):
        packed = pack(b"<metadata>") + pack(b" " * 10 * MILLION) * 31 + pack(b"</metadata>")
        packed_repository(www, compression, packed, compression)
        hostile.add(compression, a_repository("r", f"{server.url}/{compression}"), "the repository has no packages")
    hostile.assert_all_refused()


# One of zstandard is not among them: C passes over its streams in less than any time limit.
@pytest.mark.parametrize("compression", sampled(["gz", "bz2", "xz"], 1))
def test_compressed_streams_without_content_end_at_the_time_limit(hostile, www, server, compression):
    pack = PACK[compression]
    packed = pack(b"<metadata>") + pack(b"") * (100 * MILLION // len(pack(b"")))
    packed_repository(www, compression, packed, compression)
    hostile.add(compression, a_repository("r", f"{server.url}/{compression}"), "timed out")
    hostile.assert_all_refused("--timeout", "2")


ENTITIES = "".join(f'<!ENTITY a{number} "{f"&a{number - 1};" * 10}">' for number in range(1, 12))
ATTRIBUTES = " ".join(f"a{number}='' " for number in range(350_000))
DOCUMENTS = {
    "entities": (f'<!DOCTYPE repomd [<!ENTITY a0 "x">{ENTITIES}]><repomd>&a11;</repomd>', "declares a document type"),
    "elements": (f"<repomd>{'<a/>' * (MILLION - 10)}</repomd>", "more than 20000 elements"),
    "depth": ("<a>" * MILLION, "nested more than 64 deep"),
    "attributes": (f"<repomd {ATTRIBUTES}/>", "more than 10000 names"),
    "a huge one": (f"<repomd>{' ' * 5 * MILLION}</repomd>", "repomd.xml: larger than 4194304 bytes"),
    "digits": (
        f"<repomd><data type='primary'><size>{'9' * 60_000}</size></data></repomd>",
        "repomd.xml: the primary's ",
    ),
}


def test_metadata_documents_that_are_bombs_use_little_memory(hostile, www, server):
    for number, (kind, (text, reason)) in enumerate(DOCUMENTS.items()):
        (www / f"{number}" / "repodata").mkdir(parents=True)
        (www / f"{number}" / "repodata" / "repomd.xml").write_text(text)
        hostile.add(kind, a_repository("r", f"{server.url}/{number}"), reason)
    hostile.assert_all_refused()


def test_a_metalink_with_many_mirrors_uses_little_memory_and_at_most_100_mirrors_are_tried(hostile, www, server):
    url = "<url protocol='http' type='http' preference='1'>{}/{}/repodata/repomd.xml</url>"
    for mirrors, reason in (
        (300, "and 97 more"),
        (40_000, "there are more than 20000 elements"),
        (MILLION, "larger than 4194304 bytes"),
    ):
        urls = "".join(url.format(server.url, number) for number in range(mirrors))
        (www / f"{mirrors}").write_text(metalink("0" * 64).replace("</resources>", f"{urls}</resources>"))
        hostile.add(f"{mirrors} mirrors", {"id": "r", "rhsm": False, "metalink": f"{server.url}/{mirrors}"}, reason)
    hostile.assert_all_refused()
    assert len([path for path in server.asked if path.endswith("repomd.xml")]) == 100


@pytest.mark.parametrize("first", sampled(["repomd", "primary"], 1))
def test_endless_answers_use_little_memory(hostile, repository, first):
    repository.say("size", "")
    repomd = answer(200, repository.repomd.read_bytes())
    with ExitStack() as servers:
        for kind, flood in unending().items():
            server = servers.enter_context(
                Loopback(*([flood] if first == "repomd" else [repomd, flood, repomd, flood]))
            )
            hostile.add(kind, a_repository("r", server.url), server.url)
        hostile.assert_all_refused("--timeout", "10")


def test_slowly_sent_primary_files_end_at_the_time_limit(hostile, repository):
    steps = {**DRIPS, "interim answers": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n")}
    repomd = answer(200, repository.repomd.read_bytes())
    began = time.monotonic()
    with ExitStack() as servers:
        for kind, step in steps.items():
            server = servers.enter_context(Loopback(repomd, step))
            hostile.add(kind, a_repository("r", server.url), "time")
        hostile.assert_all_refused("--timeout", "2")
    assert time.monotonic() - began < 2 * PATIENCE
