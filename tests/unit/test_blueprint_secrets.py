"""The secrets of a blueprint's users."""

import copy

import pytest

from domain.blueprints import secrets
from domain.compose.passwords import MAX_PASSWORD_BYTES, MAX_PLAIN_PASSWORDS
from domain.errors import InvalidRequestError
from tests.support.blueprint_documents import a_document, hashed, with_hashed_passwords, with_users

HASHED = "$6$0123456789abcdef$stored"
KEY = "ssh-ed25519 AAAA"
GROUPS = ["wheel"]


def users_of(body):
    return body["customizations"]["users"]


def created(*users):
    """The users of a new body, as it is stored."""
    return users_of(secrets.drop_empty_secrets(with_hashed_passwords(with_users(*users))))


def updated(now, before):
    """The users of a changed body, as it is stored over another."""
    return users_of(secrets.carry_over_secrets(with_hashed_passwords(with_users(*now)), with_users(*before)))


def test_a_plain_password_is_hashed():
    assert created({"name": "u", "password": "pass"}) == [{"name": "u", "password": hashed("pass")}]


def test_each_user_gets_the_hash_of_his_own_password():
    users = [{"name": "u", "password": "one"}, {"name": "v"}, {"name": "w", "password": "two"}]
    assert [user.get("password") for user in created(*users)] == [hashed("one"), None, hashed("two")]


@pytest.mark.parametrize("password", ["$6$salt$h", "$6$rounds=5000$salt$h", "$5$salt$h", "$2b$12$saltandhash"])
def test_a_password_that_is_a_hash_already_stays(password):
    assert created({"name": "u", "password": password}) == [{"name": "u", "password": password}]


@pytest.mark.parametrize("password", ["$6", "$", "$ecret", "6$salt$h", " $6$salt$h", "$6 $salt$h"])
def test_a_password_that_only_looks_like_a_hash_is_hashed(password):
    assert created({"name": "u", "password": password}) == [{"name": "u", "password": hashed(password)}]


@pytest.mark.parametrize("field", ["password", "ssh_key"])
def test_an_empty_password_or_key_counts_as_none_on_create(field):
    assert created({"name": "u", field: "", "groups": GROUPS}) == [{"name": "u", "groups": GROUPS}]


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("password", [{}, {"password": ""}, {"password": HASHED}])
def test_what_the_caller_says_of_having_a_password_is_not_stored(said, password):
    [user] = created({"name": "u", "hasPassword": said, **password})
    assert "hasPassword" not in user


def test_groups_and_keys_are_stored_as_sent():
    user = {"name": "u", "ssh_key": KEY, "groups": GROUPS}
    assert created(user) == [user]


def test_a_body_without_users_stays_as_it_is():
    body = a_document(customizations={"packages": ["vim"]})
    assert secrets.drop_empty_secrets(with_hashed_passwords(body)) == body
    assert secrets.carry_over_secrets(body, with_users({"name": "u", "password": HASHED})) == body


def test_no_users_stay_no_users():
    assert created() == []
    assert updated([], [{"name": "u", "password": HASHED}]) == []


@pytest.mark.parametrize(("field", "stored"), [("password", HASHED), ("ssh_key", KEY)])
def test_a_user_who_does_not_say_it_keeps_what_is_stored_under_his_name(field, stored):
    before = [{"name": "v", field: "other"}, {"name": "u", field: stored}]
    assert updated([{"name": "u"}], before) == [{"name": "u", field: stored}]


@pytest.mark.parametrize(("field", "stored"), [("password", HASHED), ("ssh_key", KEY)])
def test_an_empty_text_removes_what_is_stored(field, stored):
    assert updated([{"name": "u", field: ""}], [{"name": "u", field: stored}]) == [{"name": "u"}]


def test_a_new_key_replaces_the_stored_one():
    assert updated([{"name": "u", "ssh_key": "new"}], [{"name": "u", "ssh_key": KEY}]) == [
        {"name": "u", "ssh_key": "new"}
    ]


