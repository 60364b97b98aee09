"""Writes TOML in each form that a reader has to take, without a library: osbuild blueprints come in all of them."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class Form(Enum):
    """How arrays of tables are written."""

    TABLES = "[[tables]], as osbuild writes them"
    INLINE = "inline tables in an array on one line"
    LINES = "inline tables over several lines with a trailing comma, which only TOML 1.1 allows"


def write_toml(document: Mapping[str, Any], form: Form = Form.TABLES) -> str:
    """The document in TOML; values are texts, numbers, truth values, dates, lists and mappings."""
    return "\n".join(_table((), document, form)) + "\n"


def _table(path: tuple[str, ...], table: Mapping[str, Any], form: Form) -> Iterator[str]:
    below = {}
    for key, value in table.items():
        if isinstance(value, Mapping) or (form is Form.TABLES and _is_array_of_tables(value)):
            below[key] = value
        else:
            yield f"{_key(key)} = {_value(value, form)}"
    for key, value in below.items():
        inner = (*path, key)
        name = ".".join(map(_key, inner))
        for each in [value] if isinstance(value, Mapping) else value:
            yield f"[{name}]" if isinstance(value, Mapping) else f"[[{name}]]"
            yield from _table(inner, each, form)


def _is_array_of_tables(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(isinstance(each, Mapping) for each in value)


def _value(value: Any, form: Form) -> str:
    if isinstance(value, Mapping):
        pairs = [f"{_key(key)} = {_value(each, form)}" for key, each in value.items()]
        if form is Form.LINES and pairs:
            return "{\n  " + ",\n  ".join(pairs) + ",\n}"
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(each, form) for each in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.date):
        return value.isoformat()
    return _text(value) if isinstance(value, str) else repr(value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    # JSON escapes what TOML must, but for DEL, and in the same way, but for characters beyond U+FFFF: those stay.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
