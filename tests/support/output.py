"""Collects the output of all programs under test, and the secrets of the tests, of which none may occur in it.

Services, commands and bodies are registered automatically (`file`, `given`); tests/conftest.py checks at the end.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

# Shorter ones, and words, stand in lines that have nothing to do with them.
_SHORTEST: Final = 8
_WORDS: Final = frozenset({"stand-in", "password", "a secret", "postgres"})
_FIELDS: Final = frozenset({"password", "activation-key", "host_config_key"})
_VARIABLES: Final = ("PASSWORD", "SECRET", "TOKEN", "DSN", "ACCESS_KEY_ID", "ACCESS_KEY")
# How the identity header of every test begins, in base64.
_IDENTITY: Final = rb"eyJpZGVudGl0eSI6"

_secrets: set[str] = set()
_files: list[Path] = []
_texts: list[tuple[str, bytes]] = []


def file(name: str) -> Path:
    """A new file for the output of a process."""
    with tempfile.NamedTemporaryFile(prefix=f"image-builder-{name}-", suffix=".log", delete=False) as made:
        _files.append(Path(made.name))
    return _files[-1]


def also(path: Path) -> None:
    """Search this file, too."""
    _files.append(path)


def said(source: str, text: str | bytes) -> None:
    """Search this output, which is in no file."""
    if text:
        _texts.append((source, text.encode("utf-8", "replace") if isinstance(text, str) else text))


def given(document: Any) -> None:
    """Register the secrets of a request's body."""
    _keep(_of_document(document))


def configured(environment: Mapping[str, str]) -> None:
    """Register the secrets of an environment."""
    _keep(value for name, value in environment.items() if name.endswith(_VARIABLES) and "://" not in value)
    _keep(urlsplit(value).password or "" for value in environment.values() if "://" in value)


def found() -> list[str]:
    """Describe each secret that occurs in the output; empty if there is none. Removes the files of `file`."""
    pattern = secrets_pattern(_secrets)
    places = [(str(path), path.read_bytes()) for path in dict.fromkeys(_files) if path.exists()]
    return [f"{where}: {line}" for where, text in [*places, *_texts] for line in leaks(pattern, text)]


def secrets_pattern(secrets: Iterable[str]) -> re.Pattern[bytes]:
    """A pattern that matches any of the secrets, or an identity header."""
    longest_first = sorted((secret.encode() for secret in secrets), key=len, reverse=True)
    return re.compile(b"|".join([*map(re.escape, longest_first), _IDENTITY]))


def leaks(pattern: re.Pattern[bytes], text: bytes) -> Iterator[str]:
    """The shortened lines that contain a secret, each once."""
    for line in {_line_at(text, match.start()) for match in pattern.finditer(text)}:
        yield line[:500].decode(errors="replace")


def clean_up() -> None:
    """Remove the files that `file` created."""
    for path in _files:
        if path.name.startswith("image-builder-"):
            path.unlink(missing_ok=True)


def _line_at(text: bytes, position: int) -> bytes:
    end = text.find(b"\n", position)
    return text[text.rfind(b"\n", 0, position) + 1 : end if end >= 0 else len(text)]


def _keep(values: Iterable[str]) -> None:
    _secrets.update(value for value in values if len(value) >= _SHORTEST and value not in _WORDS)


def _of_document(document: Any) -> Iterator[str]:
    if isinstance(document, Mapping):
        for key, value in document.items():
            if key in _FIELDS and isinstance(value, str):
                yield value
            else:
                yield from _of_document(value)
    elif isinstance(document, list | tuple):
        for each in document:
            yield from _of_document(each)
