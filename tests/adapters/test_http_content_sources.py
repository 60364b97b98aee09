"""The client of content sources, over HTTP."""

import json
from contextlib import AbstractContextManager
from urllib.parse import parse_qsl, urlsplit

import pytest
import stamina

from adapters.embedded.platform import sample_data
from adapters.embedded.platform.process import StandInPlatform
from adapters.http.content_sources import HttpContentSources
from domain.content import CUSTOM_ORIGINS, RED_HAT, ContentRepository, Snapshot, Template
from domain.errors import ForbiddenError, InvalidRequestError, NotFoundError, UnavailableError
from ports.deadline import until
from tests.support.customers import BROKEN, CUSTOMER, MEANINGLESS, NOBODY, SLOW, asking, is_discreet, reaching
from tests.support.loopback import Loopback, answer, refused_url
from tests.support.waiting import BRIEFLY

ONE = "11111111-1111-4111-8111-111111111111"
TWO = "2222AAAA-2222-4222-8222-222222222222"
DATE = "2026-01-02T00:00:00Z"
AWAY = "Content sources gives no usable answer"
CALLS = {
    "by url": lambda it, who=CUSTOMER: it.by_url(who, ["https://h/a"], [RED_HAT]),
    "by uuid": lambda it, who=CUSTOMER: it.by_uuid(who, [ONE], CUSTOM_ORIGINS),
    "snapshots": lambda it, who=CUSTOMER: it.snapshots(who, DATE, [ONE]),
    "template": lambda it, who=CUSTOMER: it.template(who, ONE),
    "bulk export": lambda it, who=CUSTOMER: it.bulk_export(who, [ONE]),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture(autouse=True)
def _attempts_without_pauses():
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


def sources(*steps) -> AbstractContextManager:
    return asking(HttpContentSources, *steps)


def a_page(*repositories, count=None):
    return answer(200, {"data": list(repositories), "meta": {"count": len(repositories) if count is None else count}})


def query(asked):
    return dict(parse_qsl(urlsplit(asked.path).query, keep_blank_values=True))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"uuid": ONE}, ContentRepository(ONE)),
        (
            {
                "uuid": ONE,
                "url": "https://h/a",
                "name": "A",
                "origin": "brand-new",
                "label": "a",
                "gpg_key": "KEY",
                "module_hotfixes": False,
                "metadata_verification": True,
                "snapshot": False,
                "latest_snapshot_url": "https://s/a",
                "status": 5,
                "more": {},
            },
            ContentRepository(ONE, "https://h/a", "A", "brand-new", "a", "KEY", False, True, False, "https://s/a"),
        ),
        (
            dict.fromkeys(
                [
                    "url",
                    "name",
                    "origin",
                    "label",
                    "gpg_key",
                    "module_hotfixes",
                    "metadata_verification",
                    "snapshot",
                    "latest_snapshot_url",
                ]
            )
            | {"uuid": ONE},
            ContentRepository(ONE),
        ),
    ],
    ids=["bare", "full", "nulls"],
)
def test_a_repository_is_read_from_its_required_keys(document, expected):
    with sources(a_page(document)) as (it, _):
        assert it.by_url(CUSTOMER, ["https://h/a"], [RED_HAT]) == (expected,)


def test_addresses_and_origins_are_requested_in_one_call():
    with sources(a_page()) as (it, asked):
        it.by_url(CUSTOMER, ["https://h/a?b=c&d", "https://h/é,f", "https://h/a?b=c&d", ""], CUSTOM_ORIGINS)
    (question,) = asked
    assert question.method == "GET"
    assert urlsplit(question.path).path == "/repositories/"
    assert query(question) == {
        "url": "https://h/a?b=c&d,https://h/é%2Cf",
        "origin": "external,upload,community",
        "limit": "200",
    }


def test_only_valid_uuids_are_requested_by_uuid():
    with sources(a_page()) as (it, asked):
        it.by_uuid(CUSTOMER, [ONE, "mine", "", f"{ONE},x", f"{{{TWO}}}", f"{ONE}\n", TWO, ONE], [RED_HAT])
    assert [query(question)["uuid"] for question in asked] == [f"{ONE},{TWO}"]


@pytest.mark.parametrize(
    "call",
    [
        lambda it: it.by_url(CUSTOMER, [], [RED_HAT]),
        lambda it: it.by_url(CUSTOMER, ["https://h/a"], []),
        lambda it: it.by_uuid(CUSTOMER, ["mine"], [RED_HAT]),
        lambda it: it.snapshots(CUSTOMER, DATE, []),
        lambda it: it.snapshots(CUSTOMER, DATE, ["mine"]),
    ],
)
def test_an_empty_request_makes_no_call(call):
    with sources() as (it, asked):
        assert call(it) == ()
    assert asked == []


