"""The plans of PostgreSQL for the statements of an adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import psycopg

from adapters.postgres.connection import PostgresDatabase, session_parameters
from adapters.postgres.server_monitor import MonitoredConnection
from tests.support.databases import Parameters

_NUMBERS = count(1)
_TABLES = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan")


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a plan with its children; `kind`, `relation` and `index` are those of EXPLAIN.

    `condition` is the condition for the beginning and the end of an index scan.
    """

    kind: str
    relation: str | None
    nodes: tuple[Node, ...]
    index: str | None = None
    condition: str = ""

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> Node:
        """Create the node from EXPLAIN's JSON."""
        return cls(
            plan["Node Type"],
            plan.get("Relation Name"),
            tuple(map(cls.of, plan.get("Plans", ()))),
            plan.get("Index Name"),
            plan.get("Index Cond", ""),
        )

    def all(self) -> Iterator[Node]:
        """The node and all its descendants."""
        yield self
        for node in self.nodes:
            yield from node.all()

    def scans(self) -> list[Node]:
        """The nodes that read a table or one of its indexes."""
        return [node for node in self.all() if node.kind in _TABLES]

    def sorts_unlimited(self) -> bool:
        """Whether the node or a descendant sorts rows of a table without a LIMIT below the sort.

        The versions of a blueprint may be sorted, because users create them one by one.
        """
        sorts = (node for node in self.all() if node.kind in ("Sort", "Incremental Sort"))
        return any(_unlimited(node) for sort in sorts for node in sort.nodes)


def _unlimited(node: Node) -> bool:
    if node.kind == "Limit":
        return False
    return node.relation not in (None, "blueprint_versions") or any(map(_unlimited, node.nodes))


class _Places(dict[str, str]):
    """Names of values, numbered by their first occurrence."""

    def __missing__(self, name: str) -> str:
        return self.setdefault(name, f"${len(self) + 1}")


class RecordingDatabase(PostgresDatabase):
    """The pool, which records each statement with its values in `statements`."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters, size=2)
        self.statements: list[tuple[str, Mapping[str, Any]]] = []

    @contextmanager
    def connection(self, **limits: float) -> Iterator[MonitoredConnection]:
        with super().connection(**limits) as connection:
            yield _Recording(connection, self.statements)  # type: ignore[misc]


class _Recording:
    def __init__(self, connection: MonitoredConnection, statements: list[tuple[str, Mapping[str, Any]]]) -> None:
        self._connection = connection
        self._statements = statements

    def execute(
        self, statement: str | bytes, values: Mapping[str, Any] | None = None, *, binary: bool = False
    ) -> psycopg.Cursor[Any]:
        text = statement if isinstance(statement, str) else statement.decode()
        self._statements.append((text, dict(values or {})))
        return self._connection.execute(text.encode(), values, binary=binary)

    def fetch(self, statement: str, values: Mapping[str, Any], *, binary: bool = False) -> list[Any]:
        self._statements.append((statement, dict(values)))
        return self._connection.fetch(statement, values, binary=binary)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@contextmanager
def planning_session(parameters: Parameters) -> Iterator[psycopg.Connection[Any]]:
    """A session as the service's are, for any number of plans."""
    with psycopg.connect(
        **session_parameters(parameters), autocommit=True, cursor_factory=psycopg.ClientCursor
    ) as session:
        yield session


def plan(session: psycopg.Connection[Any], statement: str, values: Mapping[str, Any], *, generic: bool) -> Node:
    """The plan of a statement.

    `generic` is the plan for unknown values, which a session may use after several executions.
    """
    mode = "force_generic_plan" if generic else "force_custom_plan"
    name = f"planned_{next(_NUMBERS)}"
    places = _Places()
    numbered = statement % places
    arguments = f"({', '.join(f'%({key})s' for key in places)})" if places else ""
    session.execute(f"SET plan_cache_mode = {mode}".encode())
    session.execute(f"PREPARE {name} AS {numbered}".encode())
    row = session.execute(f"EXPLAIN (FORMAT JSON) EXECUTE {name} {arguments}".encode(), values).fetchone()
    session.execute(f"DEALLOCATE {name}".encode())
    assert row is not None
    return Node.of(row[0][0]["Plan"])
