"""The calls of content sources for an export of a blueprint."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from domain.content import CUSTOM_ORIGINS, ContentRepository
from domain.errors import ForbiddenError, NotFoundError, UnavailableError
from domain.identity import Identity
from image_builder.usecases.export import ExportBlueprint
from tests.support.blueprint_documents import a_blueprint

CALLER = Identity("000001", header="h")
KNOWN, GONE = str(uuid4()), str(uuid4())


class Kept:
    """The one blueprint there is."""

    def __init__(self, blueprint):
        self.blueprint = blueprint

    def get(self, tenant, blueprint_id, version=None):
        return self.blueprint


class ContentSources:
    """Knows one repository, and refuses to export what it does not know; `refusal` is raised in any case."""

    def __init__(self, refusal=None):
        self.refusal = refusal
        self.exports = []

    def by_uuid(self, identity, uuids, origins):
        assert origins == CUSTOM_ORIGINS
        return tuple(ContentRepository(uuid) for uuid in uuids if uuid == KNOWN)

    def by_url(self, identity, urls, origins):
        raise AssertionError("no community repository is named")

    def bulk_export(self, identity, uuids):
        self.exports.append(list(uuids))
        if self.refusal is not None:
            raise self.refusal
        if set(uuids) - {KNOWN}:
            raise NotFoundError("not all are known")
        return [{"name": uuid, "url": None} for uuid in uuids]


def exported(content_sources, *ids, **options):
    blueprint = a_blueprint(customizations={"custom_repositories": [{"id": each} for each in ids]} if ids else {})
    export = ExportBlueprint(Kept(blueprint), content_sources, lambda: datetime(2026, 1, 31, tzinfo=UTC))
    return export(CALLER, blueprint.id, **options).document


def test_custom_repositories_are_exported_as_content_sources_answers():
    assert exported(ContentSources(), KNOWN)["content_sources"] == [{"name": KNOWN, "url": None}]


def test_without_custom_repositories_content_sources_is_neither_called_nor_needed():
    assert exported(None)["content_sources"] == []


def test_custom_repositories_need_content_sources():
    with pytest.raises(UnavailableError) as refused:
        exported(None, KNOWN)
    assert refused.value.retry_after is None


def test_a_deleted_repository_does_not_prevent_the_export_of_the_others():
    assert exported(ContentSources(), KNOWN, GONE)["content_sources"] == [{"name": KNOWN, "url": None}]


def test_a_refusal_of_content_sources_is_passed_on():
    with pytest.raises(ForbiddenError):
        exported(ContentSources(ForbiddenError("no")), KNOWN)


def test_without_the_repositories_content_sources_is_not_called():
    content = ContentSources()
    assert "content_sources" not in exported(content, KNOWN, with_repositories=False)
    assert content.exports == []