def test_further_pages_are_read_until_all_repositories_are_found():
    with sources(a_page({"uuid": "a"}, {"uuid": "b"}, count=4), a_page({"uuid": "b"}, {"uuid": "c"}, count=4)) as (
        it,
        asked,
    ):
        found = it.by_url(CUSTOMER, ["https://h/a"], [RED_HAT])
    assert [repository.uuid for repository in found] == ["a", "b", "c"]
    assert [query(question).get("offset") for question in asked] == [None, "2"]
    assert {query(question)["url"] for question in asked} == {"https://h/a"}


def test_without_a_count_only_one_page_is_read():
    with sources(answer(200, {"data": [{"uuid": "a"}], "meta": None})) as (it, asked):
        assert len(it.by_url(CUSTOMER, ["https://h/a"], [RED_HAT])) == 1
    assert len(asked) == 1


def test_a_null_list_is_empty():
    with sources(answer(200, {"data": None, "meta": {"count": 0}})) as (it, _):
        assert it.by_url(CUSTOMER, ["https://h/a"], [RED_HAT]) == ()


@pytest.mark.parametrize(
    ("page", "most"), [(a_page({"uuid": "a"}, count=10**9), 100), (a_page(count=3), 1)], ids=["endless", "empty"]
)
def test_an_endless_list_is_an_unusable_answer(page, most):
    with sources(page) as (it, asked), pytest.raises(UnavailableError, match=AWAY):
        it.by_url(CUSTOMER, ["https://h/a"], [RED_HAT])
    assert len(asked) == most


@pytest.mark.parametrize(
    ("urls", "questions"),
    [
        ([f"https://h/{number}" for number in range(120)], 3),
        ([f"https://h/{number}/{'é' * 1000}" for number in range(3)], 3),
        ([f"https://h/{number}/{'e' * 2000}" for number in range(4)], 2),
    ],
    ids=["many", "long when encoded", "long"],
)
def test_long_lists_are_requested_in_parts(urls, questions):
    with sources(a_page({"uuid": "same"})) as (it, asked):
        assert len(it.by_url(CUSTOMER, urls, [RED_HAT])) == 1
    assert len(asked) == questions
    assert [url for question in asked for url in query(question)["url"].split(",")] == urls
    assert max(len(question.path) for question in asked) < 8000


def test_snapshots_are_requested_by_post_and_all_are_returned():
    data = [
        {"repository_uuid": ONE, "is_after": True, "match": {"repository_path": "a/b", "url": "https://s/a", "x": 1}},
        {"repository_uuid": TWO, "match": None},
        {"repository_uuid": TWO, "match": {"detected_os_version": "9.6", "url": None}},
    ]
    with sources(answer(200, {"data": data})) as (it, asked):
        found = it.snapshots(CUSTOMER, DATE, [ONE, TWO, "mine"])
    assert found == (Snapshot(ONE, "a/b", "https://s/a"), Snapshot(TWO, detected_os_version="9.6"))
    (question,) = asked
    assert (question.method, question.path) == ("POST", "/snapshots/for_date/")
    assert json.loads(question.body) == {"date": DATE, "repository_uuids": [ONE, TWO]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"uuid": ONE, "name": None, "repository_uuids": None, "snapshots": None}, Template(ONE)),
        (
            {
                "uuid": ONE,
                "name": "T",
                "repository_uuids": [ONE, TWO],
                "snapshots": [{"repository_uuid": TWO, "repository_path": "p", "url": "u", "uuid": 5}],
            },
            Template(ONE, "T", (ONE, TWO), (Snapshot(TWO, "p", "u"),)),
        ),
    ],
)
def test_a_template_is_read_from_its_required_keys(document, expected):
    with sources(answer(200, document)) as (it, asked):
        assert it.template(CUSTOMER, ONE) == expected
    assert asked[0].path == f"/templates/{ONE}"


def test_an_unknown_template_is_not_found():
    with sources(answer(404)) as (it, _), pytest.raises(NotFoundError):
        it.template(CUSTOMER, ONE)


