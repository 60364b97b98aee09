"""Blueprints as TOML text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tomli_w


def blueprint_text(document: Mapping[str, Any], left_out: Sequence[str] = ()) -> str:
    """The TOML of an osbuild blueprint, of a document and what it leaves out as `domain.osbuild.blueprint.document`
    gives them; the latter becomes a comment at the top.
    """
    comment = ["# Left out, as an osbuild blueprint has no place for it:", *(f"# - {path}" for path in left_out), ""]
    return "\n".join([*(comment if left_out else ()), tomli_w.dumps(document)])
