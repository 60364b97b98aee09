"""Values of a body are counted before it is parsed: exactly for JSON, and never too few for TOML."""

from __future__ import annotations

import json
import time
import tomllib
import tracemalloc
from typing import Any
from unittest.mock import patch

import orjson
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidRequestError
from domain.osbuild import toml
from domain.osbuild.toml import parse_toml
from image_builder.http import value_count
from image_builder.http.value_count import MAX_VALUES, count_toml_values, count_values
from tests.support.rounds import sampled

MIB = 1024 * 1024
LARGEST_BODY = 4 * MIB
# If the time were more than linear, counting a text of this length would take many minutes.
DEADLINE = 20.0

tricky = st.text(st.sampled_from("\"\\[]{},:=.#' \n\ta1é")) | st.text()
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | tricky
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(tricky, inner, max_size=4), max_leaves=30
)


def values_of(document: Any) -> int:
    if isinstance(document, dict):
        return 1 + sum(1 + values_of(value) for value in document.values())
    if isinstance(document, list):
        return 1 + sum(map(values_of, document))
    return 1


# JSON


@given(documents)
def test_values_in_json_are_counted_exactly_in_any_layout(document: Any) -> None:
    expected = values_of(document)
    assert count_values(orjson.dumps(document)) == expected
    assert count_values(json.dumps(document, indent=3).encode()) == expected
    assert count_values(json.dumps(document, separators=(" ,\r\n", "\t:")).encode()) == expected


@pytest.mark.parametrize("size", [2, 3, 7])
@given(documents)
def test_the_number_of_json_values_does_not_depend_on_the_blocks(size: int, document: Any) -> None:
    with patch.object(value_count, "_BLOCK", size):
        assert count_values(orjson.dumps(document)) == values_of(document)
        assert count_values(json.dumps(document, indent=1).encode()) == values_of(document)


@pytest.mark.parametrize(
    "text", [r'"\\"', r'["\\\"", "\\\\"]', r'{"\"": "\u0022,[{"}', "[[], {}, [[]], [ ]]", '["[]", {"{}": "{}"}]', "7"]
)
def test_contents_of_strings_do_not_count(text: str) -> None:
    assert count_values(text.encode()) == values_of(json.loads(text))


@pytest.mark.parametrize("body", [b'["", ' + b'"",' * 500, b"[" + b"1," * 500, b"{}," * 500, b'[{"a": ' * 500])
def test_invalid_json_counts_the_values_that_a_parser_would_create(body: bytes) -> None:
    assert count_values(body) > 400


def test_a_repeated_key_counts_twice() -> None:
    assert count_values(b'{"a": 1, "a": 2}') == 5


# TOML

bare = st.text(st.sampled_from("abcXYZ019_-"), min_size=1, max_size=4)
spaces = st.sampled_from(["", " ", "\t "])
toml_texts = tricky.filter(lambda text: text.isprintable()).map(lambda text: json.dumps(text, ensure_ascii=False))
literals = st.sampled_from(
    ["''", "'a.b=[1]'", "'''\n[x]\na.b = '1', \"2\"\n'''", '"""\n\\"""[#], ""x"""', "'#'", '"""\n"""']
)
numbers = st.sampled_from(["1", "-1.5", "true", "1979-05-27T07:32:00.5", "0x1f", "1_000.25"])
ends = st.sampled_from(["", " # note", "\t# a = [1] 'x", " #"])


def array_of(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    separators = st.sampled_from([",", " , ", ",\n  ", ", # one, two\n"])
    return st.builds(
        lambda entries, separator, tail: f"[{separator.join(entries)}{tail}]",
        st.lists(inner, max_size=4),
        separators,
        st.sampled_from(["", "\n", "# last\n"]),
    )


def inline_table_of(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(st.lists(bare, min_size=1, max_size=3), inner), max_size=3)
    return pairs.map(
        lambda entries: (
            "{" + ", ".join(f"k{number}.{'.'.join(key)} = {value}" for number, (key, value) in enumerate(entries)) + "}"
        )
    )


toml_values = st.recursive(
    toml_texts | literals | numbers, lambda inner: array_of(inner) | inline_table_of(inner), max_leaves=8
)


@st.composite
def toml_files(draw: st.DrawFn) -> str:
    """Statements of every form; numbers in their keys prevent conflicts between them."""
    lines = [draw(st.sampled_from(["", "\ufeff", "# first\n", "\ufeff# first\n\n"]))]
    for number in range(draw(st.integers(0, 6))):
        before, after, end = draw(spaces), draw(spaces), draw(ends)
        parts = [f"n{number}", *draw(st.lists(bare | toml_texts, max_size=3))]
        key = f"{after}.{before}".join(parts)
        form = draw(st.sampled_from(["pair", "table", "tables"]))
        if form == "pair":
            lines.append(f"{before}{key}{after}={before}{draw(toml_values)}{end}")
        elif form == "table":
            lines.append(f"{before}[{after}{key}{before}]{end}")
        else:
            lines.extend([f"{before}[[{after}{key}{before}]]{end}"] * draw(st.integers(1, 3)))
    return draw(st.sampled_from(["\n", "\r\n", "\n\n"])).join(lines)


@given(toml_files())
def test_values_in_toml_are_never_undercounted(text: str) -> None:
    document = tomllib.loads(text.removeprefix("\ufeff"))
    assert count_toml_values(text.encode()) >= values_of(document)


@pytest.mark.parametrize("size", [4, 5, 11])
@given(toml_files())
def test_the_number_of_toml_values_does_not_depend_on_the_blocks(size: int, text: str) -> None:
    whole = count_toml_values(text.encode())
    with patch.object(value_count, "_BLOCK", size):
        assert count_toml_values(text.encode()) == whole
    with patch.object(toml, "_BLOCK", size):
        assert count_toml_values(text.encode()) >= values_of(tomllib.loads(text.removeprefix("\ufeff")))


@given(st.dictionaries(tricky, documents.filter(lambda document: document is not None), max_size=4), st.booleans())
def test_values_in_formatted_toml_are_never_undercounted(document: dict[str, Any], multiline: bool) -> None:
    try:
        text = tomli_w.dumps(document, multiline_strings=multiline)
    except (TypeError, ValueError):  # TOML has no null
        return
    assert count_toml_values(text.encode()) >= values_of(tomllib.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "a.b.c.d.e.f = 1",
        "[a.b.c]\n[a.b.c.d]",
        "[[a.b]]\n[[a.b.c]]\n[[a.b]]\n[[a.b.c]]",
        "[[a]]\n  [[a.b]]\n\t[a.b.c]",
        'a = [[[1], ["x"]], [{b.c = 1}]]',
        "",
        "\n",
    ],
)
def test_tables_that_dotted_keys_and_headers_create_count(text: str) -> None:
    assert count_toml_values(text.encode()) >= values_of(tomllib.loads(text))