@pytest.mark.parametrize("uuid", ["", "..", "../../x", f"{ONE}/../x", f"{ONE}\n", "mine"])
def test_an_invalid_template_id_is_not_sent(uuid):
    with sources() as (it, asked), pytest.raises(NotFoundError):
        it.template(CUSTOMER, uuid)
    assert asked == []


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(
    "exported", [[], [{"name": "A", "gpg_key": None, "brand_new": {"x": [1.5, "é"]}}, None, {}], ["x"]]
)
def test_an_export_is_returned_unchanged(status, exported):
    with sources(answer(status, exported)) as (it, asked):
        assert it.bulk_export(CUSTOMER, [TWO, "mine", ONE, TWO, ""]) == exported
    (question,) = asked
    assert (question.method, question.path) == ("POST", "/repositories/bulk_export/")
    assert json.loads(question.body) == {"repository_uuids": [TWO, ONE]}


@pytest.mark.parametrize("uuids", [[], ["mine", ""]])
def test_an_export_of_no_repositories_makes_no_call(uuids):
    with sources() as (it, asked):
        assert it.bulk_export(CUSTOMER, uuids) == []
    assert asked == []


@pytest.mark.parametrize("step", [answer(400), answer(204, b""), answer(201, b"null"), answer(201, b"[")])
def test_an_export_that_is_not_a_list_is_an_unusable_answer(step):
    with sources(step) as (it, _), pytest.raises(UnavailableError, match=AWAY):
        it.bulk_export(CUSTOMER, [ONE])


def test_an_export_of_unknown_repositories_is_not_found():
    with sources(answer(404)) as (it, _), pytest.raises(NotFoundError, match="does not know all"):
        it.bulk_export(CUSTOMER, [ONE])


def test_the_stand_in_exports_its_repositories():
    with StandInPlatform() as running, reaching(HttpContentSources, running.content_sources_url) as it:
        exported = it.bulk_export(CUSTOMER, [sample_data.EXTERNAL, sample_data.COMMUNITY])
        with pytest.raises(NotFoundError):
            it.bulk_export(CUSTOMER, [ONE])
    assert [(one["url"], one["origin"]) for one in exported] == [
        (sample_data.EXTERNAL_URL, "external"),
        (sample_data.COMMUNITY_URL, "community"),
    ]


@every_call
def test_the_identity_is_passed_on_unchanged(call):
    with sources(answer(404)) as (it, asked), pytest.raises((NotFoundError, UnavailableError)):
        call(it)
    assert asked[0].headers["x-rh-identity"] == CUSTOMER.header


@every_call
def test_without_a_red_hat_identity_no_call_is_made(call):
    with (
        sources() as (it, asked),
        pytest.raises(InvalidRequestError, match="Content sources needs a Red Hat identity"),
    ):
        call(it, NOBODY)
    assert asked == []


@every_call
@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_content_sources_is_a_refusal_of_the_caller(call, status):
    with sources(answer(status, b"<html>", "text/html")) as (it, asked), pytest.raises(ForbiddenError) as refused:
        call(it)
    assert refused.value.detail == (
        "user is not authorized - please check your 'Repositories viewer' or 'Content Template viewer' permissions"
    )
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("call", "step"),
    [
        pytest.param(call, step, id=f"{name} {fault}")
        for name, call in CALLS.items()
        for fault, step in (BROKEN | MEANINGLESS).items()
        if (name, fault) != ("bulk export", "a list")
    ],
)
def test_an_unusable_answer_means_that_content_sources_is_unavailable(call, step):
    with sources(step) as (it, _), pytest.raises(UnavailableError) as away:
        call(it)
    assert away.value.detail == AWAY
    assert is_discreet(away.value.detail)


@pytest.mark.parametrize(
    "step", [answer(404), answer(400), answer(200, {}), answer(200, {"data": [{}]}), answer(200, {"meta": {}})]
)
@pytest.mark.parametrize("name", ["by url", "by uuid", "snapshots"])
def test_invalid_lists_mean_that_content_sources_is_unavailable(step, name):
    with sources(step) as (it, _), pytest.raises(UnavailableError, match=AWAY):
        CALLS[name](it)


@every_call
@pytest.mark.parametrize("step", SLOW.values(), ids=SLOW)
def test_a_late_answer_means_that_content_sources_is_unavailable_in_time(call, step):
    with sources(step) as (it, asked), until(BRIEFLY), pytest.raises(UnavailableError, match=AWAY):
        call(it)
    assert len(asked) == 1


@every_call
def test_a_refused_connection_means_that_content_sources_is_unavailable(call):
    with reaching(HttpContentSources, refused_url()) as it, pytest.raises(UnavailableError, match=AWAY):
        call(it)
    with (
        Loopback(unread=True) as server,
        reaching(HttpContentSources, server.url) as it,
        pytest.raises(UnavailableError, match=AWAY),
    ):
        call(it)
