"""Passwords are hashed on their way to the composer, and neither kept nor shown."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passlib.handlers.sha2_crypt import sha512_crypt

from adapters.crypt import sha512_crypt_hash
from domain.compose.passwords import present_request, redact_request
from tests.support.builders import compose_request

SECRET = "correct horse battery"
STORED = json.loads(json.dumps(compose_request()))

often = settings(deadline=None, max_examples=100)
words = st.text('a é"\\', max_size=5)
plain = st.none() | st.booleans() | st.integers() | words
anything = st.recursive(plain, lambda of: st.lists(of, max_size=3) | st.dictionaries(words, of, max_size=3))
secrets = st.sampled_from([SECRET, f"$6$salt${SECRET}", ""])
users = st.fixed_dictionaries(
    {},
    optional={
        "name": words,
        "password": secrets | st.none(),
        "ssh_key": words | st.none(),
        "groups": st.lists(words) | st.none(),
        "hasPassword": anything,
    },
)
lists_of_users = st.lists(users | anything, max_size=4)
fitting = st.fixed_dictionaries(
    {},
    optional={
        "distribution": anything,
        "customizations": st.fixed_dictionaries({}, optional={"users": lists_of_users, "packages": anything}),
    },
)
of_any_age = st.fixed_dictionaries(
    {},
    optional={
        "distribution": anything,
        "image_requests": anything,
        "customizations": st.fixed_dictionaries({}, optional={"users": lists_of_users | anything}) | anything,
    },
)


def with_users(*given_users):
    return {**STORED, "customizations": {"users": list(given_users), "packages": ["vim"]}}


def users_of(document):
    return document["customizations"]["users"]


def kept_and_shown(document):
    return [redact_request(document), present_request(document)]


@pytest.mark.parametrize("hide", [redact_request, present_request])
@often
@given(document=fitting)
def test_no_password_is_left_in_any_list_of_users(hide, document):
    text = json.dumps(hide(document))
    assert SECRET not in text
    assert '"password"' not in text


@often
@given(document=of_any_age)
def test_no_password_is_shown_of_a_row_of_any_age(document):
    assert SECRET not in json.dumps(present_request(document))


@often
@given(document=of_any_age)
def test_no_field_of_what_is_shown_is_null(document):
    assert all(value is not None for value in _values_of_fields(present_request(document)))


def _values_of_fields(value):
    if isinstance(value, dict):
        yield from value.values()
    for entry in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _values_of_fields(entry)


@often
@given(document=fitting)
def test_a_row_is_shown_as_it_was_kept(document):
    once = present_request(redact_request(document))
    assert present_request(once) == once
    for user, kept in zip(_objects(document), _objects(once), strict=True):
        assert kept["hasPassword"] is bool(user.get("password"))


def _objects(document):
    return [user for user in document.get("customizations", {}).get("users", []) if isinstance(user, dict)]


@often
@given(document=of_any_age)
def test_hiding_leaves_the_document_as_it_was(document):
    before = json.dumps(document)
    kept_and_shown(document)
    assert json.dumps(document) == before


@pytest.mark.parametrize(
    ("user", "has_password"),
    [
        ({"password": SECRET}, True),
        ({"password": "$6$salt$abc"}, True),
        ({"password": ""}, False),
        ({}, False),
        ({"password": SECRET, "hasPassword": False}, True),
        ({"password": "", "hasPassword": True}, False),
    ],
)
@pytest.mark.parametrize("hide", [redact_request, present_request])
def test_a_user_with_a_password_is_said_to_have_one(hide, user, has_password):
    assert users_of(hide(with_users({"name": "u", **user}))) == [{"name": "u", "hasPassword": has_password}]


def test_what_a_request_says_of_having_a_password_is_ignored():
    document = with_users({"name": "u", "hasPassword": True})
    assert users_of(redact_request(document)) == [{"name": "u", "hasPassword": False}]


@pytest.mark.parametrize("has_password", [True, False])
def test_what_a_row_says_of_having_a_password_is_shown(has_password):
    document = with_users({"name": "u", "hasPassword": has_password})
    assert users_of(present_request(document)) == [{"name": "u", "hasPassword": has_password}]


@pytest.mark.parametrize("hide", [redact_request, present_request])
def test_everything_else_stays(hide):
    user = {"name": "u", "groups": ["wheel"], "ssh_key": "ssh-ed25519 AAAA"}
    document = with_users(user)
    expected = with_users({**user, "hasPassword": False})
    assert hide(document) == expected


@pytest.mark.parametrize("hide", [redact_request, present_request])
def test_a_document_without_users_stays_as_it_is(hide):
    assert hide(STORED) == STORED


@pytest.mark.parametrize(
    ("customizations", "expected"),
    [
        (None, {}),
        ({"users": None, "files": None}, {"customizations": {}}),
        ({"users": [None]}, {"customizations": {"users": []}}),
        (
            {"users": [{"name": "u", "password": None, "groups": None, "ssh_key": None}]},
            {"customizations": {"users": [{"name": "u", "hasPassword": False}]}},
        ),
        (
            {"users": ["u", 5, {"name": "v"}]},
            {"customizations": {"users": [{"name": "v", "hasPassword": False}]}},
        ),
        ({"users": "u", "hostname": "h"}, {"customizations": {"hostname": "h"}}),
        ({"users": []}, {"customizations": {"users": []}}),
        ([], {"customizations": []}),
    ],
)
def test_an_old_row_is_shown(customizations, expected):
    assert present_request({"customizations": customizations}) == expected


def test_users_that_are_no_list_show_no_password():
    assert SECRET not in json.dumps(present_request({"customizations": {"users": {"name": "u", "password": SECRET}}}))


def test_a_hash_is_sha512_crypt_of_the_salt():
    salt = "./0aZ" + "x" * 11
    hashed = sha512_crypt_hash(SECRET, salt)
    assert re.fullmatch(r"[./A-Za-z0-9]{86}", hashed.removeprefix(f"$6${salt}$"))


def test_two_hashes_of_one_password_differ():
    assert sha512_crypt_hash(SECRET, "a" * 16) != sha512_crypt_hash(SECRET, "b" * 16)


def test_a_known_hash_is_what_crypt_makes():
    assert sha512_crypt.verify("pässwörd ☃", sha512_crypt_hash("pässwörd ☃", "a" * 16))
