"""A database as the program before this one leaves it: at tern 15, with a tenant that has a tenth of all builds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import click
import orjson
import psycopg
from psycopg.types.json import Jsonb

from adapters.postgres.migration_files import migrations
from benchmarks.payloads import small_request

# The tenant with a tenth of the builds and most of the blueprints, one with 1,000 of each, and how many share the rest.
LARGE: Final = "tenant-large"
SMALL: Final = "tenant-small"
_SMALL_HAS: Final = 1000
_OTHERS: Final = 997
# All builds' image types, each as often as the next.
TYPES: Final = ("guest-image", "aws", "azure", "gcp", "rhel-edge-commit", "vsphere", "image-installer", "wsl")

# Two of three blueprints' worth of versions are first ones; every tenth blueprint has five more. Ids are hashes of
# numbers, so that builds find the versions they were made of, and that no order of ids is the order of time.
_BLUEPRINTS: Final = """
INSERT INTO blueprints (id, org_id, account_number, name, description, created_at, deleted)
SELECT md5('blueprint ' || n)::uuid,
       CASE WHEN n < %(blueprints)s * 6 / 10 THEN %(large)s
            WHEN n < %(blueprints)s * 6 / 10 + %(small_has)s THEN %(small)s
            ELSE 'tenant-' || n %% %(others)s END,
       '', 'Web server ' || n || ' of region ' || n %% 40,
       CASE WHEN n %% 3 > 0 THEN 'Rebuilt every Monday for team ' || n %% 71 END,
       (now() AT TIME ZONE 'utc') - n * interval '7 minutes', n %% 50 = 49
FROM generate_series(0, %(blueprints)s - 1) n
ORDER BY md5(n::text)
"""
_VERSIONS: Final = """
INSERT INTO blueprint_versions (id, blueprint_id, version, body, created_at)
SELECT md5('version ' || n || '.' || v)::uuid, md5('blueprint ' || n)::uuid, v, %(body)s,
       (now() AT TIME ZONE 'utc') - n * interval '7 minutes' + (v - 1) * interval '31 hours'
FROM generate_series(0, %(blueprints)s - 1) n, generate_series(1, CASE WHEN n %% 10 = 0 THEN 6 ELSE 1 END) v
"""
# Newest last, as they were made, over 13 days; every 50th of a tenant deleted. Half of the large and of the small
# tenant's are builds of their first blueprint, by all of its versions in turn.
_COMPOSES: Final = """
INSERT INTO composes (job_id, request, created_at, account_number, org_id, image_name, deleted, client_id,
                      blueprint_version_id)
SELECT md5('compose ' || n)::uuid,
       jsonb_set(%(request)s, '{image_requests,0,image_type}',
                 to_jsonb((%(types)s::text[])[1 + n / 10 %% cardinality(%(types)s::text[])])),
       (now() AT TIME ZONE 'utc') - interval '13 days' * (%(composes)s - n) / %(composes)s, '',
       CASE WHEN n %% 10 = 0 THEN %(large)s
            WHEN n %% %(small_every)s = 1 THEN %(small)s
            ELSE 'tenant-' || n %% %(others)s END,
       'web-server-' || n, n / 10 %% 50 = 49, 'ui',
       CASE WHEN n / 10 %% 2 = 0 AND n %% 10 = 0
            THEN md5('version 0.' || 1 + n / 20 %% 6)::uuid
            WHEN n / %(small_every)s %% 2 = 0 AND n %% %(small_every)s = 1
            THEN md5('version ' || %(first_of_small)s || '.' || 1 + n / %(small_every)s / 2 %% 6)::uuid END
FROM generate_series(0, %(composes)s - 1) n
"""

# All builds of the large and the small tenant have one label, and one in seven has another with one of fifty values.
_LABELS: Final = """
INSERT INTO compose_labels (job_id, labels)
SELECT job_id, jsonb_build_object('team', 'web') || CASE
    WHEN get_byte(uuid_send(job_id), 0) %% 7 = 0
    THEN jsonb_build_object('nightly', 'number-' || get_byte(uuid_send(job_id), 1) %% 50) ELSE '{}' END
FROM composes WHERE org_id IN (%(large)s, %(small)s)
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows there are; builds in thousands, at least 20,000."""

    composes: int = 1_000_000
    versions: int = 100_000

    @property
    def blueprints(self) -> int:
        """How many blueprints have that many versions."""
        return self.versions * 2 // 3 // 10 * 10

    @property
    def large_has(self) -> int:
        """How many builds the large tenant has, deleted ones included."""
        return self.composes // 10


def fill(database: Mapping[str, Any], size: Size, request: Mapping[str, Any] | None = None) -> None:
    """Make the tables of tern 15 in an empty database, and fill them; all builds have this request (1.3 KB)."""
    document = request or small_request()
    first_of_small = -(-size.blueprints * 6 // 10 // 10) * 10
    values = {
        "composes": size.composes,
        "blueprints": size.blueprints,
        "large": LARGE,
        "small": SMALL,
        "small_has": _SMALL_HAS,
        "small_every": size.composes // _SMALL_HAS,
        "first_of_small": first_of_small,
        "others": _OTHERS,
        "types": list(TYPES),
        "request": Jsonb(document, dumps=orjson.dumps),
        "body": Jsonb({**document, "metadata": None}, dumps=orjson.dumps),
    }
    with psycopg.connect(**database, autocommit=True, cursor_factory=psycopg.ClientCursor) as session:
        session.execute(migrations()[0].statements.encode())
        for statement in (_BLUEPRINTS, _VERSIONS, _COMPOSES):
            session.execute(statement, values)
        session.execute("VACUUM (ANALYZE) composes, blueprints, blueprint_versions")


def add_labels(database: Mapping[str, Any]) -> None:
    """Give the builds of the large and the small tenant labels, after the migration."""
    with psycopg.connect(**database, autocommit=True) as session:
        session.execute(_LABELS, {"large": LARGE, "small": SMALL})
        session.execute("VACUUM (ANALYZE) compose_labels, compose_list_entries")


@click.command()
@click.option("--composes", default=1_000_000, show_default=True, help="Builds of all tenants.")
@click.option("--versions", default=100_000, show_default=True, help="Versions of all tenants' blueprints.")
def main(*, composes: int, versions: int) -> None:
    """Fill the empty database that the variables of libpq (PGHOST, PGDATABASE, ...) name."""
    fill({}, Size(composes, versions))


if __name__ == "__main__":
    main()
