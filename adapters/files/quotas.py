"""The quota file: the number of builds that each organization may start (docs/configuration.md, Builds)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Final

import orjson
import structlog
from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate

from domain.errors import ConfigurationError
from domain.quota import Quota, QuotaTable

log = structlog.get_logger()

_DEFAULT: Final = "default"
_MAX_WINDOW: Final = timedelta(days=36_500)
# Seconds between two checks whether the file has changed.
_CHECK_INTERVAL: Final = 1.0


class _QuotaSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    quota = fields.Integer(required=True, strict=True, validate=validate.Range(min=0, max=2**31 - 1))
    window = fields.Integer(
        required=True,
        strict=True,
        data_key="slidingWindow",
        validate=validate.Range(min=1, max=int(_MAX_WINDOW.total_seconds()) * 10**9),
    )

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Quota:
        return Quota(data["quota"], timedelta(microseconds=data["window"] / 1000))


_SCHEMA: Final = _QuotaSchema()


def load_quotas(path: Path) -> QuotaTable:
    """Read a quota file, `{org_id: {"quota": n, "slidingWindow": nanoseconds}, "default": …}`.

    Raises ConfigurationError naming the file and the entry.
    """
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"{path}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: expected an object of quotas by organization")
    quotas: dict[str, Quota] = {}
    for tenant, entry in document.items():
        try:
            quotas[tenant] = _SCHEMA.load(entry)
        except ValidationError as error:
            raise ConfigurationError(f"{path}: {tenant}: {error.messages}") from None
    return QuotaTable({tenant: quota for tenant, quota in quotas.items() if tenant != _DEFAULT}, quotas.get(_DEFAULT))


class UnlimitedQuotas:
    """No quotas, for installations without a quota file. Implements ports.quotas.Quotas."""

    def get(self, tenant: str) -> None:  # noqa: ARG002 - the same for all
        """Implements `Quotas.get`."""
        return


class FileQuotas:
    """The quotas of a file that may change while the service runs. Thread-safe. Implements ports.quotas.Quotas.

    If the changed file is invalid, the previous quotas stay in force and an error is logged.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file. Raises ConfigurationError if it is invalid."""
        self._path = path
        self._clock = clock
        self._lock = Lock()
        self._loaded_version = _version(path)
        self._table = load_quotas(path)
        self._checked_at = clock()
        if self._table.default is None:
            log.warning("quota file without default: organizations without an entry cannot start builds")

    def get(self, tenant: str) -> Quota:
        """Implements `Quotas.get`."""
        self._reload_if_changed()
        return self._table.get(tenant)

    def _reload_if_changed(self) -> None:
        with self._lock:
            now = self._clock()
            if now - self._checked_at < _CHECK_INTERVAL:
                return
            self._checked_at = now
            version = _version(self._path)
            if version == self._loaded_version:
                return
            self._loaded_version = version
            try:
                self._table = load_quotas(self._path)
            except ConfigurationError as error:
                log.error("invalid quota file, the previous quotas stay in force", error=error.detail)
            else:
                log.info("quota file reloaded")


def _version(path: Path) -> tuple[int, int, int] | None:
    """A value that changes with the file, also when a config map's symbolic link is switched; None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
