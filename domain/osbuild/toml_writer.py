"""Writes osbuild blueprints as TOML that osbuild reads: each list of tables as `[[…]]`, never as an inline table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from domain.osbuild.codecs import child_path

# Characters that JSON leaves as they are in a string, and TOML does not allow.
_CONTROL: Final = re.compile("[\x7f]")


def write_toml(document: Mapping[str, Any]) -> str:
    """The document as TOML; it holds tables, lists of tables, lists of values, texts, whole numbers and flags."""
    return "".join(f"{line}\n" for line in _write_table(document, "")).removeprefix("\n")


def _write_table(table: Mapping[str, Any], path: str) -> Iterator[str]:
    """The lines of a table's values, followed by its tables, which must come last."""
    for key, value in table.items():
        if not isinstance(value, Mapping) and not _is_list_of_tables(value):
            yield f"{child_path('', key)} = {_write_value(value)}"
    for key, value in table.items():
        at = child_path(path, key)
        if isinstance(value, Mapping):
            # A table that holds nothing but tables needs no line of its own.
            if not value or not all(isinstance(each, Mapping) or _is_list_of_tables(each) for each in value.values()):
                yield ""
                yield f"[{at}]"
            yield from _write_table(value, at)
        elif _is_list_of_tables(value):
            for entry in value:
                yield ""
                yield f"[[{at}]]"
                yield from _write_table(entry, at)


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(e, Mapping) for e in value)


def _write_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _CONTROL.sub("\\\\u007f", json.dumps(value, ensure_ascii=False))
    if isinstance(value, Sequence):
        return f"[{', '.join(_write_value(each) for each in value)}]" if value else "[]"
    return str(value)
