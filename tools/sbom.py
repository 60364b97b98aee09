"""Write the SBOM (CycloneDX 1.6, JSON) of an environment: `tools/sbom.py [options] <its python> <file>`.

cyclonedx-py tells the Python packages; `--system` adds those that `tools/system_packages.sh` found around them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def main() -> int:
    """Read the arguments, write the file; the exit status."""
    parser = argparse.ArgumentParser(description="Write an environment's SBOM.")
    parser.add_argument("python", help="the environment's interpreter")
    parser.add_argument("file", type=Path, help="what is written")
    parser.add_argument("--pyproject", type=Path, required=True, help="what the environment is for")
    parser.add_argument("--system", type=Path, help="packages that are not Python's, as tab-separated values")
    arguments = parser.parse_args()
    document = of_environment(arguments.python, arguments.pyproject)
    if arguments.system:
        document["components"] += of_system(arguments.system.read_text(encoding="utf-8"))
    text = json.dumps(document, indent=1, ensure_ascii=False)
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.stderr.write(f"not CycloneDX: {wrong}\n")
        return 1
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    arguments.file.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(f"{arguments.file}: {len(document['components'])} components\n")
    return 0


def of_environment(python: str, pyproject: Path) -> dict[str, Any]:
    """What cyclonedx-py says of an environment; the same for the same environment."""
    told = subprocess.run(  # noqa: S603 - ours
        [
            # Of what the root depends on, which is added below.
            *(sys.executable, "-W", "ignore:The Component this BOM", "-m", "cyclonedx_py", "environment"),
            *("--pyproject", str(pyproject), "--mc-type", "application", "--spec-version", "1.6"),
            *("--output-reproducible", "--no-validate", python),
        ],
        stdout=subprocess.PIPE,
        check=True,
    )
    document: dict[str, Any] = json.loads(told.stdout)
    root = document["metadata"]["component"]
    root["version"] = _asked(python, f"m.version({root['name']!r})")  # the project file refers to the package for it
    refs = {component["purl"].partition("@")[0]: component["bom-ref"] for component in document["components"]}
    needed = (f"pkg:pypi/{name}" for name in _needed(python, root["name"]))
    document["dependencies"] = [
        *(each for each in document["dependencies"] if each["ref"] != root["bom-ref"]),
        {"ref": root["bom-ref"], "dependsOn": sorted(refs[url] for url in needed if url in refs)},
    ]
    return document


def _needed(python: str, name: str) -> list[str]:
    """What the project asks for itself, as installed there: cyclonedx-py knows only lists in the project file."""
    return [canonicalize_name(Requirement(line).name) for line in _asked(python, f"m.requires({name!r})") or ()]


def _asked(python: str, expression: str) -> Any:
    """The value of an expression in the environment; `m` is `importlib.metadata`."""
    program = f"import importlib.metadata as m, json; print(json.dumps({expression}))"
    told = subprocess.run([python, "-c", program], stdout=subprocess.PIPE, check=True)  # noqa: S603 - ours
    return json.loads(told.stdout)


def of_system(lines: str) -> list[dict[str, Any]]:
    """The components of lines of type, namespace, name, version, architecture, distribution, licence."""
    return list({component["bom-ref"]: component for component in _components(lines)}.values())


def _components(lines: str) -> Iterator[dict[str, Any]]:
    for line in lines.splitlines():
        kind, namespace, name, version, architecture, distribution, licence = line.split("\t")
        qualifiers = {"arch": architecture, "distro": distribution}
        epoch, colon, rest = version.partition(":")
        plain = version
        if kind == "rpm" and colon:
            plain, qualifiers["epoch"] = rest, epoch
        url = PackageURL(kind, namespace, name, plain, qualifiers).to_string()
        component = {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}
        if licence:
            component["licenses"] = [{"license": {"name": licence}}]
        yield component


if __name__ == "__main__":
    sys.exit(main())
