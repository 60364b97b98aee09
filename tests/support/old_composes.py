"""Many composes that are as old as maintenance removes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from tests.support.counts import write_without_triggers
from tests.support.databases import Parameters, session
from tests.support.rows import now

OLD = timedelta(days=3 * 366)
# Many rows of a year each, of one moment and of many.
_MANY = """
INSERT INTO composes (job_id, request, created_at, account_number, org_id)
SELECT gen_random_uuid(), %(request)s, %(first)s::timestamp + (n / %(together)s) * interval '1 second', '', 'many'
FROM generate_series(1, %(number)s) n
"""


def insert_many(
    database: Parameters,
    number: int,
    *,
    request: Any = None,
    ago: timedelta = OLD,
    together: int = 1,
    triggers: bool = True,
) -> None:
    """Insert composes of one organization; the first is `ago` old, and so many `together` are of one second."""
    with session(database) as connection:
        if not triggers:
            write_without_triggers(connection)
        values = {"request": Jsonb(request or {}), "first": now() - ago, "together": together, "number": number}
        connection.execute(_MANY, values)
