"""The schema of a database according to its catalog."""

from __future__ import annotations

from typing import Any, Final

from tests.support.databases import Parameters, query

TABLES_OF_TERN: Final = ("blueprints", "blueprint_versions", "composes", "schema_version")
# What our migrations add to the tables of the Go service.
ADDED: Final = {
    ("composes", "image_type"),
    ("composes", "request_size"),
    ("composes", "request_shown"),
    ("composes", "request_without_data"),
    ("composes", "request_summary"),
    ("composes", "request_as_shown"),
    ("blueprints", "latest_version"),
    ("blueprints", "changed_at"),
    ("blueprints", "lower_name"),
    ("blueprints", "lower_description"),
    ("blueprint_versions", "file_version"),
}


def columns(parameters: Parameters) -> list[Any]:
    """Table, name, type, length, whether it may be null, default and position of each column."""
    return query(
        parameters,
        """
        SELECT table_name, column_name, data_type, character_maximum_length, is_nullable,
               NULLIF(column_default, 'NULL::character varying'), ordinal_position
        FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1, 2
        """,
    )


def indexes(parameters: Parameters) -> list[Any]:
    """Table, name, definition and validity of each index."""
    return query(
        parameters,
        """
        SELECT indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid
        FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE relnamespace = current_schema()::regnamespace ORDER BY 1, 2
        """,
    )


def constraints(parameters: Parameters) -> list[Any]:
    """Table, name, kind and definition of each constraint; the definition of an unvalidated one has NOT VALID."""
    return query(
        parameters,
        """
        SELECT conrelid::regclass::text, conname::text, contype::text, pg_get_constraintdef(oid)
        FROM pg_constraint
        WHERE connamespace = current_schema()::regnamespace AND contype IN ('c', 'f', 'p', 'u') ORDER BY 1, 2
        """,
    )
