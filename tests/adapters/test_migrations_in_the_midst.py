"""A database at tern 15 that is migrated while sessions like the older program's read and write."""

from __future__ import annotations

from adapters.postgres.migrate import migrate, migrations
from benchmarks.database import Size, fill
from benchmarks.lists import others
from tests.support.databases import Parameters, session

# A fiftieth of what the benchmark has.
SMALL = Size(composes=20_000, versions=2_000)
# Seconds that others may wait for a lock, and what a busy machine may add to it.
HELD = 1.0
SLACK = 3.0

UNFILLED = """
SELECT (SELECT count(*) FROM composes
        WHERE image_type IS NULL AND request #> '{image_requests,0,image_type}' IS NOT NULL),
       (SELECT count(*) FROM blueprints
        WHERE latest_version IS NULL AND EXISTS (SELECT 1 FROM blueprint_versions WHERE blueprint_id = blueprints.id))
"""
COUNTS = "SELECT (SELECT count(*) FROM composes), (SELECT count(*) FROM blueprint_versions)"


def test_who_reads_and_writes_meanwhile_is_not_refused_and_waits_for_no_lock(empty_database: Parameters) -> None:
    fill(empty_database, SMALL)
    with session(empty_database) as connection:
        (before,) = connection.execute(COUNTS).fetchall()
    with others(empty_database, SMALL) as seen:
        applied = migrate(empty_database)
    assert applied == [each.name for each in migrations()][1:], "the first one is what the older program has done"
    assert seen.errors == []
    assert seen.statements > 20
    assert seen.slowest < HELD + SLACK
    with session(empty_database) as connection:
        (after,) = connection.execute(COUNTS).fetchall()
        assert connection.execute(UNFILLED).fetchone() == (0, 0)
    assert after[0] > before[0], "what others have written is there"
