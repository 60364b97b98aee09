"""The quota file: how much each tenant may build (spec: Quota)."""

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
_LONGEST_WINDOW: Final = timedelta(days=36_500)
# Seconds between two looks at the file.
_LOOK_EVERY: Final = 1.0


class _QuotaSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    quota = fields.Integer(required=True, strict=True, validate=validate.Range(min=0, max=2**31 - 1))
    window = fields.Integer(
        required=True,
        strict=True,
        data_key="slidingWindow",
        validate=validate.Range(min=1, max=int(_LONGEST_WINDOW.total_seconds()) * 10**9),
    )

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Quota:
        return Quota(data["quota"], timedelta(microseconds=data["window"] / 1000))


_SCHEMA: Final = _QuotaSchema()


def load_quotas(path: Path) -> QuotaTable:
    """The quotas of a file `{org_id: {"quota": n, "slidingWindow": nanoseconds}, "default": …}`.

    Raises ConfigurationError naming file and entry.
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


class Unlimited:
    """Fulfils ports.quotas.Quotas where operators set no quota file."""

    def get(self, tenant: str) -> None:  # noqa: ARG002 - everybody alike
        """See the port."""
        return


class FileQuotas:
    """Fulfils ports.quotas.Quotas from a file that may change while the service runs.

    Where a change does not load, the quotas before it go on, and one line is logged. Thread-safe.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ConfigurationError where the file does not load."""
        self._path = path
        self._clock = clock
        self._lock = Lock()
        self._seen = _version(path)
        self._table = load_quotas(path)
        self._looked_at = clock()
        if self._table.default is None:
            log.warning("the quota file has no default: organizations without an entry cannot build")

    def get(self, tenant: str) -> Quota:
        """See the port."""
        self._look_again()
        return self._table.get(tenant)

    def _look_again(self) -> None:
        with self._lock:
            now = self._clock()
            if now - self._looked_at < _LOOK_EVERY:
                return
            self._looked_at = now
            version = _version(self._path)
            if version == self._seen:
                return
            self._seen = version
            try:
                self._table = load_quotas(self._path)
            except ConfigurationError as error:
                log.error("the quota file changed and does not load, the last good one stays", error=error.detail)
            else:
                log.info("the quota file changed, the new quotas are in force")


def _version(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file does, a config map's switched symbolic link included."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
