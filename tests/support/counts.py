"""Compares the counts that triggers keep with a full count of the builds."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg import errors

from tests.support.databases import Parameters, query

# Databases into which tests wrote builds without triggers.
_UNCOUNTED: Final[set[str]] = set()

# By organization: the builds, less what each table counts. Then the same by period and image type.
_DIFFERENCES: Final = """
WITH listed AS (
    SELECT org_id, count(*) AS number FROM composes WHERE NOT deleted GROUP BY org_id
), started AS (
    SELECT org_id, count(*) AS number FROM composes GROUP BY org_id
), counted AS (
    SELECT 'compose_list_entries' AS counts, org_id, number FROM listed
    UNION ALL SELECT 'compose_list_entries', org_id, -count(*) FROM compose_list_entries GROUP BY org_id
    UNION ALL SELECT 'compose_counts', org_id, number FROM listed
    UNION ALL SELECT 'compose_counts', org_id, -count FROM compose_counts
    UNION ALL SELECT 'compose_fine_counts', org_id, number FROM listed
    UNION ALL SELECT 'compose_fine_counts', org_id, -count FROM compose_fine_counts
    UNION ALL SELECT 'compose_quota_counts', org_id, number FROM started
    UNION ALL SELECT 'compose_quota_counts', org_id, -count FROM compose_quota_counts
)
SELECT counts, org_id, sum(number)::bigint FROM counted GROUP BY counts, org_id HAVING sum(number) <> 0
UNION ALL
SELECT missing.counts, tenants.org_id, missing.number
FROM (SELECT DISTINCT org_id FROM composes) tenants CROSS JOIN LATERAL compose_counts_missing(tenants.org_id) missing
"""


def write_without_triggers(connection: psycopg.Connection[Any]) -> None:
    """Let no statement of this session run a trigger, as pg_restore with --disable-triggers does."""
    connection.execute("SET session_replication_role = replica")
    _UNCOUNTED.add(connection.info.dbname)


def wrong_counts(database: Parameters) -> list[Any]:
    """The counts that differ from a full count: table, organization, and what is missing."""
    return query(database, _DIFFERENCES)


def check_counts(database: Parameters) -> None:
    """Assert that all counts are right, unless a test wrote builds without triggers or took the tables away."""
    if database["dbname"] in _UNCOUNTED:
        return
    try:
        wrong = wrong_counts(database)
    except (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction):
        return
    assert wrong == []
