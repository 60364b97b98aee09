"""What a blueprint lacks of what its compliance policy asks for."""

import pytest

from domain.blueprints.lint import (
    NO_DEFINITION,
    Lint,
    create_service_snapshots,
    lint_customizations,
    read_saved_requirements,
    report_unchecked,
)
from tests.support.blueprint_documents import POLICY
from tests.support.domain_builders import a_uuid

EVERYTHING = {
    "packages": ["aide", "audit"],
    "filesystem": [{"mountpoint": "/home", "min_size": 1}, {"mountpoint": "/var", "min_size": 2}],
    "services": {"enabled": ["auditd", "sshd"], "masked": ["nfs", "rpcbind"], "disabled": ["cups", "avahi"]},
    "kernel": {"name": "kernel-rt", "append": "audit=1 audit_backlog_limit=8192"},
    "fips": {"enabled": True},
}


def mountpoints(*paths, size=0):
    return {"filesystem": [{"mountpoint": path, "min_size": size} for path in paths]}


def services(**states):
    return {"services": {state: list(names) for state, names in states.items()}}


def kernel(**fields):
    return {"kernel": fields}


def errors(customizations, required):
    found = lint_customizations(customizations, required, {})
    assert not found.warnings
    return texts(found.errors)


def warnings(required, before):
    """The remarks on a blueprint that has all that was ever asked for."""
    found = lint_customizations({**before, **required}, required, before)
    assert not found.errors
    return texts(found.warnings)


def texts(items):
    assert {item.name for item in items} <= {"Compliance"}
    return [item.description for item in items]


ONE_OF_EACH = [
    ({"packages": ["aide"]}, "package aide required by policy is not present"),
    (mountpoints("/home"), "mountpoint /home required by policy is not present"),
    (services(enabled=["s"]), "service s required as enabled by policy is not present"),
    (services(masked=["s"]), "service s required as masked by policy is not present"),
    (services(disabled=["s"]), "service s required as disabled by policy is not present"),
    (kernel(name="kernel-rt"), "kernel name kernel-rt required by policy not set"),
    (kernel(append="audit=1"), "kernel command line parameter 'audit=1' required by policy not set"),
    ({"fips": {"enabled": True}}, "FIPS required 'true' by policy but not set"),
]
ONE_OF_EACH_DROPPED = [
    ({"packages": ["aide"]}, "package aide is no longer required by policy"),
    (mountpoints("/home"), "mountpoint /home is no longer required by policy"),
    (services(enabled=["s"]), "service s is no longer required as enabled by policy"),
    (services(masked=["s"]), "service s is no longer required as masked by policy"),
    (services(disabled=["s"]), "service s is no longer required as disabled by policy"),
    (kernel(name="kernel-rt"), "kernel name kernel-rt is no longer required by policy"),
    (kernel(append="audit=1"), "kernel command line parameter 'audit=1' is no longer required by policy"),
    ({"fips": {"enabled": True}}, "FIPS is no longer required by policy"),
]


@pytest.mark.parametrize(("required", "text"), ONE_OF_EACH)
def test_what_the_policy_asks_for_and_the_blueprint_lacks_is_an_error(required, text):
    assert errors({}, required) == [text]


@pytest.mark.parametrize(("required", "_text"), ONE_OF_EACH)
def test_what_the_blueprint_has_is_no_error(required, _text):
    assert errors(required, required) == []


@pytest.mark.parametrize(("before", "text"), ONE_OF_EACH_DROPPED)
def test_what_the_policy_asked_for_when_saved_and_no_longer_does_is_a_warning(before, text):
    assert warnings({}, before) == [text]


@pytest.mark.parametrize(("before", "_text"), ONE_OF_EACH_DROPPED)
def test_what_the_policy_still_asks_for_is_no_warning(before, _text):
    assert warnings(before, before) == []


@pytest.mark.parametrize(("required", "_text"), ONE_OF_EACH)
def test_what_the_policy_asks_for_only_since_is_no_warning(required, _text):
    assert warnings(required, {}) == []


@pytest.mark.parametrize(("required", "text"), ONE_OF_EACH)
def test_what_was_asked_for_before_and_is_still_is_an_error_where_it_lacks(required, text):
    found = lint_customizations({}, required, required)
    assert (texts(found.errors), found.warnings) == ([text], ())


