"""OpenSCAP profiles in a distribution directory."""

import json

import pytest

from adapters.files.distributions import find_problems, load_distributions
from adapters.files.profiles import load_profiles
from domain.errors import ConfigurationError
from tests.support.domain_builders import accept_customizations

CIS = {"openscap": {"profile_id": "cis"}, "packages": ["aide"], "users": [{"name": "admin"}]}
FAULTS = [
    ("nonsense", "Not JSON"),
    ("[]", "Expected an object."),
    ('{"packages": ["aide", 7]}', "packages[1]: "),
    ('{"filesystem": [{"mountpoint": "/", "min_size": -1}]}', "filesystem[0].min_size: "),
    ('{"openscap": {"profile_id": 7}}', "openscap.profile_id: "),
]


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "test-9").mkdir()
    names = {"name": "test-9", "description": "Test 9", "no_package_list": True}
    document = {"module_platform_id": "platform:el9", "distribution": names}
    (tmp_path / "test-9" / "test-9.json").write_text(json.dumps(document))
    return tmp_path


def put(directory, document=CIS, profile="cis", folder="test-9"):
    path = directory / folder / "oscap" / profile / "customizations.json"
    path.parent.mkdir(parents=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def loaded(directory):
    return load_profiles(directory, load_distributions(directory), accept_customizations)


def check(directory):
    return find_problems(directory, accept_customizations)


def test_the_customizations_of_a_profile_are_read_completely(directory):
    put(directory)
    assert loaded(directory) == {("test-9", "cis"): CIS}


def test_the_folders_in_oscap_are_the_profiles_sorted_by_id(directory):
    for profile in ("stig", "cis", ".hidden"):
        put(directory, profile=profile)
    (directory / "test-9" / "oscap" / "empty").mkdir()
    (directory / "test-9" / "oscap" / "README").write_text("no folder")
    assert load_distributions(directory)["test-9"].profiles == ("cis", "empty", "stig")
    assert sorted(loaded(directory)) == [("test-9", "cis"), ("test-9", "stig")]


def test_an_alias_has_its_target_s_profiles(directory):
    put(directory)
    (directory / "test").symlink_to("test-9")
    assert load_distributions(directory)["test"].profiles == ("cis",)
    assert loaded(directory) == {("test-9", "cis"): CIS, ("test", "cis"): CIS}


def test_an_alias_to_a_folder_outside_the_directory_has_profiles(directory, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (directory / "test-9").rename(outside / "test-9")
    put(outside)
    (directory / "test").symlink_to(outside / "test-9")
    assert loaded(directory) == {("test", "cis"): CIS}


def test_a_linked_profile_folder_is_a_profile(directory):
    put(directory)
    (directory / "test-9" / "oscap" / "cis-alias").symlink_to("cis")
    assert loaded(directory)["test-9", "cis-alias"] == CIS


def test_unknown_keys_are_ignored(directory):
    put(directory, {**CIS, "of_the_future": 1})
    assert loaded(directory)["test-9", "cis"] == CIS


def test_null_is_the_same_as_absent(directory):
    put(directory, {**CIS, "kernel": None, "services": {"masked": ["rpcbind"], "disabled": None}})
    assert loaded(directory)["test-9", "cis"] == {**CIS, "services": {"masked": ["rpcbind"]}}


def test_empty_lists_are_kept(directory):
    document = {**CIS, "groups": [], "services": {"enabled": [], "disabled": [], "masked": []}}
    put(directory, document)
    assert loaded(directory)["test-9", "cis"] == document


@pytest.mark.parametrize("alias", [False, True])
@pytest.mark.parametrize(("text", "fault"), FAULTS)
def test_an_invalid_file_stops_the_start_with_file_and_field_named_once(directory, text, fault, alias):
    path = put(directory, text)
    if alias:
        (directory / "test").symlink_to("test-9")
    with pytest.raises(ConfigurationError) as caught:
        loaded(directory)
    (line,) = caught.value.detail.splitlines()
    assert line.startswith(f"{path}: {fault}")


@pytest.mark.parametrize(("text", "fault"), FAULTS)
def test_the_check_reports_an_invalid_file_like_the_start(directory, text, fault):
    path = put(directory, text)
    (problem,) = check(directory)
    assert problem.level == "error"
    assert str(problem).startswith(f"{path}: {fault}")


def test_every_invalid_file_is_named(directory):
    paths = [put(directory, "{", profile) for profile in ("cis", "stig")]
    with pytest.raises(ConfigurationError) as caught:
        loaded(directory)
    assert all(str(path) in caught.value.detail for path in paths)


def test_a_file_without_openscap_and_a_missing_file_give_warnings(directory):
    path = put(directory, {"packages": ["aide"]})
    (directory / "test-9" / "oscap" / "empty").mkdir()
    assert [(problem.level, problem.where) for problem in check(directory)] == [
        ("warning", str(path)),
        ("warning", str(path.parents[1] / "empty" / "customizations.json")),
    ]


def test_valid_profiles_give_no_problems(directory):
    put(directory)
    assert check(directory) == []
