"""Content sources: repositories, their snapshots, templates."""

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

RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
EXPORTED: Final = (
    *("name", "url", "origin", "distribution_versions", "distribution_arch"),
    *("gpg_key", "metadata_verification", "module_hotfixes", "snapshot"),
)
NOT_SHOWN: Final = ("first_snapshot", "detected_os_version")


class ContentSources:
    """The operations of content sources. `steering` says whether answers leave out the origin of repositories."""

    def __init__(self, store: DocumentStore, steering: PlatformSteering) -> None:
        self._store = store
        self._steering = steering

    async def list_repositories(self, request: Request) -> Response:
        """One page of the repositories that meet all conditions."""
        org, query = org_id(request), request.query_params
        limit, offset = _number(query.get("limit"), 100), _number(query.get("offset"), 0)
        urls = _listed(query.get("url"), lambda url: url.rstrip("/"))
        uuids = _listed(query.get("uuid"), _uuid)
        origins = _listed(query.get("origin"), str)
        found = [
            repository
            for repository in self._store.all("repositories").values()
            if (urls is None or (repository.get("url") or "").rstrip("/") in urls)
            and (uuids is None or repository["uuid"] in uuids)
            and (origins is None or repository.get("origin") in origins)
        ]
        page = [self._shown(request, org, repository) for repository in found[offset : offset + limit]]
        meta = {"count": len(found), "limit": limit, "offset": offset}
        return answer({"data": page, "meta": meta, "links": _links(query, len(found), limit, offset)})

    async def snapshots_for_date(self, request: Request) -> Response:
        """For each repository the latest snapshot before the date, otherwise the first one after it."""
        org, body = org_id(request), await json_object(request)
        date = body.get("date")
        if not isinstance(date, str) or not RFC3339.fullmatch(date):
            raise RefusedError(400, f"Error parsing date: {date!r} is not RFC 3339")
        try:
            moment = datetime.fromisoformat(date.upper())
        except ValueError as error:
            raise RefusedError(400, f"Error parsing date: {error}") from None
        repositories = self._store.all("repositories")
        data = []
        for uuid in texts(body, "repository_uuids"):
            repository = repositories.get(_uuid(uuid))
            match, is_after = (None, False) if repository is None else _snapshot(request, org, repository, moment)
            data.append({"repository_uuid": uuid, "is_after": is_after, "match": match})
        return answer({"data": data})

    async def get_template(self, request: Request) -> Response:
        """A template with its snapshots."""
        org = org_id(request)
        template = self._store.find("templates", request.path_params["uuid"].lower())
        if template is None:
            raise RefusedError(404, f"Could not find template with UUID {request.path_params['uuid']}")
        if "snapshots" not in template:
            moment = datetime.fromisoformat(template.get("date", FIRST_SNAPSHOT))
            uuids = template.get("repository_uuids", [])
            found = [self._store.find("repositories", uuid) for uuid in uuids]
            snapshots = [_snapshot(request, org, repository, moment)[0] for repository in found if repository]
            template = {**template, "snapshots": [snapshot for snapshot in snapshots if snapshot]}
        return answer({"org_id": org, **template})

    async def bulk_export(self, request: Request) -> Response:
        """The repositories in the form in which another organization can import them."""
        org_id(request)
        exported = []
        for uuid in texts(await json_object(request), "repository_uuids"):
            repository = self._store.find("repositories", _uuid(uuid))
            if repository is None:
                raise RefusedError(404, f"Could not find repository with UUID {uuid}")
            exported.append({key: repository[key] for key in EXPORTED if key in repository})
        return answer(exported, 201)

    def _shown(self, request: Request, org: str, repository: Mapping[str, Any]) -> dict[str, Any]:
        shown = {"org_id": org, "account_id": "", **repository}
        latest, _ = _snapshot(request, org, repository, datetime.now(UTC))
        if latest:
            shown = {
                "last_snapshot_uuid": latest["uuid"],
                "last_snapshot": latest,
                "latest_snapshot_url": f"{_host(request)}/snapshots/{org}/{repository['uuid']}/latest/",
                **shown,
            }
        hidden = (*NOT_SHOWN, "origin") if self._steering.hide_origin else NOT_SHOWN
        return {key: value for key, value in shown.items() if key not in hidden}


def _snapshot(
    request: Request, org: str, repository: Mapping[str, Any], moment: datetime
) -> tuple[dict[str, Any] | None, bool]:
    """The snapshot for this moment, and whether it was taken later. A repository has one a day from its first."""
    first = repository.get("first_snapshot", FIRST_SNAPSHOT)
    if first is None or not repository.get("snapshot", True):
        return None, False
    since = datetime.fromisoformat(first)
    is_after = moment < since
    taken = since if is_after else min(moment, datetime.now(UTC)).astimezone(UTC)
    day = taken.strftime("%Y-%m-%d")
    path = f"{org}/{repository['uuid']}/{day}"
    return {
        "uuid": str(uuid5(NAMESPACE_URL, path)),
        "created_at": f"{day}T00:00:00Z",
        "repository_uuid": repository["uuid"],
        "repository_name": repository.get("name", ""),
        "repository_path": path,
        "url": f"{_host(request)}/snapshots/{path}/",
        "detected_os_version": repository.get("detected_os_version", ""),
        "published": True,
        "content_counts": {"rpm.package": repository.get("package_count", 0)},
        "added_counts": {},
        "removed_counts": {},
    }, is_after


def _host(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _listed(text: str | None, canonical: Callable[[str], str]) -> set[str] | None:
    return {canonical(part) for part in text.split(",")} if text else None


def _uuid(text: str) -> str:
    if not is_uuid(text):
        raise RefusedError(400, f"{text!r} is not a UUID")
    return text.lower()


def _number(text: str | None, usual: int) -> int:
    try:
        return usual if text is None else max(int(text), 0)
    except ValueError:
        raise RefusedError(400, f"{text!r} is not a number") from None


def _links(query: Mapping[str, str], count: int, limit: int, offset: int) -> dict[str, str]:
    def link(start: int) -> str:
        return f"{CONTENT_SOURCES_BASE}/repositories/?{urlencode({**query, 'limit': limit, 'offset': start})}"

    last = (count - 1) // limit * limit if count and limit else 0
    return {
        "first": link(0),
        "last": link(last),
        **({"next": link(offset + limit)} if offset + limit < count else {}),
        **({"prev": link(max(offset - limit, 0))} if offset else {}),
    }
