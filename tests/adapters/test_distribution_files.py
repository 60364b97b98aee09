import json
import shutil
from pathlib import Path

import pytest

from adapters.files.distributions import find_problems, load_allow_list, load_distributions
from domain.distributions import AllowList, BootcImage, Repository
from domain.errors import ConfigurationError
from tests.support.domain_builders import accept_customizations

COMMITTED = Path(__file__).parents[2] / "distributions"


def a_document(name="test-9", **fields):
    return {
        "module_platform_id": "platform:el9",
        "distribution": {"name": name, "description": "Test 9"},
        "x86_64": {"image_types": ["aws"], "repositories": [a_repository()]},
    } | fields


def a_repository(**fields):
    return {"id": "baseos", "baseurl": "https://mirror/baseos", "rhsm": False} | fields


def with_repository(**fields):
    return a_document(x86_64={"repositories": [a_repository(**fields)]})


def without(key, document):
    return {k: v for k, v in document.items() if k != key}


@pytest.fixture
def directory(tmp_path):
    folder = tmp_path / "distributions"
    folder.mkdir()
    return folder


def put(directory, document, name="test-9"):
    (directory / name).mkdir(exist_ok=True)
    text = document if isinstance(document, str) else json.dumps(document)
    path = directory / name / f"{name}.json"
    path.write_text(text)
    return path


def found(directory):
    return find_problems(directory, accept_customizations)


def refusal(directory):
    with pytest.raises(ConfigurationError) as caught:
        load_distributions(directory)
    return caught.value.detail


def test_a_file_is_read_completely_and_in_order(directory):
    document = a_document(
        oscap_name="rhel9",
        distribution={
            "name": "test-9",
            "composer_name": "test-9.0",
            "description": "Test 9",
            "restricted_access": True,
            "no_package_list": True,
        },
        aarch64={
            "image_types": ["openstack", "iot-commit"],
            "repositories": [
                a_repository(baseurl=None, metalink="https://metalink", rhsm=True),
                a_repository(id="google", gpgkey="KEY", check_gpg=True, image_type_tags=["gcp"]),
            ],
            "bootc": [{"type": "iso", "reference": "quay.io/a", "iso_payload_references": ["quay.io/b"]}],
        },
    )
    put(directory, dict(reversed(document.items())))
    distribution = load_distributions(directory)["test-9"]
    assert (distribution.description, distribution.oscap_name) == ("Test 9", "rhel9")
    assert (distribution.composer_name, distribution.module_platform_id) == ("test-9.0", "platform:el9")
    assert distribution.restricted
    assert distribution.no_package_list
    assert list(distribution.architectures) == ["x86_64", "aarch64"]
    aarch64 = distribution.architecture("aarch64")
    assert aarch64.image_types == ("openstack", "iot-commit")
    assert aarch64.repositories == (
        Repository("baseos", rhsm=True, metalink="https://metalink"),
        Repository("google", False, "https://mirror/baseos", None, "KEY", True, ("gcp",)),
    )
    assert aarch64.bootc == (BootcImage("iso", "quay.io/a", ("quay.io/b",)),)


def test_a_file_may_omit_all_optional_keys(directory):
    put(directory, without("x86_64", a_document()))
    distribution = load_distributions(directory)["test-9"]
    assert distribution.architectures == {}
    assert not distribution.restricted
    assert distribution.oscap_name is None


def test_null_in_an_optional_key_is_the_same_as_absence(directory):
    repository = a_repository(metalink=None, gpgkey=None, check_gpg=None, image_type_tags=None)
    architecture = {"image_types": None, "repositories": [repository], "bootc": None}
    put(directory, a_document(oscap_name=None, aarch64=None, x86_64=architecture))
    distribution = load_distributions(directory)["test-9"]
    assert list(distribution.architectures) == ["x86_64"]
    assert distribution.architectures["x86_64"].image_types == ()


def test_unknown_keys_are_ignored(directory):
    put(directory, a_document(s390x={"image_types": 1}, x86_64={"packages": []}, comment="hello"))
    assert list(load_distributions(directory)["test-9"].architectures) == ["x86_64"]


def test_a_linked_folder_is_an_alias_with_the_name_of_the_link(directory):
    put(directory, a_document())
    (directory / "test").symlink_to("test-9")
    (directory / "test-latest").symlink_to("test")
    distributions = load_distributions(directory)
    assert sorted(distributions) == ["test", "test-9", "test-latest"]
    assert {(d.name, d.canonical_name) for d in distributions.values()} == {
        ("test", "test-9"),
        ("test-9", "test-9"),
        ("test-latest", "test-9"),
    }


