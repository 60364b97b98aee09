"""The request of a build that repeats an earlier one."""

from __future__ import annotations

from typing import Any

import pytest

from domain.compose.rerun import create_rerun_request
from domain.errors import InvalidRequestError

IMAGES = [{"image_type": "guest-image"}]


def stored(*users: dict[str, Any]) -> dict[str, Any]:
    return {"image_requests": IMAGES, "customizations": {"users": list(users)}}


def users_of(request: dict[str, Any]) -> Any:
    return request["customizations"]["users"]


@pytest.mark.parametrize(
    "document", [{"image_requests": IMAGES}, {"image_requests": IMAGES, "customizations": {"packages": ["vim"]}}]
)
def test_a_request_without_users_stays_as_it_is(document: dict[str, Any]) -> None:
    assert create_rerun_request(document, {}, None) == document


def test_a_user_that_had_no_password_gets_none() -> None:
    request = create_rerun_request(stored({"name": "bob", "hasPassword": False}), {}, None)
    assert users_of(request) == [{"name": "bob"}]


def test_a_user_that_had_no_password_may_get_one() -> None:
    request = create_rerun_request(stored({"name": "bob", "hasPassword": False}), {"bob": "new"}, None)
    assert users_of(request) == [{"name": "bob", "password": "new"}]


def test_users_whose_passwords_are_missing_are_named() -> None:
    document = stored(*({"name": name, "hasPassword": True} for name in ("alice", "bob", "eve")))
    with pytest.raises(InvalidRequestError, match='"alice", "eve"'):
        create_rerun_request(document, {"bob": "given"}, None)


def test_the_blueprint_gives_passwords_and_the_caller_may_replace_them() -> None:
    document = stored({"name": "alice", "hasPassword": True}, {"name": "bob", "hasPassword": True})
    body = {"customizations": {"users": [{"name": "alice", "password": "$6$a"}, {"name": "bob", "password": "$6$b"}]}}
    request = create_rerun_request(document, {"bob": "given"}, body)
    assert [user["password"] for user in users_of(request)] == ["$6$a", "given"]


def test_a_password_that_an_older_program_stored_is_not_used() -> None:
    with pytest.raises(InvalidRequestError, match="alice"):
        create_rerun_request(stored({"name": "alice", "password": "$6$old"}), {}, None)


@pytest.mark.parametrize("document", [None, [], "text", 1])
def test_a_stored_request_that_is_no_object_cannot_be_repeated(document: Any) -> None:
    with pytest.raises(InvalidRequestError, match="cannot be read"):
        create_rerun_request(document, {}, None)


@pytest.mark.parametrize("document", [{}, {"customizations": {"users": "none"}}, stored({"name": "bob"})])
def test_passwords_of_unknown_users_are_refused(document: Any) -> None:
    with pytest.raises(InvalidRequestError, match="eve"):
        create_rerun_request(document, {"eve": "x"}, None)
