"""The mark of requests that answers show as they are stored: lists need not search them for what must be changed."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings

from adapters.postgres.migrate import migrate
from domain.compose.passwords import present_request, redact_request
from tests.support.builders import compose_request
from tests.support.databases import Parameters, query, session
from tests.support.rounds import repeated
from tests.support.rows import insert_compose
from tests.support.stored_requests import stored_requests


def is_marked(parameters: Parameters, compose: UUID) -> bool | None:
    ((marked,),) = query(parameters, "SELECT request_as_shown FROM composes WHERE job_id = %s", compose)
    return marked


def would_be_marked(parameters: Parameters, request: Any) -> bool:
    text = json.dumps(request)
    ((marked,),) = query(
        parameters, "SELECT compose_request_as_shown(%s::jsonb, octet_length(%s::jsonb::text))", text, text
    )
    return marked


@settings(max_examples=repeated(100, 1000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=stored_requests())
def test_only_a_request_that_answers_show_unchanged_is_marked(
    module_database: Parameters, request: dict[str, Any]
) -> None:
    if would_be_marked(module_database, request):
        assert present_request(request) == request
        assert "image_requests" in request


@pytest.mark.parametrize(
    "customizations",
    [{}, {"users": []}, {"users": [{"name": "a", "password": "p"}, {"name": "b"}]}, {"packages": ["nullmailer"]}],
)
def test_a_request_that_this_service_stores_is_marked(
    module_database: Parameters, customizations: dict[str, Any]
) -> None:
    assert would_be_marked(module_database, redact_request(compose_request(customizations=customizations)))


@pytest.mark.parametrize("request_", [None, [], "text", 1, {}, {"customizations": {"users": []}}])
def test_a_request_of_another_shape_is_not_marked(module_database: Parameters, request_: Any) -> None:
    assert not would_be_marked(module_database, request_)


def test_a_large_request_is_not_marked(module_database: Parameters, tenant: str) -> None:
    packages = {"packages": ["p" * 100] * 200}
    assert is_marked(module_database, insert_compose(module_database, tenant, compose_request(**packages))) is False


def test_the_mark_follows_a_change_of_the_request(module_database: Parameters, tenant: str) -> None:
    compose = insert_compose(module_database, tenant)
    assert is_marked(module_database, compose) is True
    with session(module_database) as connection:
        users = {"users": [{"name": "a", "password": "p"}]}
        connection.execute(
            "UPDATE composes SET request = request || %s::jsonb WHERE job_id = %s",
            (json.dumps({"customizations": users}), compose),
        )
    assert is_marked(module_database, compose) is False


def test_builds_from_before_the_mark_have_none(old_database: Parameters, tenant: str) -> None:
    compose = insert_compose(old_database, tenant)
    migrate(old_database)
    assert is_marked(old_database, compose) is None