def test_a_file_with_the_name_of_a_folder_is_an_alias(directory):
    put(directory, a_document())
    (directory / "test").write_text("test-9\n")
    (directory / "README").write_text("How to use this directory\n")
    (directory / "other").write_text("no-such-folder")
    found_distributions = load_distributions(directory)
    assert sorted(found_distributions) == ["test", "test-9"]
    assert found_distributions["test"].canonical_name == "test-9"
    assert [problem for problem in found(directory) if problem.level == "error"] == []


def test_the_target_of_an_alias_may_be_outside_the_directory(directory, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    put(tmp_path / "elsewhere", a_document())
    (directory / "test").symlink_to(tmp_path / "elsewhere" / "test-9")
    assert load_distributions(directory)["test"].canonical_name == "test-9"


def test_plain_files_and_hidden_folders_are_ignored(directory):
    put(directory, a_document())
    (directory / "source.yaml").write_text("not: read")
    (directory / ".git").mkdir()
    (directory / ".gone").symlink_to("nowhere")
    assert list(load_distributions(directory)) == ["test-9"]


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (with_repository(baseurl=None), "x86_64.repositories[0].baseurl: Expected exactly one"),
        (with_repository(metalink="https://m"), "x86_64.repositories[0].baseurl: Expected exactly one"),
        (with_repository(baseurl=""), "x86_64.repositories[0].baseurl: Expected exactly one"),
        (with_repository(baseurl=5), "x86_64.repositories[0].baseurl: Not a valid string."),
        (with_repository(rhsm=None), "x86_64.repositories[0].rhsm: Field may not be null."),
        (with_repository(rhsm="true"), "x86_64.repositories[0].rhsm: Not a valid boolean."),
        (with_repository(check_gpg=1), "x86_64.repositories[0].check_gpg: Not a valid boolean."),
        (with_repository(id=""), "x86_64.repositories[0].id: May not be empty."),
        (
            with_repository(image_type_tags=["gcp", 1]),
            "repositories[0].image_type_tags[1]: Not a valid string.",
        ),
        (a_document(x86_64={"repositories": ["baseos"]}), "x86_64.repositories[0]: Invalid input type."),
        (a_document(x86_64=[]), "x86_64: Invalid input type."),
        (a_document(aarch64={"image_types": "aws"}), "aarch64.image_types: Not a valid list."),
        (a_document(aarch64={"bootc": [{"type": "aws"}]}), "aarch64.bootc[0].reference: Missing data"),
        (a_document(distribution={"description": ""}), "distribution.name: Missing data"),
        (a_document(distribution={"name": "test-9"}), "distribution.description: Missing data"),
        (a_document(distribution=None), "distribution: Field may not be null."),
        (without("module_platform_id", a_document()), "module_platform_id: Missing data"),
        ([], "Invalid input type."),
        ("{", "Not JSON"),
        ("[" * 100_000, "Not JSON"),
    ],
)
def test_the_error_about_an_invalid_file_names_file_and_field(directory, document, fault):
    path = put(directory, document)
    told = refusal(directory)
    assert told.startswith(f"{path}: ")
    assert fault in told
    assert len(told.splitlines()) == 1


def test_a_file_that_is_not_utf8_is_not_json(directory):
    path = put(directory, "")
    path.write_bytes(b"\xff\xfe{")
    assert refusal(directory).startswith(f"{path}: Not JSON")


def test_all_faults_of_all_files_are_reported_together(directory):
    first = put(directory, with_repository(rhsm=None, baseurl=None))
    second = put(directory, "nonsense", "test-8")
    (directory / "test").symlink_to("test-9")
    lines = refusal(directory).splitlines()
    assert len(lines) == 3
    assert sum(str(first) in line for line in lines) == 2
    assert sum(str(second) in line for line in lines) == 1


def test_a_folder_without_its_file_is_an_error(directory):
    put(directory, a_document())
    (directory / "test-8").mkdir()
    assert refusal(directory).startswith(f"{directory / 'test-8' / 'test-8.json'}: cannot be read")


@pytest.mark.parametrize("target", ["nowhere", "test"])
def test_a_link_without_a_target_or_to_itself_is_named(directory, target):
    put(directory, a_document())
    (directory / "test").symlink_to(target)
    assert refusal(directory) == f"{directory / 'test'}: a symbolic link whose target does not exist"


def test_a_directory_must_exist_and_contain_a_distribution(directory):
    assert refusal(directory) == f"{directory}: contains no distribution"
    (directory / "README").write_text("hello")
    assert refusal(directory) == f"{directory}: contains no distribution"
    assert str(directory / "README") in refusal(directory / "README")
    assert str(directory / "gone") in refusal(directory / "gone")


