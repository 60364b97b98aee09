import json
from pathlib import Path

import pytest

from adapters.files.distribution_source import (
    Alias,
    generate_documents,
    keyrings_by_repository,
    load_source,
    parse_source,
    write_documents,
)
from domain.errors import ConfigurationError

COMMITTED = Path(__file__).parents[2] / "distributions"
FINGERPRINT = "A" * 40


def a_source(entry=None, *, repositories=None, aliases=None):
    repository = {"id": "baseos", "baseurl": "https://mirror/{cdn}/{arch}", "rhsm": True, "keys": "{keys}"}
    given = {
        "description": "Test {major}",
        "module_platform_id": "platform:el{major}",
        "major": "9",
        "version": "9.4",
        "cdn": "{version}",
        "keys": "ours",
        "image_types": {"x86_64": ["aws", "gcp"]},
        "repositories": ["base"],
    }
    return {
        "keys": {"ours": {"addresses": ["https://keys.example.com/ours"], "fingerprints": [FINGERPRINT]}},
        "repositories": {"base": repositories or [repository]},
        "distributions": {"test-94": given | (entry or {})},
        "aliases": aliases or {},
    }


def expanded(*args, **kwargs):
    return generate_documents(parse_source(a_source(*args, **kwargs)))["test-94"]


def test_placeholders_are_filled_in_and_absent_things_left_out():
    assert expanded() == {
        "module_platform_id": "platform:el9",
        "distribution": {"name": "test-94", "description": "Test 9"},
        "x86_64": {
            "image_types": ["aws", "gcp"],
            "repositories": [
                {
                    "id": "baseos",
                    "baseurl": "https://mirror/9.4/x86_64",
                    "rhsm": True,
                    "gpgkey": "https://keys.example.com/ours",
                    "check_gpg": True,
                }
            ],
        },
    }


def test_a_repository_without_keys_has_no_gpgkey():
    unsigned = {"id": "google", "baseurl": "https://mirror", "check_gpg": False, "tags": ["gcp"]}
    (repository,) = expanded(repositories=[unsigned])["x86_64"]["repositories"]
    assert repository == {
        "id": "google",
        "baseurl": "https://mirror",
        "rhsm": False,
        "check_gpg": False,
        "image_type_tags": ["gcp"],
    }


def test_a_repository_appears_on_its_architectures_only():
    only_x86_64 = {"id": "google", "baseurl": "https://mirror", "arches": ["x86_64"]}
    image_types = {"x86_64": ["aws"], "aarch64": ["aws"]}
    document = expanded({"image_types": image_types}, repositories=[only_x86_64])
    assert len(document["x86_64"]["repositories"]) == 1
    assert document["aarch64"]["repositories"] == []


def test_the_signers_are_known_by_distribution_architecture_and_repository():
    keyrings = keyrings_by_repository(parse_source(a_source()))
    assert keyrings["test-94", "x86_64", "baseos"].fingerprints == (FINGERPRINT,)
    assert len(keyrings) == 1


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"keys": "theirs"}, "test-94: baseos: keys: unknown 'theirs', expected one of ours"),
        ({"repositories": ["bsae"]}, "test-94: repositories: unknown 'bsae', expected one of base"),
        ({"description": "Test {minor}"}, "test-94: cannot fill in 'Test {minor}'"),
        ({"descriptoin": "Test"}, "descriptoin"),
        ({"version": 9.4}, "version"),
        ({"image_types": {"s390x": ["aws"]}}, "s390x"),
    ],
)
def test_a_slip_in_the_source_is_named(entry, named):
    with pytest.raises(ConfigurationError, match=named):
        expanded(entry)


@pytest.mark.parametrize("aliases", [{"test-9": "test-95"}, {"test-94": "test-94"}])
def test_an_alias_needs_a_target_and_a_name_of_its_own(aliases):
    with pytest.raises(ConfigurationError, match="aliases"):
        parse_source(a_source(aliases=aliases))


@pytest.mark.parametrize("content", ["{", "[]", "a: \x00"])
def test_a_source_that_cannot_be_read_names_the_file(tmp_path, content):
    path = tmp_path / "source.yaml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"source\.yaml: "):
        load_source(path)
    with pytest.raises(ConfigurationError, match=r"missing\.yaml: "):
        load_source(tmp_path / "missing.yaml")


def test_writing_makes_folders_and_links_and_the_second_time_nothing(tmp_path):
    documents = generate_documents(parse_source(a_source(aliases={"test-9": "test-94"})))
    assert [p.name for p in write_documents(documents, tmp_path)] == ["test-94", "test-9"]
    text = (tmp_path / "test-9" / "test-94.json").read_text()
    assert text == json.dumps(documents["test-94"], indent=2) + "\n"
    assert str((tmp_path / "test-9").readlink()) == "test-94"
    assert write_documents(documents, tmp_path) == ()
    assert sorted(p.name for p in (tmp_path / "test-94").iterdir()) == ["test-94.json"]


def test_writing_turns_a_link_to_its_new_target(tmp_path):
    (tmp_path / "test-9").symlink_to("test-93")
    write_documents({"test-9": Alias("test-94")}, tmp_path)
    assert str((tmp_path / "test-9").readlink()) == "test-94"


def test_writing_does_not_replace_a_folder_by_a_link(tmp_path):
    (tmp_path / "test-9").mkdir()
    with pytest.raises(ConfigurationError, match="test-9"):
        write_documents({"test-9": Alias("test-94")}, tmp_path)


def with_addresses(document, original):
    """The committed document with the keys `fetch-keys` put in turned back into the source's addresses."""
    for arch in {"x86_64", "aarch64"} & document.keys():
        pairs = zip(document[arch].get("repositories", []), original[arch].get("repositories", []), strict=True)
        for repository, expected in pairs:
            if repository.get("gpgkey", "").startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----"):
                repository["gpgkey"] = expected["gpgkey"]
    return document


def test_the_committed_folders_are_exactly_what_the_source_expands_to():
    documents = generate_documents(load_source(COMMITTED / "source.yaml"))
    assert {p.name for p in COMMITTED.iterdir() if p.is_dir()} == set(documents)
    for name, document in documents.items():
        if not isinstance(document, Alias):
            committed = json.loads((COMMITTED / name / f"{name}.json").read_text())
            assert with_addresses(committed, document) == document


def test_the_committed_aliases_are_links():
    documents = generate_documents(load_source(COMMITTED / "source.yaml"))
    aliases = {name: d.target for name, d in documents.items() if isinstance(d, Alias)}
    assert aliases == {"rhel-8": "rhel-8.10", "rhel-9": "rhel-9.8", "rhel-10": "rhel-10.2"}
    assert {p.name: str(p.readlink()) for p in COMMITTED.iterdir() if p.is_symlink()} == aliases
