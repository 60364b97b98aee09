"""A blueprint gets what its compliance policy asks for."""

import copy

import pytest

from domain.blueprints.lint import add_requirements, lint_customizations
from tests.support.blueprint_documents import checker

EVERYTHING = {
    "packages": ["aide", "audit"],
    "filesystem": [{"mountpoint": "/home", "min_size": 1024}, {"mountpoint": "/var", "min_size": 2048}],
    "services": {"enabled": ["auditd"], "masked": ["nfs"], "disabled": ["cups"]},
    "kernel": {"name": "kernel-rt", "append": "audit=1 audit_backlog_limit=8192"},
    "fips": {"enabled": True},
}
OWN = {
    "packages": ["vim"],
    "filesystem": [{"mountpoint": "/srv", "min_size": 4096}],
    "services": {"enabled": ["sshd"]},
    "kernel": {"append": "quiet"},
    "hostname": "h",
    "users": [{"name": "u", "password": "$6$salt$h", "ssh_key": "k"}],
}


def home(size):
    return {"filesystem": [{"mountpoint": "/home", "min_size": size}]}


@pytest.mark.parametrize(
    ("has", "wants", "gets"),
    [
        ({}, {"packages": ["a", "b"]}, {"packages": ["a", "b"]}),
        ({"packages": ["c", "a"]}, {"packages": ["a", "b"]}, {"packages": ["c", "a", "b"]}),
        ({}, home(5), home(5)),
        (home(9), home(5), home(9)),
        (home(1), home(5), home(1)),
        ({}, {"services": {"enabled": ["a"]}}, {"services": {"enabled": ["a"]}}),
        ({"services": {"enabled": ["b"]}}, {"services": {"enabled": ["a"]}}, {"services": {"enabled": ["b", "a"]}}),
        ({"services": {"masked": ["a"]}}, {"services": {"enabled": ["a"]}}, {"services": {"enabled": ["a"]}}),
        (
            {"services": {"disabled": ["a", "b"], "masked": ["c"]}},
            {"services": {"enabled": ["a"]}},
            {"services": {"disabled": ["b"], "masked": ["c"], "enabled": ["a"]}},
        ),
        ({}, {"kernel": {"name": "k"}}, {"kernel": {"name": "k"}}),
        ({"kernel": {"name": "j"}}, {"kernel": {"name": "k"}}, {"kernel": {"name": "k"}}),
        (
            {"kernel": {"name": "j", "append": "a"}},
            {"kernel": {"name": "k"}},
            {"kernel": {"name": "k", "append": "a"}},
        ),
        ({}, {"kernel": {"append": "a=1"}}, {"kernel": {"append": "a=1"}}),
        ({}, {"kernel": {"append": "a=1 b=2"}}, {"kernel": {"append": "a=1 b=2"}}),
        ({"kernel": {"append": "q"}}, {"kernel": {"append": "a=1 b=2"}}, {"kernel": {"append": "q a=1 b=2"}}),
        ({"kernel": {"append": "b=2 q"}}, {"kernel": {"append": "a=1 b=2"}}, {"kernel": {"append": "b=2 q a=1"}}),
        ({"kernel": {"append": "a=10"}}, {"kernel": {"append": "a=1"}}, {"kernel": {"append": "a=10 a=1"}}),
        ({"kernel": {"append": ""}}, {"kernel": {"append": "a=1"}}, {"kernel": {"append": "a=1"}}),
        (
            {"kernel": {"name": "j"}},
            {"kernel": {"append": "a=1"}},
            {"kernel": {"name": "j", "append": "a=1"}},
        ),
        ({}, {"fips": {"enabled": True}}, {"fips": {"enabled": True}}),
        ({"fips": {"enabled": False}}, {"fips": {"enabled": True}}, {"fips": {"enabled": True}}),
        ({"fips": {"enabled": True}}, {"fips": {"enabled": False}}, {"fips": {"enabled": True}}),
    ],
)
def test_what_lacks_is_added(has, wants, gets):
    assert add_requirements(has, wants) == gets


def test_all_that_lacks_is_added_at_once():
    assert not lint_customizations(add_requirements({}, EVERYTHING), EVERYTHING, {}).errors


def test_all_of_the_blueprint_s_own_stays():
    found = add_requirements(OWN, EVERYTHING)
    assert found["hostname"] == "h"
    assert found["users"] == OWN["users"]
    assert found["packages"] == ["vim", "aide", "audit"]
    assert found["filesystem"] == OWN["filesystem"] + EVERYTHING["filesystem"]
    assert found["services"] == {"enabled": ["sshd", "auditd"], "masked": ["nfs"], "disabled": ["cups"]}
    assert found["kernel"] == {"name": "kernel-rt", "append": "quiet audit=1 audit_backlog_limit=8192"}


@pytest.mark.parametrize("has", [OWN, EVERYTHING, {}])
def test_where_nothing_lacks_nothing_changes(has):
    assert add_requirements(has, {}) == has
    assert add_requirements(has, has) == has


def test_a_second_fixup_changes_nothing():
    once = add_requirements(OWN, EVERYTHING)
    assert add_requirements(once, EVERYTHING) == once


def test_the_blank_that_an_old_fixup_left_before_the_first_argument_goes_with_the_next():
    found = add_requirements({"kernel": {"append": " audit=1"}}, {"kernel": {"append": "audit=1 quiet"}})
    assert found["kernel"] == {"append": "audit=1 quiet"}


@pytest.mark.parametrize(
    ("state", "contradicting"),
    [("enabled", "masked"), ("enabled", "disabled"), ("masked", "enabled"), ("disabled", "enabled")],
)
def test_a_service_leaves_the_state_that_the_policy_contradicts(state, contradicting):
    has, wants = {"services": {contradicting: ["a"]}}, {"services": {state: ["a"]}}
    assert add_requirements(has, wants) == wants


@pytest.mark.parametrize(("state", "other"), [("masked", "disabled"), ("disabled", "masked")])
def test_a_service_may_be_both_masked_and_disabled(state, other):
    assert add_requirements({"services": {other: ["a"]}}, {"services": {state: ["a"]}}) == {
        "services": {state: ["a"], other: ["a"]}
    }


def test_a_service_in_two_states_stays_in_that_asked_for():
    has = {"services": {"enabled": ["a", "b"], "disabled": ["a", "b"]}}
    found = add_requirements(has, {"services": {"enabled": ["a"]}})
    assert found == {"services": {"enabled": ["a", "b"], "disabled": ["b"]}}


def test_what_is_fixed_fits_the_contract():
    assert checker("Customizations").is_valid(add_requirements({"services": {"masked": ["auditd"]}}, EVERYTHING))


def test_what_the_policy_does_not_ask_for_in_lint_s_terms_is_not_added():
    found = add_requirements({"openscap": {"policy_id": "p"}}, {"openscap": {"profile_id": "x"}, "packages": ["a"]})
    assert found == {"openscap": {"policy_id": "p"}, "packages": ["a"]}


def test_neither_the_blueprint_nor_the_policy_is_changed_in_place():
    copies = copy.deepcopy((OWN, EVERYTHING))
    add_requirements(OWN, EVERYTHING)
    assert copies == (OWN, EVERYTHING)


def test_an_old_row_of_another_shape_gets_what_it_lacks():
    odd = {"packages": "aide", "services": [], "kernel": "kernel-rt", "fips": 1, "filesystem": "/home"}
    assert lint_customizations(add_requirements(odd, EVERYTHING), EVERYTHING, {}).errors == ()
