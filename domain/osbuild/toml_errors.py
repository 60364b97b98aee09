"""Describes the errors of Python's TOML parser, with line and column, in words for users."""

from __future__ import annotations

import re
from typing import Final

from domain.texts import shorten

_PLACE: Final = re.compile(r" \(at (?:line (?P<line>[0-9]+), column (?P<column>[0-9]+)|end of document)\)$")
# The parts of a key, as Python writes a tuple of texts or one text.
_KEY: Final = re.compile(r"'((?:[^'\\]|\\.)*)'")
_MAX_KEY_LENGTH: Final = 200
# What the parser's messages begin with, and what they mean; `{key}` is the key that the message names.
_MEANINGS: Final = (
    ("Cannot declare", "the table {key} is given twice"),
    (
        "Cannot mutate immutable namespace",
        "{key} has a value already: a key is given once, either as {key} = … or in tables [{key}] and [[{key}]]",
    ),
    ("Cannot overwrite a value", "this key has a value already: a key is given once"),
    ("Duplicate inline table key", "the key {key} is given twice"),
    ("Invalid initial character for a key part", "expected a key: letters, digits, - and _, anything else in quotes"),
    ("Invalid statement", "expected a line such as key = value, [table] or [[table]]"),
    ("Expected '='", "expected = and a value after the key"),
    ("Expected newline or end of document", "expected the end of the line"),
    ("Expected ']'", "expected ] at the end of the table's name"),
    ("Expected ']]'", "expected ]] at the end of the table's name"),
    ("Unclosed array", "expected a comma or ] in a list"),
    ("Unclosed inline table", "expected a comma or } in a table"),
    ("Invalid value", "expected a value: text in quotes, a number, true, false, a date, a list or a table"),
    ("Invalid date or datetime", "there is no such date or time"),
    ("Unterminated string", "the text has no closing quotation mark"),
    (
        "Unescaped '\\' in a string",
        "a backslash must be followed by one of b t n f r \" \\ u U; or use '…' for the text",
    ),
    ("Invalid hex value", "expected hexadecimal digits after the backslash"),
    ("Escaped character is not a Unicode scalar value", "there is no character with this number"),
    ("Illegal character", "a control character is not allowed here"),
    ("Found invalid character", "a control character is not allowed here"),
    ("Expected '\"", "the text has no closing quotation mark"),
    ("Expected \"'", "the text has no closing quotation mark"),
)


def describe_toml_error(message: str, text: str) -> str:
    """What is wrong and where, for a message of `tomllib.TOMLDecodeError` about the text.

    It repeats keys, and no values.
    """
    place = _PLACE.search(message)
    reason = message[: place.start()] if place else message
    meaning = next((words for begins, words in _MEANINGS if reason.startswith(begins)), "this is not allowed here")
    key = shorten(".".join(_KEY.findall(reason)), _MAX_KEY_LENGTH)
    if place and place["line"]:
        line, column = int(place["line"]), int(place["column"])
    else:
        line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    return f"line {line}, column {column}: {meaning.replace('{key}', key)}"
