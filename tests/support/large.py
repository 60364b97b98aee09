"""The content of a database that is large enough for tests of its size."""

from __future__ import annotations

from benchmarks.database import Size

SIZE = Size(composes=100_000, versions=10_000)

# Of the last half day: of an empty table the planner takes any index.
KEYS_AND_STARTS = """
INSERT INTO compose_starts (id, org_id, created_at, fingerprint)
SELECT md5('start ' || n)::uuid, 'tenant-' || n % 997, (now() AT TIME ZONE 'utc') - n * interval '5 seconds', 'x'
FROM generate_series(1, 10000) n;
INSERT INTO idempotency_keys (id, org_id, path, key, body, created_at, settled)
SELECT id, org_id, '/compose', id, '', created_at, true FROM compose_starts;
"""
