"""The quota file: builds that each organization may start within a sliding window (docs/configuration.md, Builds)."""

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

# The entry for organizations without an entry of their own.
_DEFAULT: Final = "default"
# About a century: far above real use, and within the dates that Python can represent.
_MAX_WINDOW: Final = timedelta(days=36_500)
# Seconds between two checks whether the file has changed, so that not every request reads the file's status.
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
    def _to_quota(self, data: dict[str, Any], **_: Any) -> Quota:
        return Quota(data["quota"], timedelta(microseconds=data["window"] / 1000))  # nanoseconds to microseconds


_SCHEMA: Final = _QuotaSchema()


def load_quotas(path: Path) -> QuotaTable:
    """Read a quota file, `{org_id: {"quota": n, "slidingWindow": nanoseconds}, "default": …}`.

    The entry `default` applies to organizations without an entry; if it is absent, they cannot start builds. Raises
    ConfigurationError, which names the file and the entry.
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
        """Implements `Quotas.get`: None, for an unlimited number of builds."""
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
        self._last_seen_stamp = _get_file_stamp(
            path
        )  # before reading: a change while the file is read is noticed later
        self._table = load_quotas(path)
        self._checked_at = clock()
        if self._table.default is None:
            log.warning("quota file without default: organizations without an entry cannot start builds")

    def get(self, tenant: str) -> Quota:
        """Implements `Quotas.get`; reads a changed file first. Raises ConfigurationError if no quota applies."""
        self._reload_if_changed()
        return self._table.get(tenant)

    def _reload_if_changed(self) -> None:
        with self._lock:
            now = self._clock()
            if now - self._checked_at < _CHECK_INTERVAL:
                return
            self._checked_at = now
            stamp = _get_file_stamp(self._path)
            if stamp == self._last_seen_stamp:
                return
            self._last_seen_stamp = stamp
            try:
                self._table = load_quotas(self._path)
            except ConfigurationError as error:
                log.error("invalid quota file, the previous quotas stay in force", error=error.detail)
            else:
                log.info("quota file reloaded")


def _get_file_stamp(path: Path) -> tuple[int, int, int] | None:
    """Return a value that changes with the file; None without a file.

    An update of a Kubernetes ConfigMap switches a symbolic link, which `stat` follows.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
