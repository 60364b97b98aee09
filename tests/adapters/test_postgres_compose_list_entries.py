"""Lists and counts of builds include the rows of all programs, also of programs that write at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from string import ascii_letters
from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from adapters.postgres.composes import PostgresComposes
from domain.compose_filters import ComposeFilters
from domain.composes import ComposesQuery
from domain.paging import Page
from tests.support.builders import compose_request
from tests.support.databases import Parameters, query, session
from tests.support.rows import insert_compose, insert_final_status, insert_labels, now
from tests.support.waiting import PATIENCE, until

UPDATE_STATUS = "UPDATE compose_statuses SET status = %s, is_forgotten = %s WHERE job_id = %s"


def statement(database: Parameters, text: str, *values: Any) -> None:
    with session(database) as connection:
        connection.execute(text.encode(), values)


def counted(composes: PostgresComposes, tenant: str, **fields: Any) -> int:
    """What the list counts; also counted from the entries one by one, as they have to agree."""
    query = ComposesQuery(tenant, Page(1, 0), filters=ComposeFilters(**fields))
    page = composes.find_page(query)
    one_by_one = composes.find_page(replace(query, filters=replace(query.filters, search="%")))
    everywhere = composes.find_page(replace(query, filters=replace(query.filters, created_before=datetime.max)))
    assert page.count == everywhere.count
    assert one_by_one.count <= page.count
    return page.count


def test_counts_follow_what_other_programs_write(composes: PostgresComposes, module_database: Parameters) -> None:
    tenant = uuid4().hex
    made = [
        insert_compose(module_database, tenant, compose_request("aws"), ago=timedelta(hours=number * 7))
        for number in range(10)
    ]
    assert counted(composes, tenant) == 10
    statement(module_database, "UPDATE composes SET deleted = true WHERE job_id = ANY (%s)", made[:4])
    assert counted(composes, tenant, image_types=("aws",)) == 6
    statement(module_database, "UPDATE composes SET deleted = false WHERE job_id = %s", made[0])
    assert counted(composes, tenant, image_types=("aws",)) == 7
    statement(
        module_database,
        """UPDATE composes SET request = '{"image_requests": [{"image_type": "wsl"}]}' WHERE job_id = %s""",
        made[5],
    )
    assert (counted(composes, tenant, image_types=("aws",)), counted(composes, tenant, image_types=("wsl",))) == (6, 1)
    statement(
        module_database, "UPDATE composes SET created_at = created_at - interval '30 days' WHERE job_id = %s", made[6]
    )
    assert counted(composes, tenant) == 6
    assert counted(composes, tenant, created_after=now() - timedelta(days=60)) == 7
    statement(module_database, "DELETE FROM composes WHERE org_id = %s", tenant)
    assert counted(composes, tenant) == 0
    with session(module_database) as connection:
        left = connection.execute("SELECT sum(count) FROM compose_counts WHERE org_id = %s", (tenant,)).fetchone()
    assert left in [(None,), (0,)]


def test_nobody_waits_for_a_count(composes: PostgresComposes, module_database: Parameters) -> None:
    tenant = uuid4().hex
    insert_compose(module_database, tenant)
    with session(module_database) as connection, connection.transaction():
        connection.execute("UPDATE composes SET deleted = true WHERE org_id = %s", (tenant,))
        insert_compose(module_database, tenant)  # another session, of the same hour
        assert counted(composes, tenant) == 2
    assert counted(composes, tenant) == 1


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_programs_with_stricter_isolation_can_write(
    composes: PostgresComposes, module_database: Parameters, level: str
) -> None:
    tenant = uuid4().hex
    first = insert_compose(module_database, tenant)
    with session(module_database) as connection:
        connection.execute(f"SET default_transaction_isolation = '{level}'".encode())
        with connection.transaction():
            connection.execute("SELECT 1")
            insert_compose(module_database, tenant)
            connection.execute("UPDATE composes SET deleted = true WHERE job_id = %s", (first,))
    assert counted(composes, tenant) == 1


def test_the_entry_has_the_last_known_status_and_a_final_one_stays(
    composes: PostgresComposes, module_database: Parameters
) -> None:
    tenant = uuid4().hex
    compose = insert_compose(module_database, tenant)

    def counted_by_status() -> list[str]:
        known = ("pending", "building", "success", "failure")
        return [each for each in known if counted(composes, tenant, statuses=(each,))]

    assert counted_by_status() == []
    statement(
        module_database,
        "INSERT INTO compose_statuses (job_id, org_id, created_at, status) VALUES (%s, %s, %s, %s)",
        *(compose, tenant, now(), Jsonb({"status": "pending"})),
    )
    assert counted_by_status() == ["pending"]
    statement(module_database, UPDATE_STATUS, Jsonb({"status": "building"}), False, compose)
    assert counted_by_status() == ["building"]
    statement(module_database, UPDATE_STATUS, None, True, compose)
    assert counted_by_status() == []
    insert_final_status(module_database, compose, {"status": "success"})
    statement(module_database, UPDATE_STATUS, Jsonb({"status": "building"}), False, compose)
    assert counted_by_status() == ["success"]


def test_a_final_status_that_an_older_version_stored_beside_a_look_is_shown_in_the_end(
    composes: PostgresComposes, module_database: Parameters
) -> None:
    tenant = uuid4().hex
    compose = insert_compose(module_database, tenant)
    insert_final_status(module_database, compose, {"status": "success"})
    statement(module_database, "UPDATE compose_list_entries SET status = 'building' WHERE job_id = %s", compose)
    statement(
        module_database,
        "INSERT INTO compose_statuses (job_id, org_id, created_at, is_final) VALUES (%s, %s, %s, true)",
        *(compose, tenant, now()),
    )
    assert counted(composes, tenant, statuses=("success",)) == 1


def test_the_longest_values_can_be_stored(composes: PostgresComposes, module_database: Parameters) -> None:
    random = Random(1)  # noqa: S311 - texts that PostgreSQL cannot compress

    def long(length: int) -> str:
        return "".join(chr(random.randrange(0x10000, 0x10FFFF)) for _ in range(length))

    tenant = "".join(random.choices(ascii_letters, k=1000))
    compose = insert_compose(
        module_database,
        tenant,
        {"distribution": long(300), "image_requests": [{"image_type": long(300), "architecture": long(300)}]},
        image_name=long(100),
        client_id=long(300),
    )
    insert_final_status(module_database, compose, {"status": long(300)})
    insert_labels(module_database, compose, {f"{number:063}": "\N{PILE OF POO}" * 255 for number in range(30)})
    statement(module_database, "INSERT INTO compose_authors (job_id, created_by) VALUES (%s, %s)", compose, "x" * 255)
    # No program changes the author of a build; the entry with all of these values is written anew.
    statement(module_database, "DELETE FROM compose_list_entries WHERE job_id = %s", compose)
    statement(module_database, "CALL compose_list_entries_fill()")
    with session(module_database) as connection:
        entry = connection.execute(
            "SELECT created_by, cardinality(label_hashes) FROM compose_list_entries WHERE job_id = %s", (compose,)
        ).fetchone()
    assert entry == ("x" * 255, 60)
    assert counted(composes, tenant) == 1


def test_an_entry_has_the_present_labels_whatever_else_is_written(
    composes: PostgresComposes, module_database: Parameters
) -> None:
    tenant = uuid4().hex
    compose = insert_compose(module_database, tenant)

    def counted_by_label() -> list[str]:
        return [each for each in ("a", "a:1", "a:2", "b") if counted(composes, tenant, labels=(each,))]

    assert composes.replace_labels(tenant, compose, {"a": "1", "b": ""})
    assert counted_by_label() == ["a", "a:1", "b"]
    assert counted(composes, tenant, labels=("b", "a:1")) == 1
    statement(module_database, "UPDATE composes SET image_name = 'other' WHERE job_id = %s", compose)
    insert_final_status(module_database, compose, {"status": "success"})
    assert counted_by_label() == ["a", "a:1", "b"]
    with session(module_database) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT 1 FROM composes LIMIT 1")
        connection.execute("UPDATE composes SET image_name = 'again' WHERE job_id = %s", (compose,))
    assert composes.replace_labels(tenant, compose, {"a": "2"})
    assert counted_by_label() == ["a", "a:2"]
    statement(module_database, "UPDATE composes SET deleted = true WHERE job_id = %s", compose)
    assert counted_by_label() == []
    assert not composes.replace_labels(tenant, compose, {"a": "3"})
    statement(module_database, "UPDATE composes SET deleted = false WHERE job_id = %s", compose)
    assert counted_by_label() == ["a", "a:2"]
    assert composes.replace_labels(tenant, compose, {})
    assert counted_by_label() == []


def test_a_rewritten_entry_keeps_labels_and_status_that_were_committed_meanwhile(
    composes: PostgresComposes, module_database: Parameters
) -> None:
    tenant = uuid4().hex
    compose = insert_compose(module_database, tenant)
    insert_labels(module_database, compose, {"a": "1"})
    statement(
        module_database,
        "INSERT INTO compose_statuses (job_id, org_id, created_at, status) VALUES (%s, %s, %s, %s)",
        *(compose, tenant, now(), Jsonb({"status": "building"})),
    )
    change = "UPDATE composes SET image_name = 'renamed' WHERE job_id = %s"
    with ThreadPoolExecutor(1) as thread:
        with session(module_database) as connection, connection.transaction():
            connection.execute("UPDATE compose_labels SET labels = %s WHERE job_id = %s", (Jsonb({"a": "2"}), compose))
            connection.execute(
                "INSERT INTO compose_results (job_id, status) VALUES (%s, %s)", (compose, Jsonb({"status": "success"}))
            )
            # It reads the earlier rows, and then waits for the entry, which the transaction above has changed.
            renamed = thread.submit(statement, module_database, change, compose)
            until(lambda: is_waiting(module_database, change), "it waits for the entry")
        renamed.result(PATIENCE)
    assert counted(composes, tenant, search="renamed", labels=("a:2",), statuses=("success",)) == 1
    assert counted(composes, tenant, labels=("a:1",)) == 0


def is_waiting(database: Parameters, text: str) -> bool:
    """Whether a session that executes this statement waits for a lock."""
    with session(database) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE %s",
            (f"{text.partition('%')[0]}%",),
        ).fetchone()
    return row is not None and row[0] > 0


@pytest.mark.parametrize(
    "request_",
    [None, "text", 5, [], {"image_requests": {}}, {"image_requests": [None]}, {"image_requests": [{"image_type": []}]}],
    ids=str,
)
def test_builds_whose_request_is_none_are_listed(
    composes: PostgresComposes, module_database: Parameters, request_: Any
) -> None:
    tenant = uuid4().hex
    statement(
        module_database,
        "INSERT INTO composes (job_id, request, created_at, account_number, org_id) VALUES (%s, %s, %s, '', %s)",
        *(uuid4(), Jsonb(request_), now(), tenant),
    )
    assert counted(composes, tenant) == 1
    assert counted(composes, tenant, image_types=("aws",)) == 0


def test_counts_end_with_the_table(database: Parameters) -> None:
    for _ in range(3):
        insert_compose(database, "000001")
    statement(database, "TRUNCATE composes CASCADE")
    assert query(database, "SELECT count(*) FROM compose_counts") == [(0,)]


def test_a_session_writes_entries_by_primary_keys_also_if_tables_were_empty_at_its_first_build(
    database: Parameters,
) -> None:
    """The plan of the first build is kept: it must suit a table that has grown since."""
    scans = b"SELECT relname FROM pg_stat_xact_user_tables WHERE relname LIKE 'compose%%' AND seq_scan > 0"
    with session(database) as connection:
        for builds in (1, 10, 3000):
            with connection.transaction():
                connection.execute(
                    """INSERT INTO composes (job_id, request, created_at, account_number, org_id)
                       SELECT gen_random_uuid(), '{}', now(), '', '000001' FROM generate_series(1, %s)""",
                    (builds,),
                )
                assert connection.execute(scans).fetchall() == []
