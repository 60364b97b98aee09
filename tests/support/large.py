"""The content of a database that is large enough for tests of its size."""

from __future__ import annotations

from adapters.postgres.migrate import migrate
from benchmarks.database import Size, add_labels, fill
from tests.support.databases import Parameters, session

SIZE = Size(composes=100_000, versions=10_000)

# Of the last half day: of an empty table the planner takes any index.
_KEYS_AND_STARTS = """
INSERT INTO compose_starts (id, org_id, created_at, fingerprint)
SELECT md5('start ' || n)::uuid, 'tenant-' || n % 997, (now() AT TIME ZONE 'utc') - n * interval '5 seconds', 'x'
FROM generate_series(1, 10000) n;
INSERT INTO idempotency_keys (id, org_id, path, key, body, created_at, settled)
SELECT id, org_id, '/compose', id, '', created_at, true FROM compose_starts;
"""


def fill_large(database: Parameters) -> None:
    """Fill an empty database with a tenth of the benchmark's rows."""
    fill(database, SIZE, {"image_requests": [{}]})
    migrate(database)
    add_labels(database)
    with session(database) as connection:
        connection.execute(_KEYS_AND_STARTS)
        connection.execute("VACUUM (ANALYZE) compose_starts, idempotency_keys")
        # Index-only scans need the visibility map, which updates of the migrations have cleared in part.
        connection.execute("VACUUM (ANALYZE) composes, blueprints, blueprint_versions")