def test_a_new_password_is_hashed_and_replaces_the_stored_one():
    found = updated([{"name": "u", "password": "new"}], [{"name": "u", "password": HASHED}])
    assert found == [{"name": "u", "password": hashed("new")}]


@pytest.mark.parametrize("said", [True, False])
def test_a_password_is_kept_whatever_the_caller_says_of_having_one(said):
    found = updated([{"name": "u", "hasPassword": said}], [{"name": "u", "password": HASHED}])
    assert found == [{"name": "u", "password": HASHED}]


@pytest.mark.parametrize("said", [True, False])
def test_a_user_who_had_no_password_gets_none_by_saying_so(said):
    assert updated([{"name": "u", "hasPassword": said}], [{"name": "u", "ssh_key": KEY}]) == [
        {"name": "u", "ssh_key": KEY}
    ]


def test_a_key_changes_without_the_password():
    before = [{"name": "u", "password": HASHED, "ssh_key": KEY}]
    assert updated([{"name": "u", "ssh_key": "new"}], before) == [{"name": "u", "password": HASHED, "ssh_key": "new"}]


def test_only_secrets_are_kept():
    assert updated([{"name": "u"}], [{"name": "u", "password": HASHED, "groups": GROUPS}]) == [
        {"name": "u", "password": HASHED}
    ]


@pytest.mark.parametrize("name", ["U", "u ", " u", "uu", "ü"])
def test_a_user_of_another_name_gets_nobody_s_secrets(name):
    assert updated([{"name": name}], [{"name": "u", "password": HASHED, "ssh_key": KEY}]) == [{"name": name}]


def test_users_come_and_vanish_beside_those_who_stay():
    before = [{"name": "gone", "password": "$6$gone"}, {"name": "stays", "password": HASHED}]
    now = [{"name": "new", "password": "p"}, {"name": "stays"}]
    assert updated(now, before) == [{"name": "new", "password": hashed("p")}, {"name": "stays", "password": HASHED}]


def test_a_user_who_vanished_and_comes_back_has_no_secret():
    once = [{"name": "u", "password": HASHED}]
    assert updated([{"name": "u"}], updated([], once)) == [{"name": "u"}]


def test_users_of_one_name_keep_their_secrets_in_their_order():
    before = [{"name": "u", "password": "$6$first"}, {"name": "v"}, {"name": "u", "password": "$6$second"}]
    now = [{"name": "u"}, {"name": "v"}, {"name": "u"}]
    assert updated(now, before) == before


def test_more_users_of_one_name_than_before_keep_a_secret_of_that_name():
    assert updated([{"name": "u"}] * 2, [{"name": "u", "password": HASHED}]) == [{"name": "u", "password": HASHED}] * 2


def test_an_empty_secret_of_an_old_row_is_not_kept():
    assert updated([{"name": "u"}], [{"name": "u", "password": "", "ssh_key": ""}]) == [{"name": "u"}]


@pytest.mark.parametrize("before", [{}, {"customizations": {}}, {"customizations": {"users": []}}])
def test_where_nobody_was_before_nothing_is_kept(before):
    assert users_of(secrets.carry_over_secrets(with_users({"name": "u"}), before)) == [{"name": "u"}]


def test_neither_body_is_changed_in_place():
    now, before = (
        with_users({"name": "u", "password": "p"}, {"name": "v"}),
        with_users({"name": "v", "password": "$6$"}),
    )
    copies = copy.deepcopy((now, before))
    secrets.carry_over_secrets(secrets.drop_empty_secrets(with_hashed_passwords(now)), before)
    assert (now, before) == copies


@pytest.mark.parametrize(
    "users",
    [
        [{"name": "smith", "password": "x" * (MAX_PASSWORD_BYTES + 1)}],
        [{"name": f"smith{number}", "password": "x"} for number in range(MAX_PLAIN_PASSWORDS + 1)],
    ],
    ids=["too long", "too many"],
)
def test_passwords_too_long_or_too_many_to_hash_are_refused(users):
    with pytest.raises(InvalidRequestError):
        with_hashed_passwords(with_users(*users))
