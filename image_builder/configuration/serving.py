"""Settings of the processes that serve: database, addresses, workers, limits of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from domain.build_logs import LARGEST_LOGS
from domain.composes import LARGEST_LIST
from image_builder.configuration.variables import Section
from image_builder.configuration.worker_count import choose_worker_count

_MiB: Final = 1024 * 1024
# Connections of a worker to the database; the least that workers share out, which suffice for one core each.
_CONNECTIONS: Final = 20
_MIN_CONNECTIONS: Final = 5
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

_serving: Final = Section("Serving")
_database: Final = Section("Database", "PostgreSQL 12 or newer. libpq also reads its other variables (`PG…`).")


def _describe_worker_count() -> str:
    chosen = choose_worker_count()
    return f"{chosen.number} ({chosen.reason})"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """How to connect to PostgreSQL."""

    host: str = _database.text("PGHOST", "localhost", "database host")
    port: int = _database.integer("PGPORT", 5432, "database port", within=(1, 65535))
    name: str = _database.text("PGDATABASE", "imagebuilder", "database name")
    user: str = _database.text("PGUSER", "postgres", "database user")
    password: str = _database.text("PGPASSWORD", "", "database password", secret=True)
    ssl_mode: str = _database.choice("PGSSLMODE", "prefer", "libpq sslmode", allowed=_SSL_MODES)
    ssl_root_cert: Path | None = _database.file("PGSSLROOTCERT", "certificate authorities of the database server")

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Connection parameters of psycopg, the password among them."""
        parameters = {
            "host": self.host,
            "port": self.port,
            "dbname": self.name,
            "user": self.user,
            "password": self.password,
            "sslmode": self.ssl_mode,
            "sslrootcert": str(self.ssl_root_cert or ""),
        }
        return {name: value for name, value in parameters.items() if value != ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSettings:
    """The HTTP server, its limits and its threads."""

    listen_address: str = _serving.listen_address(
        "LISTEN_ADDRESS", "localhost:8086", "address to listen on; `:8086` listens on all addresses"
    )
    workers: int | None = _serving.automatic_integer(
        "WORKERS",
        "worker processes; `--workers` takes precedence. Unset: as many as this process may use whole cores (affinity, "
        "CPU limit of its control groups), with 150 MiB of its memory limit for each; at least 1, at most 8",
        within=(1, 64),
        shown_default="by cores and memory",
        describe_automatic=_describe_worker_count,
    )
    embedded: bool = _serving.boolean(
        "IMAGE_BUILDER_EMBEDDED", False, "start a database and stand-in back-ends, as `--embedded` does"
    )
    path_prefix: str = _serving.path_segments(
        "PATH_PREFIX", "api", "with `APP_NAME` the first two base paths: `/{prefix}/{name}/v1` and `…/v1.0`"
    )
    app_name: str = _serving.path_segments(
        "APP_NAME", "image-builder", "see `PATH_PREFIX`; the third base path is always `/api/v1/image-builder`"
    )
    fedora_auth: bool = _serving.lenient_boolean("FEDORA_AUTH", "read identities from `x-fedora-identity`")
    max_body_bytes: int = _serving.integer(
        "MAX_BODY_BYTES", 4 * _MiB, "larger request bodies are refused with 413", within=(1024, 1024 * _MiB)
    )
    request_memory_bytes: int = _serving.integer(
        "REQUEST_MEMORY_BYTES",
        96 * _MiB,
        "memory that all requests of a worker may hold at a time; one organization may hold half of it",
        within=(16 * _MiB, 65536 * _MiB),
    )
    max_connections: int = _serving.integer(
        "MAX_CONNECTIONS",
        2000,
        "open connections of a worker; at most half of them have shown no identity",
        within=(10, 100_000),
    )
    max_list_bytes: int = _serving.integer(
        "MAX_LIST_BYTES",
        LARGEST_LIST,
        "size of a page of builds; a larger page leaves out `data` of `customizations.files` of its largest requests, "
        "and further customizations where that does not suffice",
        within=(2 * _MiB, 1024 * _MiB),
    )
    max_log_bytes: int = _serving.integer(
        "MAX_LOG_BYTES",
        LARGEST_LOGS,
        "size of an answer with the logs of a build; of longer logs the middle is left out",
        within=(64 * 1024, 32 * _MiB),
    )
    direct_threads: int = _serving.integer(
        "DIRECT_THREADS", 20, "threads of a worker for requests that wait for the database only", within=(1, 500)
    )
    waiting_threads: int = _serving.integer(
        "WAITING_THREADS", 80, "threads of a worker for requests that wait for back-ends", within=(1, 2000)
    )
    database_connections: int | None = _database.automatic_integer(
        "DB_POOL_SIZE",
        "connections of a worker. Unset: 20; if `WORKERS` is unset as well, 20 divided by the number of workers, "
        "at least 5",
        within=(1, 500),
        shown_default="20, or fewer",
    )
    shutdown_grace: int = _serving.integer(
        "SHUTDOWN_GRACE",
        5,
        "seconds after SIGTERM during which `/ready` answers 503 and requests are still accepted",
        within=(0, 600),
    )
    shutdown_timeout: int = _serving.integer(
        "SHUTDOWN_TIMEOUT", 30, "seconds after that during which accepted requests are finished", within=(0, 3600)
    )
    clowder_file: str = _serving.text(
        "ACG_CONFIG",
        "",
        "Clowder's configuration file; its database, port, endpoints, flags and rate limit storage take precedence",
    )

    @property
    def pool_size(self) -> int:
        """The largest number of connections of one worker to the database."""
        return self.database_connections or _CONNECTIONS

    def for_workers(self, number: int, *, is_chosen: bool) -> ServingSettings:
        """The settings of each of so many workers. `is_chosen`: the service has chosen the number.

        Then the workers share the connections of one, so that an upgrade or a node with more cores does not multiply
        the connections of a pod.
        """
        connections = max(_CONNECTIONS // number, _MIN_CONNECTIONS) if is_chosen else _CONNECTIONS
        return replace(self, workers=number, database_connections=self.database_connections or connections)

    @property
    def host(self) -> str:
        """The host to listen on; empty for all addresses."""
        return self.listen_address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on."""
        return int(self.listen_address.rpartition(":")[2])

    @property
    def base_paths(self) -> tuple[str, str, str]:
        """The paths below which every operation is served; the last one is the public route."""
        own = f"/{self.path_prefix}/{self.app_name}"
        return f"{own}/v1", f"{own}/v1.0", "/api/v1/image-builder"
