"""Any JSON of a back-end becomes a value or a known error, in linear time and bounded memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, cast
from uuid import UUID, uuid4

import orjson
import pytest

from adapters.http.answer import MAX_LEVELS, MAX_VALUES_BYTES, Answer, max_size_in_memory
from adapters.http.breaker import Breaker
from adapters.http.client import BackEnd, NoAnswerError, Timeouts
from adapters.http.compliance import HttpCompliance
from adapters.http.composer import HttpComposer
from adapters.http.content_sources import HttpContentSources
from adapters.http.provisioning import HttpProvisioning
from adapters.http.recommendations import HttpRecommendations
from domain.compose.snapshots import ContentSettings, get_latest_snapshot_url
from domain.errors import ImageBuilderError, InvalidRequestError, UnavailableError
from domain.submission import Refused, Unanswered
from ports.memory import current_memory
from tests.support.customers import CUSTOMER
from tests.support.loopback import Loopback, answer
from tests.support.rounds import sampled
from tests.support.waiting import SOON

ONE = "11111111-1111-4111-8111-111111111111"
REPOSITORY = {"uuid": ONE, "url": "https://h/a", "name": "n", "gpg_key": "k", "latest_snapshot_url": "https://h/b"}
PACKAGE = {"type": "rpm", "name": "vim", "version": "9", "release": "1", "arch": "x86_64", "sigmd5": "m", "epoch": "1"}
ERROR = {"id": 5, "reason": "r", "details": [{"id": 21, "reason": "no", "details": {"a": 1}}]}
STATUS = {
    "status": "failure",
    "image_status": {
        "status": "failure",
        "progress": {"done": 1, "total": 2, "subprogress": {"done": 1, "total": 2}},
        "upload_status": {"status": "success", "type": "aws", "options": {"ami": "a", "region": "r"}},
        "upload_statuses": [{"status": "success"}],
        "error": ERROR,
    },
}


class SayingBackEnd:
    """A back-end that gives the same answer to every call."""

    def __init__(self, status: int, body: bytes) -> None:
        self._answer = Answer(status, body)

    def get(self, *_: Any, **__: Any) -> Answer:
        return self._answer

    post_idempotent = post_once = delete = get


Call = Callable[[BackEnd], Any]
# A call, the status of its answer, and a valid answer.
CALLS: dict[str, tuple[Call, int, Any]] = {
    "submit": (lambda it: HttpComposer(it).submit({}), 201, {"id": ONE}),
    "submit, refused": (lambda it: HttpComposer(it).submit({}), 400, {"id": "30", "reason": "r", "details": ["d"]}),
    "status": (lambda it: HttpComposer(it).status(uuid4()), 200, STATUS),
    "metadata": (lambda it: HttpComposer(it).metadata(uuid4()), 200, {"packages": [PACKAGE], "ostree_commit": "c"}),
    "request": (lambda it: HttpComposer(it).request(uuid4()), 200, {"request": {"distribution": "d", "a": [1]}}),
    "builds": (lambda it: HttpComposer(it).builds(), 200, {"items": [{"id": ONE}], "total": 1}),
    "search": (
        lambda it: HttpComposer(it).search_packages("d", "x86_64", [], "vim"),
        200,
        {"packages": [{"name": "vim", "summary": "s"}]},
    ),
    "resolution": (lambda it: HttpComposer(it).resolve_packages({}), 200, {"packages": [PACKAGE]}),
    "resolution, refused": (
        lambda it: HttpComposer(it).resolve_packages({}),
        400,
        {"id": "8", "reason": "r", "details": ["d"]},
    ),
    "distribution": (
        lambda it: HttpComposer(it).distribution("d", [], []),
        200,
        {"name": "d", "architectures": {"x86_64": {"image_types": {"ami": {"a": [1]}}}}, "more": {"b": 1}},
    ),
    "repositories": (
        lambda it: HttpContentSources(it).by_uuid(CUSTOMER, [ONE], ["external"]),
        200,
        {"data": [REPOSITORY], "meta": {"count": 1}},
    ),
    "snapshots": (
        lambda it: HttpContentSources(it).snapshots(CUSTOMER, "2026-01-02T00:00:00Z", [ONE]),
        200,
        {"data": [{"repository_uuid": ONE, "match": {"repository_path": "p", "url": "u"}}]},
    ),
    "template": (
        lambda it: HttpContentSources(it).template(CUSTOMER, ONE),
        200,
        {"uuid": ONE, "name": "n", "repository_uuids": [ONE], "snapshots": [{"repository_uuid": ONE, "url": "u"}]},
    ),
    "bulk export": (lambda it: HttpContentSources(it).bulk_export(CUSTOMER, [ONE]), 200, [{"name": "n", "a": [1]}]),
    "policy": (
        lambda it: HttpCompliance(it).policy(CUSTOMER, ONE),
        200,
        {"data": {"id": ONE, "ref_id": "r", "os_major_version": 9}},
    ),
    "tailorings": (lambda it: HttpCompliance(it).has_tailoring(CUSTOMER, ONE, 6), 200, {"data": [{"a": 1}]}),
    "tailoring": (lambda it: HttpCompliance(it).tailoring(CUSTOMER, ONE, 6), 200, {"a": [1]}),
    "source": (lambda it: HttpProvisioning(it).aws_account(CUSTOMER, "1"), 200, {"aws": {"account_id": "0" * 12}}),
    "recommendations": (
        lambda it: HttpRecommendations(it).recommend(["vim"], 3, "rhel9"),
        200,
        {"packages": ["nano"], "modelVersion": "1"},
    ),
}
ODD: list[Any] = [
    None, True, 0, -1, 2**63, 2**64 - 1, 1.5, 1e300, "", "\0", "x" * 300, "http://[", "http://a℀b/", "0" * 5000,
    [], [[]], [None], ["\0"], {}, {"a": 1}, {"": None}, {"id": {}}, [{}], [{"id": 1}],
]  # fmt: skip
every_call = pytest.mark.parametrize(("call", "status", "usual"), CALLS.values(), ids=CALLS)


def saying(status: int, body: Any) -> BackEnd:
    return cast("BackEnd", SayingBackEnd(status, body if isinstance(body, bytes) else orjson.dumps(body)))


def heard(call: Call, status: int, body: Any) -> Any:
    """The result of an answer: the parsed value, or an error of the domain."""
    try:
        return call(saying(status, body))
    except ImageBuilderError as error:
        return error


def changed(document: Any, to: Any) -> Iterator[Any]:
    """Copies of the document, each with one value changed."""
    yield to
    if isinstance(document, dict):
        for key, value in document.items():
            yield from ({**document, key: each} for each in changed(value, to))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from ([*document[:index], each, *document[index + 1 :]] for each in changed(value, to))


@every_call
def test_a_valid_answer_is_read(call: Call, status: int, usual: Any) -> None:
    assert not isinstance(heard(call, status, usual), Exception)


@every_call
def test_a_value_of_another_type_is_read_or_makes_the_answer_unusable(call: Call, status: int, usual: Any) -> None:
    for odd in ODD:
        for document in changed(usual, odd):
            found = heard(call, status, document)
            assert not isinstance(found, InvalidRequestError), document
            if isinstance(found, Refused):
                assert orjson.dumps(found.error().detail)


@every_call
@pytest.mark.parametrize("kind", [("[", "]"), ('{"a":', "}"), ('[{"id":5,"reason":"r","details":', "}]")], ids=str)
@pytest.mark.parametrize("levels", [90, 254, 500, 1_000, 100_000])
def test_a_deeply_nested_value_is_written_or_makes_the_answer_unusable(
    call: Call, status: int, usual: Any, kind: tuple[str, str], levels: int
) -> None:
    deep = (kind[0] * levels + "1" + kind[1] * levels).encode()
    for document in changed(usual, "DEEP"):
        found = heard(call, status, orjson.dumps(document).replace(b'"DEEP"', deep))
        if isinstance(found, dict | list):
            assert orjson.dumps([[[found]]])
        if isinstance(found, Refused):
            assert orjson.dumps(found.error().detail)


@every_call
@pytest.mark.parametrize(
    "entry", sampled([b"1", b"[]", b"{}", b'"a"', b'{"id":"a"}', b'{"name":"a"}', orjson.dumps(PACKAGE)], 1)
)
def test_a_very_long_list_takes_bounded_time(call: Call, status: int, usual: Any, entry: bytes) -> None:
    wide = b"[" + b",".join([entry] * (500_000 // len(entry))) + b"]"
    for document in changed(usual, "WIDE"):
        began = time.process_time()
        heard(call, status, orjson.dumps(document).replace(b'"WIDE"', wide))
        assert time.process_time() - began < SOON


def test_a_submission_with_an_invalid_answer_may_have_started() -> None:
    for body in (b"[" * 500 + b"]" * 500, b'{"id":' + b"[" * 200 + b"]" * 200 + b"}"):
        assert heard(CALLS["submit"][0], 201, body) == Unanswered(may_have_started=True)
        assert heard(CALLS["submit"][0], 500, body) == Refused(500)


def test_an_address_that_is_accepted_can_be_parsed() -> None:
    for odd in ODD:
        if isinstance(odd, str):
            document = {"data": [{**REPOSITORY, "latest_snapshot_url": odd}], "meta": {"count": 1}}
            found = heard(CALLS["repositories"][0], 200, document)
            if not isinstance(found, Exception):
                get_latest_snapshot_url(found[0], ContentSettings("https://content"))


# JSON


@pytest.mark.parametrize(("kind", "levels"), [(("[", "]"), 1), (('{"a":', "}"), 1), (('[{"a":', "}]"), 2)])
def test_json_of_the_maximum_nesting_is_read(kind: tuple[str, str], levels: int) -> None:
    def nested(times: int) -> Any:
        return Answer(200, (kind[0] * times + "1" + kind[1] * times).encode()).json()

    assert nested(MAX_LEVELS // levels) is not None
    assert nested(MAX_LEVELS // levels + 1) is None


def test_brackets_in_texts_and_siblings_do_not_count_as_nesting() -> None:
    assert Answer(200, orjson.dumps(["[" * 10_000])).json() == ["[" * 10_000]
    assert Answer(200, orjson.dumps([[]] * 10_000)).json() == [[]] * 10_000


SHAPES = {
    "empty lists": b"[" + b",".join([b"[]"] * 200_000) + b"]",
    "empty objects": b"[" + b",".join([b"{}"] * 200_000) + b"]",
    "objects of one key": b"[" + b",".join([b'{"a":1}'] * 100_000) + b"]",
    "objects of six keys": b"[" + b",".join([b'{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}'] * 20_000) + b"]",
    "objects in objects": b"[" + b",".join([b'{"a":{"b":{"c":{}}}}'] * 50_000) + b"]",
    "keys": b"{" + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}",
    "large numbers": b"[" + b",".join(b"%d" % (10**10 + number) for number in range(100_000)) + b"]",
    "fractions": b"[" + b",".join([b"1.5"] * 200_000) + b"]",
    "short texts": b"[" + b",".join([b'"ab"'] * 200_000) + b"]",
    "wide texts": orjson.dumps(["é\N{GRINNING FACE}"] * 100_000),
    "one wide text": orjson.dumps("a" * 3_000_000 + "\N{GRINNING FACE}"),
    "one escaped wide text": b'"' + b"a" * 3_000_000 + b'\\ud83d\\ude00"',
    "packages": orjson.dumps([PACKAGE] * 20_000),
}


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
def test_values_use_at_most_the_memory_reserved_for_them(body: bytes) -> None:
    tracemalloc.start()
    try:
        document = orjson.loads(body)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert document
    assert taken <= max_size_in_memory(body) <= 6 * taken


def test_json_that_needs_too_much_memory_is_not_used() -> None:
    body = b"[" + b"[]," * 1_000_000 + b"[]]"
    assert max_size_in_memory(body) > MAX_VALUES_BYTES
    assert Answer(200, body).json() is None


class Account:
    """The memory account of a request; reserving more than `most` raises `error`."""

    def __init__(self, most: int, error: Exception) -> None:
        self.reserved: list[int] = []
        self._most = most
        self._error = error

    def reserve(self, size: int, later: int = 0) -> None:
        assert not later
        self.reserved.append(size)
        if sum(self.reserved) > self._most:
            raise self._error


@pytest.fixture
def account() -> Iterator[Callable[[int, Exception], Account]]:
    def begin(most: int, error: Exception) -> Account:
        account = Account(most, error)
        current_memory.set(account)
        return account

    token = current_memory.set(None)
    yield begin
    current_memory.reset(token)


NOW_NOT = UnavailableError("not now")
NEVER = InvalidRequestError("never so much")


def test_memory_is_reserved_for_large_answers_only(
    account: Callable[[int, Exception], Account],
) -> None:
    reserved = account(10**9, NEVER).reserved
    assert Answer(200, b"[1]").json() == [1]
    assert reserved == []
    body = orjson.dumps([PACKAGE] * 20_000)
    assert Answer(200, body).json()
    assert reserved == [max_size_in_memory(body)]


def test_a_request_without_the_needed_memory_gets_no_answer(account: Callable[[int, Exception], Account]) -> None:
    body = orjson.dumps([PACKAGE] * 20_000)
    account(0, NEVER)
    assert Answer(200, body).json() is None
    account(0, NOW_NOT)
    with pytest.raises(UnavailableError):
        Answer(200, body).json()


@pytest.mark.parametrize("error", [NEVER, NOW_NOT])
def test_memory_is_reserved_while_an_answer_arrives(
    account: Callable[[int, Exception], Account], error: Exception
) -> None:
    body = b"1" * 3_500_000
    back_end = BackEnd("composer", "", connections=1)
    with Loopback(answer(200, body), answer(200, body)) as server:
        back_end._url = server.url
        reserved = account(10**9, error).reserved
        assert back_end.get("/x", Timeouts(5, 10), max_bytes=4_000_000).body == body
        assert sum(reserved) == 6 * 1024 * 1024
        account(4 * 1024 * 1024, error)
        with pytest.raises(NoAnswerError) as none:
            back_end.get("/x", Timeouts(5, 10), max_bytes=4_000_000)
    assert none.value.sent
    back_end.close()


def test_too_large_answers_do_not_open_the_circuit_breaker() -> None:
    breaker = Breaker(failures=2)
    with Loopback(answer(200, b"1" * 2_000_000)) as server:
        back_end = BackEnd("composer", server.url, connections=1, breaker=breaker)
        for _ in range(5):
            with suppress(NoAnswerError):
                back_end.get("/x", Timeouts(5, 10))
        back_end.close()
    assert breaker.allows_call()
    assert len(server.asked) == 5


def test_a_list_of_too_many_large_pages_is_unusable() -> None:
    page = {"data": [{**REPOSITORY, "uuid": str(UUID(int=number))} for number in range(200)], "meta": {"count": 10**9}}
    page["data"][0]["gpg_key"] = "k" * 4_000_000  # type: ignore[index]
    assert isinstance(heard(CALLS["repositories"][0], 200, page), UnavailableError)
