"""What an export asks of content sources (spec 10, Blueprints: export)."""

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
    return export(CALLER, blueprint.id, **options)


def test_custom_repositories_are_exported_as_content_sources_says():
    assert exported(ContentSources(), KNOWN)["content_sources"] == [{"name": KNOWN, "url": None}]


def test_without_custom_repositories_nothing_is_asked_and_nobody_has_to_be_there():
    assert exported(None)["content_sources"] == []


def test_custom_repositories_need_content_sources():
    with pytest.raises(UnavailableError) as refused:
        exported(None, KNOWN)
    assert refused.value.retry_after is None


def test_a_repository_that_is_gone_does_not_spoil_the_export_of_the_others():
    assert exported(ContentSources(), KNOWN, GONE)["content_sources"] == [{"name": KNOWN, "url": None}]


def test_a_refusal_of_content_sources_is_told():
    with pytest.raises(ForbiddenError):
        exported(ContentSources(ForbiddenError("no")), KNOWN)


def test_without_what_lies_beside_it_nothing_is_asked():
    content = ContentSources()
    assert "content_sources" not in exported(content, KNOWN, with_repositories=False)
    assert content.exports == []
