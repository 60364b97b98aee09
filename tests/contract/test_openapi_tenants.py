"""Whoever is not the owner learns nothing of an id, in any operation of the document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.blueprints import blueprint, kept
from tests.support.builders import compose_request
from tests.support.refusals import REQUEST_ID, refusal
from tests.support.service import Service

pytestmark = pytest.mark.usefixtures("composer")


def operations_on_an_id(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Method and path of every operation that has an id in its path; later issues add theirs."""
    return [
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if re.search(r"\{\w*[Ii]d\}", path) and method != "parameters"
    ]


def test_an_id_of_another_tenant_answers_exactly_like_one_that_does_not_exist(
    service: Service, document: Mapping[str, Any]
) -> None:
    owner, other = service.client("owner"), service.client("other")
    compose_id, nobodys = owner.compose(compose_request()), str(uuid4())
    blueprint_id = kept(owner)
    operations = operations_on_an_id(document)
    assert len(operations) >= 10
    for method, path in operations:
        theirs = _ask(other, method, path.replace("{composeId}", compose_id).replace("{id}", blueprint_id))
        unknown = _ask(other, method, path.replace("{composeId}", nobodys).replace("{id}", nobodys))
        refusal(theirs, 404)
        assert theirs.content == unknown.content
        assert _without_what_differs(theirs) == _without_what_differs(unknown)
    assert owner.get(f"/composes/{compose_id}").status_code == 200
    assert owner.get(f"/blueprints/{blueprint_id}").status_code == 200
    assert owner.get("/composes").json()["meta"]["count"] == 1
    assert other.get("/composes").json() == {
        "meta": {"count": 0},
        "links": other.get("/composes").json()["links"],
        "data": [],
    }


def test_a_deleted_id_answers_others_and_its_owner_like_one_that_does_not_exist(service: Service) -> None:
    owner, other = service.client("deleting owner"), service.client("other")
    compose_id = owner.compose(compose_request())
    assert owner.delete(f"/composes/{compose_id}").status_code == 200
    unknown = other.get(f"/composes/{uuid4()}")
    for client in (owner, other):
        for path in (f"/composes/{compose_id}", f"/composes/{compose_id}/metadata"):
            refusal(client.get(path), 404)
        assert client.get(f"/composes/{compose_id}").content == unknown.content
    assert owner.delete(f"/composes/{compose_id}").status_code == 200
    refusal(other.delete(f"/composes/{compose_id}"), 404)


@pytest.mark.parametrize("path", ["", "/metadata"])
def test_the_composer_is_not_asked_about_another_tenants_build(
    service: Service, composer: StandInComposer, path: str
) -> None:
    compose_id = service.client("owner").compose(compose_request())
    before = composer.counters()
    refusal(service.client("other").get(f"/composes/{compose_id}{path}"), 404)
    assert composer.counters() == before


def _ask(client: Any, method: str, path: str) -> requests.Response:
    body = {} if method != "PUT" else {"labels": {}} if path.endswith("/labels") else blueprint("other")
    answer: requests.Response = client.request(method, path, **({} if method in {"GET", "DELETE"} else {"json": body}))
    return answer


def _without_what_differs(answer: requests.Response) -> dict[str, str]:
    # `ratelimit` tells the caller's own number of requests. A connection is closed if the answer came before the body.
    differing = {"date", REQUEST_ID, "ratelimit", "connection"}
    return {name: value for name, value in answer.headers.items() if name.lower() not in differing}