@pytest.mark.parametrize("quotes", ["'''", '"""'])
def test_quotes_in_a_string_that_spans_blocks_do_not_end_it(quotes: str) -> None:
    lines = f"{quotes[:2]}x\n," * 20_000
    body = f"a = {quotes}{lines}{quotes}\n".encode()
    for shift in range(4):
        assert count_toml_values(b" " * shift + body) == count_toml_values(b"a = 1\n")


@pytest.mark.parametrize("quotes", ["'''", '"""'])
def test_a_large_file_in_toml_is_one_value_whatever_it_contains(quotes: str) -> None:
    data = "a.b = [1, {c = 'd'}], x # ''\n" * 20_000
    body = f"[[customizations.files]]\npath = '/etc/x'\ndata = {quotes}{data}{quotes}\n".encode()
    assert len(body) > MIB // 2
    assert count_toml_values(body) < 20


def test_comments_do_not_count() -> None:
    body = b"# a.b = [1, 2, 'x'] \" '''\n  # more\n\n" * 200_000 + b"a = 1 # b = 2\n"
    assert count_toml_values(body) < 10


# Bodies that must be accepted, and bodies that must not


def test_the_longest_list_of_packages_is_within_the_limit_in_json_and_toml() -> None:
    names = [f"package-{number}" for number in range(10_000)]
    assert count_values(orjson.dumps({"customizations": {"packages": names}})) < MAX_VALUES
    tables = tomli_w.dumps({"packages": [{"name": name, "version": "*"} for name in names]})
    assert count_toml_values(tables.encode()) < MAX_VALUES


@pytest.mark.parametrize("unit", [b"1,", b"[],", b'"",', b"{},", b'{"a":1},', b"null,", b"["])
def test_four_mebibytes_of_small_values_are_too_many(unit: bytes) -> None:
    assert count_values(b"[" + unit * (LARGEST_BODY // len(unit))) > MAX_VALUES


@pytest.mark.parametrize("unit", [b"a=1\n", b"'',", b"[a]\n", b"[[a]]\n", b"a.b=1\n", b"1,", b"{a=1},", b'"a"=""\n'])
def test_four_mebibytes_of_small_values_are_too_many_in_toml(unit: bytes) -> None:
    assert count_toml_values(b"a=[" + unit * (LARGEST_BODY // len(unit))) > MAX_VALUES


HOSTILE = [
    b" ",
    b"\n",
    b'"',
    b"'",
    b"\\",
    b'\\"',
    b'"""',
    b'""" ',
    b"'''x",
    b"#",
    b"#\n",
    b"x#\n",
    b"# \n\n x",
    b"[",
    b"a.",
]


@pytest.mark.parametrize("prefix", [b'["\\n"', b'"""'])
@pytest.mark.parametrize("unit", sampled(HOSTILE, 2), ids=repr)
def test_counting_takes_linear_time_and_twice_the_memory(prefix: bytes, unit: bytes) -> None:
    body = prefix + unit * (MIB // 2 // len(unit))
    began = time.thread_time()
    count_values(body)
    count_toml_values(body)
    assert time.thread_time() - began < DEADLINE
    for count in (count_values, count_toml_values):
        tracemalloc.start()
        count(body)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2 * len(body) + 8 * MIB


# Depth


def test_the_parsers_refuse_very_deep_nesting() -> None:
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(b"[" * 50_000 + b"]" * 50_000)
    for text in ("a = " + "[" * 50_000 + "]" * 50_000, "a = " + "{a = " * 50_000):
        with pytest.raises(InvalidRequestError, match="nested too deeply"):
            parse_toml(text)