def test_errors_come_in_order():
    assert errors({}, EVERYTHING) == [
        "package aide required by policy is not present",
        "package audit required by policy is not present",
        "mountpoint /home required by policy is not present",
        "mountpoint /var required by policy is not present",
        "service auditd required as enabled by policy is not present",
        "service sshd required as enabled by policy is not present",
        "service nfs required as masked by policy is not present",
        "service rpcbind required as masked by policy is not present",
        "service cups required as disabled by policy is not present",
        "service avahi required as disabled by policy is not present",
        "kernel name kernel-rt required by policy not set",
        "kernel command line parameter 'audit=1' required by policy not set",
        "kernel command line parameter 'audit_backlog_limit=8192' required by policy not set",
        "FIPS required 'true' by policy but not set",
    ]


def test_warnings_come_in_order():
    assert warnings({}, EVERYTHING) == [
        "package aide is no longer required by policy",
        "package audit is no longer required by policy",
        "mountpoint /home is no longer required by policy",
        "mountpoint /var is no longer required by policy",
        "service auditd is no longer required as enabled by policy",
        "service sshd is no longer required as enabled by policy",
        "service nfs is no longer required as masked by policy",
        "service rpcbind is no longer required as masked by policy",
        "service cups is no longer required as disabled by policy",
        "service avahi is no longer required as disabled by policy",
        "kernel name kernel-rt is no longer required by policy",
        "kernel command line parameter 'audit=1' is no longer required by policy",
        "kernel command line parameter 'audit_backlog_limit=8192' is no longer required by policy",
        "FIPS is no longer required by policy",
    ]


@pytest.mark.parametrize(
    ("append", "lacks"),
    [
        ("audit=1", False),
        ("quiet audit=1", False),
        ("audit=1 quiet", False),
        ("  quiet   audit=1  ", False),
        ("quiet\taudit=1", False),
        ("", True),
        ("audit=10", True),
        ("audit", True),
        ("xaudit=1", True),
        ("no_audit=1,x", True),
        ("AUDIT=1", True),
    ],
)
def test_a_kernel_argument_is_compared_as_a_whole_word(append, lacks):
    expected = ["kernel command line parameter 'audit=1' required by policy not set"] if lacks else []
    assert errors(kernel(append=append), kernel(append="audit=1")) == expected


def test_a_kernel_argument_that_lacks_beside_one_that_does_not_is_named_alone():
    found = errors(kernel(append="a=1 c"), kernel(append="a=1 b=2 c"))
    assert found == ["kernel command line parameter 'b=2' required by policy not set"]


@pytest.mark.parametrize(("has", "wants"), [(0, 1), (2**20, 2**30), (2**30, 2**20)])
def test_a_mountpoint_s_size_is_not_compared(has, wants):
    assert errors(mountpoints("/home", size=has), mountpoints("/home", size=wants)) == []
    assert warnings(mountpoints("/home", size=has), mountpoints("/home", size=wants)) == []


@pytest.mark.parametrize("has", [mountpoints("/home/u"), mountpoints("/"), mountpoints("/homes"), mountpoints("/HOME")])
def test_another_mountpoint_is_not_the_one_asked_for(has):
    assert errors(has, mountpoints("/home")) == ["mountpoint /home required by policy is not present"]


@pytest.mark.parametrize("state", ["masked", "disabled"])
def test_a_service_in_another_state_is_not_as_asked_for(state):
    found = errors(services(**{state: ["s"]}), services(enabled=["s"]))
    assert found == ["service s required as enabled by policy is not present"]


@pytest.mark.parametrize("has", [{"fips": {"enabled": False}}, {"fips": {}}])
def test_fips_switched_off_is_fips_not_set(has):
    assert errors(has, {"fips": {"enabled": True}}) == ["FIPS required 'true' by policy but not set"]


@pytest.mark.parametrize("has", [{}, {"fips": {"enabled": True}}])
def test_a_policy_without_fips_does_not_mind_it(has):
    assert errors(has, {"fips": {"enabled": False}}) == []


def test_another_kernel_is_not_the_one_asked_for():
    found = errors(kernel(name="kernel"), kernel(name="kernel-rt"))
    assert found == ["kernel name kernel-rt required by policy not set"]


