"""The stand-in of the Content Sources service: its operations on repositories, snapshots and templates.

It stores no snapshots but computes them from the date. Errors are raised as RefusedError, which `app.py` answers in the
format of Content Sources.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, uuid5

from starlette.requests import Request
from starlette.responses import Response

from adapters.embedded.platform.answers import RefusedError, json_object, org_id, texts
from adapters.embedded.platform.sample_data import CONTENT_SOURCES_BASE, FIRST_SNAPSHOT
from adapters.embedded.platform.state import DocumentStore
from adapters.embedded.platform.steering import PlatformSteering
from adapters.embedded.stand_in.answers import answer
from domain.uuids import is_uuid

_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
# The keys of a repository in the answer of `bulk_export`.
_EXPORTED_KEYS: Final = (
    *("name", "url", "origin", "distribution_versions", "distribution_arch"),
    *("gpg_key", "metadata_verification", "module_hotfixes", "snapshot"),
)
# Keys of a repository document that only the stand-in uses, to compute its snapshots.
_INTERNAL_KEYS: Final = ("first_snapshot", "detected_os_version")


class ContentSources:
    """The operations of the Content Sources service.

    Each one raises RefusedError with status 401 if the request has no identity header.
    """

    def __init__(self, store: DocumentStore, steering: PlatformSteering) -> None:
        """If `steering.hide_origin` is set, `list_repositories` leaves out the key `origin`."""
        self._store = store
        self._steering = steering

    async def list_repositories(self, request: Request) -> Response:
        """GET /repositories/: one page of the repositories that match all given query parameters.

        `url`, `uuid` and `origin` are comma-separated lists of allowed values. `limit` (default 100) and `offset`
        (default 0) count repositories. Raises RefusedError (400) for a wrong UUID or number.
        """
        org, query = org_id(request), request.query_params
        limit, offset = _parse_number(query.get("limit"), 100), _parse_number(query.get("offset"), 0)
        urls = _split_list(query.get("url"), lambda url: url.rstrip("/"))
        uuids = _split_list(query.get("uuid"), _parse_uuid)
        origins = _split_list(query.get("origin"), str)
        found = [
            repository
            for repository in self._store.all("repositories").values()
            if (urls is None or (repository.get("url") or "").rstrip("/") in urls)
            and (uuids is None or repository["uuid"] in uuids)
            and (origins is None or repository.get("origin") in origins)
        ]
        page = [self._describe(request, org, repository) for repository in found[offset : offset + limit]]
        meta = {"count": len(found), "limit": limit, "offset": offset}
        return answer({"data": page, "meta": meta, "links": _links(query, len(found), limit, offset)})

    async def snapshots_for_date(self, request: Request) -> Response:
        """POST /snapshots/for_date/: for each repository UUID the latest snapshot up to `date`.

        If the repository had no snapshot at `date`, its first one is returned, and `is_after` is true. `match` is null
        if the repository is unknown or has no snapshots. Raises RefusedError (400) for a wrong date, UUID or body.
        """
        org, body = org_id(request), await json_object(request)
        date = body.get("date")
        if not isinstance(date, str) or not _RFC3339.fullmatch(date):
            raise RefusedError(400, f"Error parsing date: {date!r} is not RFC 3339")
        try:
            moment = datetime.fromisoformat(date.upper())
        except ValueError as error:
            raise RefusedError(400, f"Error parsing date: {error}") from None
        repositories = self._store.all("repositories")
        data = []
        for uuid in texts(body, "repository_uuids"):
            repository = repositories.get(_parse_uuid(uuid))
            match, is_after = (None, False) if repository is None else _find_snapshot(request, org, repository, moment)
            data.append({"repository_uuid": uuid, "is_after": is_after, "match": match})
        return answer({"data": data})

    async def get_template(self, request: Request) -> Response:
        """GET /templates/{uuid}: a template, and a snapshot of each of its repositories for the template's date.

        Raises RefusedError (404) if there is no such template.
        """
        org = org_id(request)
        template = self._store.find("templates", request.path_params["uuid"].lower())
        if template is None:
            raise RefusedError(404, f"Could not find template with UUID {request.path_params['uuid']}")
        if "snapshots" not in template:
            moment = datetime.fromisoformat(template.get("date", FIRST_SNAPSHOT))
            uuids = template.get("repository_uuids", [])
            found = [self._store.find("repositories", uuid) for uuid in uuids]
            snapshots = [_find_snapshot(request, org, repository, moment)[0] for repository in found if repository]
            template = {**template, "snapshots": [snapshot for snapshot in snapshots if snapshot]}
        return answer({"org_id": org, **template})

    async def bulk_export(self, request: Request) -> Response:
        """POST /repositories/bulk_export/: the repositories in a form that another organization can import.

        Raises RefusedError: 400 for a wrong UUID or body, 404 for an unknown repository.
        """
        org_id(request)
        exported = []
        for uuid in texts(await json_object(request), "repository_uuids"):
            repository = self._store.find("repositories", _parse_uuid(uuid))
            if repository is None:
                raise RefusedError(404, f"Could not find repository with UUID {uuid}")
            exported.append({key: repository[key] for key in _EXPORTED_KEYS if key in repository})
        return answer(exported, 201)

    def _describe(self, request: Request, org: str, repository: Mapping[str, Any]) -> dict[str, Any]:
        described = {"org_id": org, "account_id": "", **repository}
        latest, _ = _find_snapshot(request, org, repository, datetime.now(UTC))
        if latest:
            described = {
                "last_snapshot_uuid": latest["uuid"],
                "last_snapshot": latest,
                "latest_snapshot_url": f"{_base_url(request)}/snapshots/{org}/{repository['uuid']}/latest/",
                **described,
            }
        hidden = (*_INTERNAL_KEYS, "origin") if self._steering.hide_origin else _INTERNAL_KEYS
        return {key: value for key, value in described.items() if key not in hidden}


def _find_snapshot(
    request: Request, org: str, repository: Mapping[str, Any], moment: datetime
) -> tuple[dict[str, Any] | None, bool]:
    """Return the latest snapshot up to `moment`, or else the first one after it; and whether it is one after it.

    A repository has one snapshot for each day (UTC) from its first snapshot until today.
    """
    first = repository.get("first_snapshot", FIRST_SNAPSHOT)
    if first is None or not repository.get("snapshot", True):
        return None, False
    first_taken = datetime.fromisoformat(first)
    is_after = moment < first_taken
    taken = first_taken if is_after else min(moment, datetime.now(UTC)).astimezone(UTC)
    day = taken.strftime("%Y-%m-%d")
    path = f"{org}/{repository['uuid']}/{day}"
    return {
        "uuid": str(uuid5(NAMESPACE_URL, path)),
        "created_at": f"{day}T00:00:00Z",
        "repository_uuid": repository["uuid"],
        "repository_name": repository.get("name", ""),
        "repository_path": path,
        "url": f"{_base_url(request)}/snapshots/{path}/",
        "detected_os_version": repository.get("detected_os_version", ""),
        "published": True,
        "content_counts": {"rpm.package": repository.get("package_count", 0)},
        "added_counts": {},
        "removed_counts": {},
    }, is_after


def _base_url(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _split_list(text: str | None, normalize: Callable[[str], str]) -> set[str] | None:
    """Return the normalized items of a comma-separated query parameter; None if the parameter is missing or empty."""
    return {normalize(part) for part in text.split(",")} if text else None


def _parse_uuid(text: str) -> str:
    if not is_uuid(text):
        raise RefusedError(400, f"{text!r} is not a UUID")
    return text.lower()


def _parse_number(text: str | None, default: int) -> int:
    try:
        return default if text is None else max(int(text), 0)
    except ValueError:
        raise RefusedError(400, f"{text!r} is not a number") from None


def _links(query: Mapping[str, str], count: int, limit: int, offset: int) -> dict[str, str]:
    """Return a page's links to the first, last, next and previous page; `count` is the number of all repositories."""

    def link(start: int) -> str:
        return f"{CONTENT_SOURCES_BASE}/repositories/?{urlencode({**query, 'limit': limit, 'offset': start})}"

    last = (count - 1) // limit * limit if count and limit else 0
    return {
        "first": link(0),
        "last": link(last),
        **({"next": link(offset + limit)} if offset + limit < count else {}),
        **({"prev": link(max(offset - limit, 0))} if offset else {}),
    }
