"""A distribution with a list of packages, for services whose DISTRIBUTIONS_DIR is a test's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_listed_distribution(
    parent: Path, name: str, packages: Mapping[str, str], architecture: Mapping[str, Any] | None = None
) -> None:
    """Write the folder of a distribution for x86_64 with one repository, which has these packages.

    `packages` maps names to summaries. `architecture` adds members to the document's `x86_64`.
    """
    folder = parent / name
    folder.mkdir()
    repositories = [{"id": "baseos", "baseurl": "https://mirror.example/", "rhsm": False}]
    document = {
        "module_platform_id": "platform:el9",
        "distribution": {"name": name, "description": name},
        "x86_64": {"repositories": repositories, **(architecture or {})},
    }
    (folder / f"{name}.json").write_text(json.dumps(document))
    listed = [{"name": package, "summary": summary} for package, summary in packages.items()]
    (folder / f"{name}-x86_64-baseos-packages.json").write_text(json.dumps(listed))