@pytest.mark.parametrize("alias", [False, True])
def test_the_check_reports_an_invalid_package_list_as_one_error(directory, alias):
    put(directory, a_document())
    path = directory / "test-9" / "test-9-x86_64-baseos-packages.json"
    path.write_text('[{"name": "bash", "summary": "a shell"}, {"name": "zsh"}]')
    if alias:
        (directory / "test").symlink_to("test-9")
    assert list(map(str, found(directory))) == [f"{path}: [1].summary: Expected text."]


def test_the_check_reports_no_problem_for_a_valid_package_list(directory):
    put(directory, a_document())
    (directory / "test-9" / "test-9-x86_64-baseos-packages.json").write_text('[{"name": "a", "summary": ""}]')
    assert found(directory) == []


def test_missing_package_lists_give_one_warning_for_a_distribution_and_none_for_its_alias(directory):
    tagged = a_repository(id="google", image_type_tags=["gcp"])
    architecture = {"repositories": [a_repository(), a_repository(id="appstream"), tagged]}
    put(directory, a_document(x86_64=architecture))
    (directory / "test").symlink_to("test-9")
    (warning,) = found(directory)
    assert (warning.level, warning.where) == ("warning", str(directory / "test-9"))
    assert "x86_64 baseos, x86_64 appstream:" in warning.what


def test_a_distribution_that_has_no_package_list_gives_no_warning(directory):
    names = {"name": "test-9", "description": "", "no_package_list": True}
    put(directory, a_document(distribution=names))
    assert found(directory) == []


def test_errors_come_before_warnings(directory):
    put(directory, a_document())
    put(directory, "nonsense", "test-8")
    assert [p.level for p in found(directory)] == ["error", "warning"]
    assert str(found(directory)[0]).startswith(f"{directory / 'test-8' / 'test-8.json'}: Not JSON")


def a_copy_of_the_committed(directory, name):
    shutil.copytree(COMMITTED / name, directory / name)
    shutil.copy(COMMITTED / "source.yaml", directory)
    path = directory / name / f"{name}.json"
    document = json.loads(path.read_text())
    document["distribution"]["no_package_list"] = True
    return path, document


def test_the_address_of_one_of_several_signing_keys_gives_a_warning_until_the_keys_are_fetched(directory):
    path, document = a_copy_of_the_committed(directory, "rhel-10.0")
    for gpgkey, count in [("https://keys/first", 1), ("-----BEGIN PGP PUBLIC KEY BLOCK-----", 0)]:
        for arch in ("x86_64", "aarch64"):
            for repository in document[arch]["repositories"]:
                repository["gpgkey"] = gpgkey
        path.write_text(json.dumps(document))
        assert len(found(directory)) == count


def test_the_address_of_a_single_signing_key_gives_no_warning(directory):
    path, document = a_copy_of_the_committed(directory, "rhel-10.2")
    path.write_text(json.dumps(document))
    assert found(directory) == []


def test_an_invalid_source_file_is_an_error_for_the_check_only(directory):
    put(directory, a_document(distribution={"name": "test-9", "description": "", "no_package_list": True}))
    (directory / "source.yaml").write_text("keys: 1")
    assert "test-9" in load_distributions(directory)
    (error,) = found(directory)
    assert (error.level, error.where) == ("error", str(directory / "source.yaml"))


def test_the_committed_directory_has_no_errors():
    assert len(load_distributions(COMMITTED)) == 45
    assert [p for p in found(COMMITTED) if p.level == "error"] == []


def test_without_an_allow_list_no_organization_is_allowed_anything():
    assert load_allow_list(None) == AllowList()


def test_an_allow_list_is_read_with_its_patterns_in_order(tmp_path):
    path = tmp_path / "allow.json"
    path.write_text('{"000001": ["fedora-.*", "^rhel-9"], "*": [], "value": ["x"]}')
    patterns = load_allow_list(path).patterns
    assert [p.pattern for p in patterns["000001"]] == ["fedora-.*", "^rhel-9"]
    assert patterns["*"] == ()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "Not JSON"),
        ("[]", "Not a valid mapping type."),
        ('{"1": "fedora"}', "1: Not a valid list."),
        ('{"1": null}', "1: Field may not be null."),
        ('{"1": ["fedora", 5]}', "1[1]: Not a valid string."),
        ('{"1": ["fedora", "("]}', "1[1]: Not a regular expression"),
        ('{"*": ["a{99999999999999999999}"]}', "*[0]: Not a regular expression"),
    ],
)
def test_the_error_about_an_invalid_allow_list_names_file_and_entry(tmp_path, content, fault):
    path = tmp_path / "allow.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        load_allow_list(path)
    assert caught.value.detail.startswith(f"{path}: {fault}")


def test_a_missing_allow_list_stops_the_start(tmp_path):
    with pytest.raises(ConfigurationError, match=r"allow\.json: cannot be read"):
        load_allow_list(tmp_path / "allow.json")
