"""Audit what the service is made of: `python tools/audit.py`.

Three questions, each answered in a line: is every requirement pinned and locked by hash, does what is installed fit
together, and is anything known against the locked versions. The last one asks OSV's database over the network. Exit
status 0: all is well; 1: something is wrong; 3: nothing else is wrong, but the database could not be asked.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

_REQUIREMENTS: Final = Path(__file__).resolve().parent.parent / "requirements"
_OSV: Final = "https://api.osv.dev/v1/query"
_PINNED: Final = re.compile(r"[A-Za-z0-9._-]+(\[[^]]*\])?==[^\s;]+")
_HASH: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}")
_WRONG: Final = 1
_UNKNOWN: Final = 3


def unlocked(text: str) -> list[str]:
    """The requirements of a lock file that are not held to one version and its hashes, options included."""
    lines = "\n".join(line.split(" #")[0] for line in text.splitlines() if not line.lstrip().startswith("#"))
    entries = [entry.strip() for entry in lines.replace("\\\n", " ").splitlines()]
    return [entry.split()[0] for entry in entries if entry and not (_PINNED.match(entry) and _HASH.search(entry))]


def main() -> int:
    """Ask all three questions, whatever the answers; the exit status."""
    parser = argparse.ArgumentParser(description="Audit what the service is made of.")
    parser.add_argument("--requirements", type=Path, default=_REQUIREMENTS, help="the folder with the lock files")
    parser.add_argument("--osv-url", default=_OSV, help="who knows about vulnerabilities")
    arguments = parser.parse_args()
    locks = sorted(arguments.requirements.glob("*.txt"))
    return max(_locked(locks), _fits(), _advisories(locks, arguments.osv_url), key=(0, _UNKNOWN, _WRONG).index)


def _locked(locks: list[Path]) -> int:
    loose = [f"{lock.name}: {entry}" for lock in locks for entry in unlocked(lock.read_text(encoding="utf-8"))]
    if loose or not locks:
        return _say(_WRONG, "locks", ", ".join(loose) or "there are none")
    return _say(0, "locks", "every requirement is pinned and has its hashes")


def _fits() -> int:
    checked = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"], capture_output=True, check=False
    )
    return _say(_WRONG if checked.returncode else 0, "installed", checked.stdout.decode().strip())


def _advisories(locks: list[Path], osv_url: str) -> int:
    named = [part for lock in locks for part in ("--requirement", str(lock))]
    options = ["--vulnerability-service", "osv", "--osv-url", osv_url, "--disable-pip", "--progress-spinner", "off"]
    audited = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "pip_audit", *options, "--format", "json", *named], capture_output=True, check=False
    )
    try:
        dependencies = orjson.loads(audited.stdout)["dependencies"]
    except orjson.JSONDecodeError:
        reason = audited.stderr.decode().strip().rpartition("\n")[2]
        return _say(_UNKNOWN, "advisories", f"NOT KNOWN, the database of advisories could not be asked: {reason}")
    found = list(dict.fromkeys(_found(dependencies)))  # a package is in more than one lock
    if found:
        return _say(_WRONG, "advisories", "; ".join(found))
    return _say(0, "advisories", f"none against {len({each['name'] for each in dependencies})} packages")


def _found(dependencies: list[dict[str, Any]]) -> Iterator[str]:
    for each in dependencies:
        for advisory in each.get("vulns", ()):
            mended = ", ".join(advisory["fix_versions"]) or "none yet"
            yield f"{each['name']} {each['version']}: {advisory['id']} (mended in: {mended})"


def _say(status: int, what: str, answer: str) -> int:
    sys.stdout.write(f"{what}: {answer}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
