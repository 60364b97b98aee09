"""A database at tern migration 15 is migrated while the Go service reads and writes it.

`python -m benchmarks.lists` does the same with a million composes, and fails if a statement takes a second.
"""

from __future__ import annotations

from typing import Any

from adapters.postgres.migrate import migrate
from adapters.postgres.migration_files import migrations
from benchmarks.database import Size, fill
from benchmarks.lists import others
from tests.support.databases import Parameters, query
from tests.support.rounds import repeated
from tests.support.waiting import SOON

# In a long run a fifth of what the benchmark has.
SIZE = Size(composes=repeated(50_000, 200_000), versions=repeated(5_000, 20_000))

UNFILLED = """
SELECT (SELECT count(*) FROM composes
        WHERE image_type IS NULL AND request #> '{image_requests,0,image_type}' IS NOT NULL),
       (SELECT count(*) FROM blueprints
        WHERE latest_version IS NULL AND EXISTS (SELECT 1 FROM blueprint_versions WHERE blueprint_id = blueprints.id))
"""


def counts(parameters: Parameters) -> Any:
    """The numbers of composes, blueprints and versions."""
    (found,) = query(
        parameters,
        "SELECT (SELECT count(*) FROM composes), (SELECT count(*) FROM blueprints), "
        "(SELECT count(*) FROM blueprint_versions)",
    )
    return found


def all_grew(before: Any, after: Any) -> bool:
    return all(more > fewer for fewer, more in zip(before, after, strict=True))


def test_readers_and_writers_neither_fail_nor_wait_for_locks_during_migrations(
    empty_database: Parameters,
) -> None:
    fill(empty_database, SIZE)
    filled = counts(empty_database)
    with others(empty_database, SIZE) as seen:
        seen.wait_for_more()
        before = counts(empty_database)
        applied = migrate(empty_database)
        after = counts(empty_database)
        seen.wait_for_more()
    assert applied == [each.name for each in migrations()][1:], "the first one is what the Go service has done"
    assert seen.errors == []
    assert seen.slowest < SOON
    assert all_grew(filled, before)
    assert all_grew(before, after)
    assert all_grew(after, counts(empty_database))
    assert query(empty_database, UNFILLED) == [(0, 0)]
