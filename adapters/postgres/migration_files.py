"""The migrations of this version: the SQL files in the folder `migrations`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_DIRECTORY: Final = Path(__file__).parent / "migrations"
_FILE_NAME: Final = re.compile(r"(?P<number>\d{4})_(?P<name>\w+)\.sql")
_CONCURRENT: Final = re.compile(r"\A-- concurrently: (?P<index>\w+)\n")
_OUTSIDE_TRANSACTION: Final = "-- outside a transaction\n"
# Finds names of tables that the statements of a migration may lock.
_TABLE: Final = re.compile(r"\b(?:ALTER TABLE|ON|REFERENCES) (\w+)")


@dataclass(frozen=True, slots=True)
class Migration:
    """A file of SQL statements."""

    number: int
    name: str
    statements: str

    @property
    def concurrent_index(self) -> str | None:
        """The index that the file builds concurrently: its first line is `-- concurrently: <index>`; otherwise None."""
        match = _CONCURRENT.match(self.statements)
        return match["index"] if match else None

    @property
    def tables(self) -> list[str]:
        """Names that its statements may lock, without duplicates; some are not tables, or do not exist yet."""
        return list(dict.fromkeys(_TABLE.findall(self.statements)))

    @property
    def runs_outside_transaction(self) -> bool:
        """Whether the file begins with `-- outside a transaction`: its one statement may then be repeated."""
        return self.statements.startswith(_OUTSIDE_TRANSACTION)


def migrations(directory: Path = _DIRECTORY) -> list[Migration]:
    """Return the migrations in the directory, in the order of their numbers."""
    matches = ((_FILE_NAME.fullmatch(path.name), path) for path in sorted(directory.iterdir()))
    return [
        Migration(int(match["number"]), match["name"], path.read_text(encoding="utf-8"))
        for match, path in matches
        if match
    ]
