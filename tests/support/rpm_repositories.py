"""RPM repositories with real, small packages of rpmbuild and createrepo_c, damaged as tests need it."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import zstandard

from tests.support.waiting import PATIENCE

TOOLS = ("rpmbuild", "createrepo_c")


@dataclass(frozen=True, slots=True)
class Rpm:
    """An empty package; `version` may begin with an epoch, `1:2.0`."""

    name: str
    version: str = "1.0"
    arch: str = "noarch"
    summary: str = "Something"


RPMS = (
    Rpm("zsh", "5.9", "x86_64", "A shell"),
    Rpm("zsh", "5.9", "aarch64", "A shell for Arm"),
    Rpm("alpha", "1.9", "x86_64", "Alpha of old"),
    Rpm("alpha", "1.10", "x86_64", "Alpha of today"),
    Rpm("alpha", "1.2", "x86_64", "Alpha of yore"),
    Rpm("epoch", "1:1.0", "noarch", "The epoch decides"),
    Rpm("epoch", "2.0", "noarch", "The epoch was forgotten"),
    Rpm("greetings", "1.0", "noarch", '<b> & "Grüße" ☃'),
    Rpm("legacy", "1.0", "i686", "For 32 bits"),
    Rpm("only-arm", "1.0", "aarch64", "For Arm alone"),
    Rpm("sources", "1.0", "src", "What others are built from"),
)
X86_64 = [
    ("alpha", "Alpha of today"),
    ("epoch", "The epoch decides"),
    ("greetings", '<b> & "Grüße" ☃'),
    ("zsh", "A shell"),
]
AARCH64 = [
    ("epoch", "The epoch decides"),
    ("greetings", '<b> & "Grüße" ☃'),
    ("only-arm", "For Arm alone"),
    ("zsh", "A shell for Arm"),
]


def need_tools() -> None:
    """Skip the test without the tools; CI must have them."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"CI must have {', '.join(missing)}")
    if missing:
        pytest.skip(f"no {', '.join(missing)} here")


def build_rpms(folder: Path) -> Path:
    """Build all RPMS, and return their folder."""
    need_tools()
    built = folder / "built"
    for number, rpm in enumerate(RPMS):
        _build(folder / f"{number}", rpm, built)
    return built


def _build(folder: Path, rpm: Rpm, built: Path) -> None:
    folder.mkdir(parents=True)
    epoch, _, version = rpm.version.rpartition(":")
    lines = [
        f"Name: {rpm.name}",
        *([f"Epoch: {epoch}"] if epoch else []),
        f"Version: {version}",
        "Release: 1",
        f"Summary: {rpm.summary}",
        "License: MIT",
        "%description",
        "%files",
    ]
    spec = folder / "package.spec"
    spec.write_text("\n".join(lines))
    kind = ["-bs"] if rpm.arch == "src" else ["-bb", "--target", rpm.arch]
    command = ["rpmbuild", *kind, "--define", f"_topdir {folder}/top", "--define", "debug_package %{nil}"]
    folders = [f"{key} {built}" for key in ("_rpmdir", "_srcrpmdir")]
    for define in [*folders, "_rpmfilename %%{NAME}-%%{VERSION}.%%{ARCH}.rpm"]:
        command += ["--define", define]
    subprocess.run([*command, str(spec)], check=True, capture_output=True, timeout=PATIENCE)


class RpmRepository:
    """A repository in a folder, created by createrepo_c with the `compression` gz, xz or bz2, or with zstd or none."""

    def __init__(self, folder: Path, rpms: Path, compression: str = "gz") -> None:
        shutil.copytree(rpms, folder)
        self.folder = folder
        own = compression in ("zstd", "plain")  # createrepo_c of Debian 12 knows no zstd yet
        asked = "gz" if own else compression
        command = ["createrepo_c", "--quiet", "--no-database", f"--general-compress-type={asked}", str(folder)]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
        if own:
            opened = gzip.decompress(self.primary.read_bytes())
            packed = zstandard.compress(opened) if compression == "zstd" else opened
            self.put_primary(packed, opened, name="primary.xml" + (".zst" if compression == "zstd" else ""))

    @property
    def repomd(self) -> Path:
        """The content of repomd.xml."""
        return self.folder / "repodata" / "repomd.xml"

    @property
    def primary(self) -> Path:
        """The primary file that repomd.xml names."""
        primary = self.repomd.read_text().partition('<data type="primary">')[2]
        found = re.search(r'<location href="([^"]+)"', primary)
        assert found
        return self.folder / found[1]

    @property
    def checksum(self) -> str:
        """The SHA-256 of repomd.xml."""
        return hashlib.sha256(self.repomd.read_bytes()).hexdigest()

    def put_primary(self, packed: bytes, opened: bytes, name: str = "primary.xml.gz") -> None:
        """Replace the primary file, and repomd.xml with it."""
        (self.folder / "repodata" / name).write_bytes(packed)
        self.say("location", f'<location href="repodata/{name}"/>')
        for prefix, content in (("", packed), ("open-", opened)):
            self.say(f"{prefix}size", f"<{prefix}size>{len(content)}</{prefix}size>")
            value = hashlib.sha256(content).hexdigest()
            self.say(f"{prefix}checksum", f'<{prefix}checksum type="sha256">{value}</{prefix}checksum>')

    def say(self, name: str, instead: str) -> None:
        """Replace a value in the description of the primary file in repomd.xml."""
        before, data, after = re.split(r'(<data type="primary">.*?</data>)', self.repomd.read_text(), flags=re.DOTALL)
        element = re.compile(rf"<{name}\b[^>]*?(/>|>[^<]*</{name}>)")
        assert element.search(data)
        self.repomd.write_text(before + element.sub(lambda _: instead, data, count=1) + after)


def metalink(checksum: str, *mirrors: tuple[int, str], type_: str = "sha256") -> str:
    """A metalink in the format of MirrorManager, with mirrors by preference and address of the repository."""
    urls = "".join(
        f'<url protocol="{url.split(":")[0]}" type="{url.split(":")[0]}" location="DE" preference="{preference}">'
        f"{url}/repodata/repomd.xml</url>"
        for preference, url in mirrors
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files><file name="repomd.xml">
  <mm0:timestamp>1700000000</mm0:timestamp><size>3000</size>
  <verification><hash type="md5">{"0" * 32}</hash><hash type="{type_}">{checksum}</hash></verification>
  <mm0:alternates><mm0:alternate><verification><hash type="sha256">{"a" * 64}</hash></verification></mm0:alternate>
  </mm0:alternates>
  <resources maxconnections="1">{urls}</resources>
 </file></files>
</metalink>"""
