"""`image-builder maintenance` as an operator's job runs it (docs/operations.md, Maintenance)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from datetime import timedelta
from typing import Any

import pytest

from adapters.postgres.maintenance import open_maintenance
from tests.support.builders import compose_request
from tests.support.counts import wrong_counts
from tests.support.databases import Parameters, session
from tests.support.launcher import launch
from tests.support.output import said
from tests.support.rounds import sampled
from tests.support.rows import insert_compose, stored_row
from tests.support.service import PROJECT
from tests.support.waiting import PATIENCE, until

OLD = timedelta(days=3 * 366)
ON = {"ENABLE_DB_MAINTENANCE": "true", "DRY_RUN": "false"}
SECRET = "correct horse battery"


class Job:
    """The command in a separate process, with the PG variables and these."""

    def __init__(self, database: Parameters, environment: dict[str, str]) -> None:
        self._written = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it has ended
        self.process = launch(
            ["maintenance"],
            {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(PROJECT),
                "PGHOST": str(database["host"]),
                "PGPORT": str(database["port"]),
                "PGDATABASE": str(database["dbname"]),
                "PGUSER": str(database["user"]),
                "PGPASSWORD": str(database.get("password", "")),
                **environment,
            },
            self._written.fileno(),
            self._written.fileno(),
        )

    def ended(self) -> tuple[int, str]:
        """The exit status and the output."""
        with self._written:
            try:
                status = self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
            self._written.seek(0)
            output = self._written.read()
        said("image-builder maintenance", output)
        return status, output.decode()


def run(database: Parameters, **environment: str) -> dict[str, Any]:
    """Run a job, which must succeed, and return its last line."""
    status, output = Job(database, environment).ended()
    assert status == 0, output
    last: dict[str, Any] = [json.loads(line) for line in output.splitlines()][-1]
    return last


def count(database: Parameters) -> int:
    with session(database) as connection:
        row = connection.execute("SELECT count(*) FROM composes").fetchone()
    assert row is not None
    return int(row[0])


def insert_expired(database: Parameters, number: int) -> None:
    with session(database) as connection:
        connection.execute(
            "INSERT INTO composes (job_id, request, created_at, account_number, org_id) "
            "SELECT gen_random_uuid(), '{}', '2001-01-01'::timestamp + n * interval '1 minute', '', 't' "
            "FROM generate_series(1, %s) n",
            (number,),
        )


def slow_down(database: Parameters, seconds: float) -> None:
    """Make each batch that deletes composes take this time."""
    with session(database) as connection:
        connection.execute(
            f"""
            CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
            CREATE TRIGGER slow BEFORE DELETE ON composes FOR EACH STATEMENT EXECUTE FUNCTION slow()
            """.encode()
        )


def in_a_batch(database: Parameters) -> bool:
    with session(database) as connection:
        return bool(
            connection.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
            ).fetchone()
        )


def test_maintenance_removes_old_rows_and_passwords_and_logs_their_numbers(database: Parameters) -> None:
    insert_expired(database, 3)
    users = [{"name": "u", "password": SECRET}]
    young = insert_compose(
        database, "t", {**compose_request(), "customizations": {"users": users}}, ago=timedelta(days=700)
    )
    told = run(database, **ON)
    assert (told["composes_expired"], told["composes_with_passwords"], told["complete"]) == (3, 1, True)
    assert told["vacuumed"]
    assert count(database) == 1
    assert stored_row(database, young)["request"]["customizations"]["users"] == [{"name": "u", "hasPassword": True}]


def test_maintenance_corrects_wrong_counts_and_logs_them(database: Parameters) -> None:
    insert_compose(database, "t")
    with session(database) as connection:
        connection.execute("UPDATE compose_quota_counts SET count = count + 1")
    assert run(database, ENABLE_DB_MAINTENANCE="true")["counts_corrected"] == 1
    status, output = Job(database, ON).ended()
    assert status == 0
    lines = [json.loads(line) for line in output.splitlines()]
    told = [line for line in lines if line["event"] == "counts of builds are wrong"]
    assert [(line["org_id"], line["number"], line["corrected"]) for line in told] == [("t", 1, True)]
    assert lines[-1]["counts_corrected"] == 1
    assert wrong_counts(database) == []
    assert run(database, **ON)["counts_corrected"] == 0


@pytest.mark.parametrize("environment", [{}, {"ENABLE_DB_MAINTENANCE": "F"}, {"ENABLE_DB_MAINTENANCE": ""}])
def test_maintenance_is_disabled_by_default(database: Parameters, environment: dict[str, str]) -> None:
    insert_expired(database, 3)
    assert "ENABLE_DB_MAINTENANCE" in run(database, DRY_RUN="false", **environment)["event"]
    assert count(database) == 3


@pytest.mark.parametrize("dry", [{}, {"DRY_RUN": ""}, {"DRY_RUN": "1"}, {"DRY_RUN": "T"}, {"DRY_RUN": "tRUE"}])
def test_maintenance_only_counts_by_default(database: Parameters, dry: dict[str, str]) -> None:
    insert_expired(database, 3)
    told = run(database, ENABLE_DB_MAINTENANCE="1", **dry)
    assert (told["dry_run"], told["composes_expired"], told["vacuumed"]) == (True, 3, False)
    assert count(database) == 3


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("t", "F"), ("TRUE", "fAlSe")])
def test_booleans_have_several_spellings(database: Parameters, yes: str, no: str) -> None:
    insert_expired(database, 3)
    assert run(database, ENABLE_DB_MAINTENANCE=yes, DRY_RUN=no)["composes_expired"] == 3
    assert count(database) == 0


@pytest.mark.parametrize(("months", "left"), [("", 1), ("24", 1), ("23", 0), ("25", 1)])
def test_composes_are_kept_for_the_configured_months(database: Parameters, months: str, left: int) -> None:
    insert_compose(database, "t", ago=timedelta(days=715))  # 23 months are at most 702 days, 24 at least 730
    run(database, **ON, DB_COMPOSES_RETENTION_MONTHS=months)
    assert count(database) == left


def test_all_invalid_variables_are_named_together_and_nothing_changes(database: Parameters) -> None:
    insert_expired(database, 3)
    wrong = {
        "ENABLE_DB_MAINTENANCE": "yes",
        "DRY_RUN": "no",
        "DB_COMPOSES_RETENTION_MONTHS": "two years",
        "PGPORT": "port",
        "PGSSLMODE": "tls",
    }
    status, output = Job(database, wrong).ended()
    assert status == 1
    assert all(name in output for name in wrong), output
    assert "Traceback" not in output
    assert count(database) == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DRY_RUN", "on"),
        ("DRY_RUN", "2"),
        ("DRY_RUN", " false"),
        ("ENABLE_DB_MAINTENANCE", "enabled"),
        ("DB_COMPOSES_RETENTION_MONTHS", "0"),
        ("DB_COMPOSES_RETENTION_MONTHS", "-24"),
        ("DB_COMPOSES_RETENTION_MONTHS", "1.5"),
        ("DB_COMPOSES_RETENTION_MONTHS", "9999999999"),
    ],
)
def test_an_invalid_variable_is_named_and_nothing_changes(database: Parameters, name: str, value: str) -> None:
    insert_expired(database, 3)
    status, output = Job(database, {**ON, name: value}).ended()
    assert (status, name in output) == (1, True), output
    assert count(database) == 3


def test_an_unavailable_database_is_an_error(database: Parameters) -> None:
    status, output = Job({**database, "port": 1}, ON).ended()
    assert status == 1
    assert "not available" in output
    assert "Traceback" not in output


def test_the_second_of_two_concurrent_runs_logs_a_warning_and_exits(database: Parameters) -> None:
    insert_expired(database, 3)
    with open_maintenance(database, 24):
        told = run(database, **ON)
    assert "Another maintenance" in told["reason"]
    assert count(database) == 3


@pytest.mark.parametrize("number", sampled([signal.SIGTERM, signal.SIGINT], 1))
def test_a_signal_ends_the_run_after_the_current_batch(database: Parameters, number: int) -> None:
    insert_expired(database, 3000)
    slow_down(database, 0.5)
    job = Job(database, ON)
    until(lambda: in_a_batch(database), "a batch runs")
    job.process.send_signal(number)
    status, output = job.ended()
    assert status == 0, output
    told = json.loads(output.splitlines()[-1])
    assert (told["composes_expired"], told["complete"], told["vacuumed"]) == (1000, False, False)
    assert count(database) == 2000
