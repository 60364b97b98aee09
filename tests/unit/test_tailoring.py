"""Building by a compliance policy."""

import pytest

from domain.compose.lookups import Answers
from domain.content import Policy
from domain.distributions import BootcImage
from tests.support.builders import compose_request
from tests.support.domain_builders import a_distribution, a_rhel, a_uuid, built, refusal

POLICY = a_uuid(50)
PROFILE = "xccdf_org.ssgproject.content_profile_cis"
TAILORING = '{\r\n  "b": "é ☃ \\u00e9",\t"a" : [ 1.0 ]\n}\n'
FILE = "/etc/osbuild/openscap-tailoring.json"
TAILORED = Answers(policy=Policy(POLICY, PROFILE, 9), tailoring=TAILORING)
PLAIN = Answers(policy=Policy(POLICY, PROFILE, 9))
OPENSCAP = {
    "profile_id": PROFILE,
    "policy_id": POLICY,
    "json_tailoring": {"profile_id": PROFILE, "filepath": FILE},
}


def a_request(name="rhel-9.8", **ours):
    return compose_request(distribution=name, customizations={"openscap": {"policy_id": POLICY}, **ours})


def sent(answers, name="rhel-9.8", **ours):
    return built(a_request(name, **ours), distribution=a_rhel(name), answers=answers)["customizations"]


def refused(answers, name="rhel-9.8"):
    return refusal(a_request(name), distribution=a_rhel(name), answers=answers)


def test_a_tailored_policy_is_its_profile_and_the_tailoring_as_a_file():
    assert sent(TAILORED) == {
        "openscap": OPENSCAP,
        "directories": [{"path": "/etc/osbuild"}],
        "files": [{"path": FILE, "data": TAILORING}],
    }


def test_the_directory_and_file_come_before_the_request_s_own():
    directories = [{"path": "/etc/a", "ensure_parents": False}, {"path": "/etc/osbuild", "ensure_parents": True}]
    files = [{"path": "/etc/a/x", "data": "x", "ensure_parents": False}]
    found = sent(TAILORED, directories=directories, files=files)
    assert found["directories"] == [{"path": "/etc/osbuild"}, *directories]
    assert found["files"] == [{"path": FILE, "data": TAILORING}, *files]


@pytest.mark.parametrize("text", ["{}", " {} ", "[]", '"\\u0000"', "x" * 100_000])
def test_the_tailoring_is_sent_as_it_came(text):
    assert sent(Answers(policy=PLAIN.policy, tailoring=text))["files"] == [{"path": FILE, "data": text}]


def test_a_policy_without_tailoring_is_its_profile():
    assert sent(PLAIN) == {"openscap": {"profile_id": PROFILE, "policy_id": POLICY}}


def test_without_tailoring_the_request_s_own_files_and_directories_stay():
    ours = {
        "directories": [{"path": "/etc/a", "ensure_parents": False}],
        "files": [{"path": "/x", "ensure_parents": True}],
    }
    assert sent(PLAIN, **ours) == {"openscap": {"profile_id": PROFILE, "policy_id": POLICY}, **ours}


@pytest.mark.parametrize(("name", "major"), [("rhel-84", 8), ("rhel-8.10", 8), ("rhel-9.8", 9), ("rhel-10.2", 10)])
def test_a_policy_fits_every_minor_version_of_its_major(name, major):
    answers = Answers(policy=Policy(POLICY, PROFILE, major))
    assert sent(answers, name)["openscap"]["profile_id"] == PROFILE


@pytest.mark.parametrize("answers", [TAILORED, PLAIN, Answers(policy=PLAIN.policy, tailoring_missing=True)])
@pytest.mark.parametrize("name", ["rhel-8.10", "rhel-84", "rhel-10.0"])
def test_a_policy_of_another_major_version_is_refused_by_its_name(name, answers):
    assert POLICY in refused(answers, name)


@pytest.mark.parametrize("tailoring_missing", [True, False])
def test_an_unknown_policy_is_refused_by_its_name(tailoring_missing):
    assert POLICY in refused(Answers(tailoring_missing=tailoring_missing))


def test_a_policy_without_tailoring_for_the_minor_version_is_refused_by_its_name():
    assert POLICY in refused(Answers(policy=PLAIN.policy, tailoring_missing=True))


def test_the_reasons_differ():
    other_major, unknown = refused(PLAIN, "rhel-8.10"), refused(Answers())
    tailoring_missing = refused(Answers(policy=PLAIN.policy, tailoring_missing=True))
    assert len({other_major, unknown, tailoring_missing}) == 3


@pytest.mark.parametrize("name", ["centos-9", "fedora-43", "rhel-9.8-nightly", "rhel-10-beta", "rhel-9"])
def test_a_policy_for_what_is_not_rhel_is_refused_by_its_name(name):
    assert POLICY in refusal(a_request(name), distribution=a_distribution(name), answers=TAILORED)


def test_a_policy_for_a_bootable_container_is_refused_by_its_name():
    request = compose_request(
        distribution=None, bootc={"reference": "r"}, customizations={"openscap": {"policy_id": POLICY}}
    )
    assert POLICY in refusal(request, bootc=(BootcImage("guest-image", "r"),), answers=TAILORED)