def test_a_kernel_that_was_asked_for_and_is_another_now_is_an_error_and_a_warning():
    found = lint_customizations(kernel(name="kernel"), kernel(name="kernel-rt"), kernel(name="kernel"))
    assert texts(found.errors) == ["kernel name kernel-rt required by policy not set"]
    assert texts(found.warnings) == ["kernel name kernel is no longer required by policy"]


def test_a_service_that_is_asked_for_in_another_state_now_is_an_error_and_a_warning():
    found = lint_customizations(services(enabled=["s"]), services(masked=["s"]), services(enabled=["s"]))
    assert texts(found.errors) == ["service s required as masked by policy is not present"]
    assert texts(found.warnings) == ["service s is no longer required as enabled by policy"]


@pytest.mark.parametrize("required", [{}, {"packages": [], "filesystem": [], "services": {}, "kernel": {}, "fips": {}}])
def test_a_policy_that_asks_for_nothing_finds_nothing(required):
    assert lint_customizations({"packages": ["vim"], **kernel(append="quiet")}, required, required) == Lint()


def test_what_the_blueprint_has_of_its_own_is_no_remark():
    assert errors({**EVERYTHING, "packages": ["vim", "aide", "audit"]}, EVERYTHING) == []


def test_without_a_tailoring_for_the_minor_version_there_is_one_error():
    found = texts(NO_DEFINITION.errors)
    assert found == ["Compliance policy does not have a definition for the latest minor version"]
    assert NO_DEFINITION.warnings == ()


def test_a_policy_that_could_not_be_checked_is_one_warning_saying_so():
    found = report_unchecked("compliance is away")
    assert found.errors == ()
    [text] = texts(found.warnings)
    assert "compliance is away" in text


def test_what_the_policy_asks_for_is_stored_where_other_programs_look_for_it():
    stored = create_service_snapshots(POLICY, EVERYTHING)
    assert stored["compliance"]["policy_id"] == POLICY
    assert stored["compliance"]["policy_customizations"].items() >= EVERYTHING.items()


def test_what_the_policy_asked_for_when_saved_is_read_back():
    stored = {"compliance": {"policy_id": POLICY, "policy_customizations": EVERYTHING}}
    assert warnings({}, read_saved_requirements(stored, POLICY)) == warnings({}, EVERYTHING)


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"compliance": None},
        {"compliance": {}},
        {"compliance": {"policy_id": POLICY}},
        {"compliance": {"policy_id": POLICY, "policy_customizations": None}},
        {"compliance": {"policy_id": a_uuid(99), "policy_customizations": EVERYTHING}},
    ],
    ids=["none", "null", "empty", "no customizations", "null customizations", "another policy's"],
)
def test_where_nothing_of_this_policy_was_stored_nothing_is_no_longer_required(stored):
    assert lint_customizations({}, {}, read_saved_requirements(stored, POLICY)) == Lint()


OF_ANY_AGE = [
    {"packages": None, "filesystem": None, "services": None, "kernel": None, "fips": None},
    {"services": {"enabled": None}, "kernel": {"name": None, "append": None}, "fips": {"enabled": None}},
]


@pytest.mark.parametrize("nulls", OF_ANY_AGE)
def test_a_stored_tailoring_of_nulls_asked_for_nothing(nulls):
    stored = {"compliance": {"policy_id": POLICY, "policy_customizations": nulls}}
    assert lint_customizations({}, {}, read_saved_requirements(stored, POLICY)) == Lint()


ODD = {
    "packages": "aide",
    "filesystem": [{"min_size": 1}, {"mountpoint": 1}, "/home"],
    "services": [],
    "kernel": "kernel-rt",
    "fips": 1,
}


@pytest.mark.parametrize("section", ODD)
def test_what_an_old_row_says_in_another_shape_says_nothing(section):
    assert lint_customizations({section: ODD[section]}, EVERYTHING, {}) == lint_customizations({}, EVERYTHING, {})


@pytest.mark.parametrize("section", ODD)
def test_what_was_asked_for_in_another_shape_is_not_missed(section):
    assert lint_customizations(EVERYTHING, EVERYTHING, {section: ODD[section]}) == Lint()
