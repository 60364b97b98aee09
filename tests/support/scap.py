"""SCAP source datastreams for tests, and the command that reads them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support import launcher
from tests.support.service import PROJECT

COMMAND: Final = ("distributions", "refresh-profiles")
PREFIX: Final = "xccdf_org.example.content_"
CIS: Final = f"{PREFIX}profile_cis"
STIG: Final = f"{PREFIX}profile_stig"
AIDE: Final = '[[packages]]\nname = "aide"\nversion = "*"\n'
# Of Debian's package ssg-nondebian.
SSG: Final = Path("/usr/share/xml/scap/ssg/content")

_HEAD: Final = (
    '<?xml version="1.0"?><ds:data-stream-collection xmlns:ds="http://scap.nist.gov/schema/scap/source/1.2" '
    'xmlns:x="http://checklists.nist.gov/xccdf/1.2" xmlns:html="http://www.w3.org/1999/xhtml">'
    '<ds:component id="c"><x:Benchmark id="xccdf_org.example.content_benchmark_TEST">'
)
_TAIL: Final = "</x:Benchmark></ds:component></ds:data-stream-collection>"


def ssg(product: str) -> Path:
    """The datastream of the SCAP Security Guide for a product; skips the test if the package is not installed."""
    path = SSG / f"ssg-{product}-ds.xml"
    if not path.exists():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("ssg-nondebian is not installed here")
    return path


def a_profile(
    name: str = "cis", *rules: str, title: str = "CIS", description: str = "", inner: str = "", attributes: str = ""
) -> str:
    """A profile that selects these rules by their short ids."""
    selects = "".join(f'<x:select idref="{PREFIX}rule_{rule}" selected="true"/>' for rule in rules)
    return (
        f'<x:Profile id="{PREFIX}profile_{name}" {attributes}><x:title>{title}</x:title>'
        f"<x:description>{description}</x:description>{selects}{inner}</x:Profile>"
    )


def a_rule(
    name: str = "aide", fix: str = AIDE, selected: str = "false", system: str = "urn:redhat:osbuild:blueprint"
) -> str:
    """A rule with a TOML fix for osbuild."""
    return (
        f'<x:Rule id="{PREFIX}rule_{name}" selected="{selected}"><x:title>A rule</x:title>'
        f'<x:fix system="{system}" id="{name}">{fix}</x:fix></x:Rule>'
    )


def a_group(name: str, *inner: str, attributes: str = "") -> str:
    """A group that contains rules."""
    return f'<x:Group id="{PREFIX}group_{name}" {attributes}><x:title>A group</x:title>{"".join(inner)}</x:Group>'


def a_value(name: str, **alternatives: str) -> str:
    """A value; its `default` is the choice without a selector."""
    values = "".join(
        f"<x:value>{text}</x:value>" if selector == "default" else f'<x:value selector="{selector}">{text}</x:value>'
        for selector, text in alternatives.items()
    )
    return f'<x:Value id="{PREFIX}value_{name}"><x:title>A value</x:title>{values}</x:Value>'


def a_reference(name: str) -> str:
    """A reference to a value in a fix."""
    return f'<x:sub idref="{PREFIX}value_{name}" use="legacy"/>'


def a_datastream(*content: str) -> bytes:
    """A datastream with one benchmark of this content."""
    return f"{_HEAD}{''.join(content)}{_TAIL}".encode()


def put_distribution(directory: Path, name: str, oscap_name: str | None = "test", **profiles: Any) -> Path:
    """Add a distribution to the directory, with profiles by their short ids, and return its folder."""
    folder = directory / name
    folder.mkdir(parents=True)
    names = {"name": name, "description": "Test", "no_package_list": True}
    document = {"module_platform_id": "platform:el9", "oscap_name": oscap_name, "distribution": names}
    (folder / f"{name}.json").write_text(json.dumps(document))
    for short, customizations in profiles.items():
        path = folder / "oscap" / f"{PREFIX}profile_{short}" / "customizations.json"
        path.parent.mkdir(parents=True)
        path.write_text(customizations if isinstance(customizations, str) else json.dumps(customizations))
    return folder


def profile_files(folder: Path) -> dict[str, str]:
    """The texts of all files of a distribution except its own, by path below its folder."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path != folder / f"{folder.name}.json"
    }


def refresh(directory: Path, *arguments: object, memory: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command with these arguments and a memory limit in bytes, and return the completed process."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "DISTRIBUTIONS_DIR": str(directory)}
    return launcher.run([*COMMAND, *map(str, arguments)], environment, memory)
