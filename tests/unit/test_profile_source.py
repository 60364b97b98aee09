import json
from pathlib import Path

import pytest

from adapters.files.distribution_source import Alias, generate_documents, load_source, parse_source
from adapters.files.profile_source import (
    generate_profiles,
    load_profile_sets,
    parse_profile_sets,
    write_profiles,
)
from domain.errors import ConfigurationError
from tests.support.domain_builders import accept_customizations

COMMITTED = Path(__file__).parents[2] / "distributions"
CIS = "xccdf_org.ssgproject.content_profile_cis"
PREFIX = CIS.removesuffix("cis")
BENCHMARKS = {
    **dict.fromkeys(
        [f"anssi_bp28_{level}" for level in ("minimal", "intermediary", "enhanced", "high")], "by ANSSI-BP-028"
    ),
    **dict.fromkeys([f"ccn_{level}" for level in ("basic", "intermediate", "advanced")], "by the CCN-STIC guides"),
    **dict.fromkeys(["cis", "cis_server_l1", "cis_workstation_l1", "cis_workstation_l2"], "CIS Benchmark"),
    "cui": "by NIST SP 800-171",
    "e8": "by the Essential Eight",
    "hipaa": "by the Security Rule",
    "ism_o": "by the Information Security Manual",
    "ospp": "by the Protection Profile for General Purpose Operating Systems",
    "pci-dss": "by the Payment Card Industry Data Security Standard",
    "stig": "STIG for servers",
    "stig_gui": "STIG for systems with a graphical desktop",
}
LEVELS = {
    **{f"anssi_bp28_{level}": f"{level} level" for level in ("minimal", "intermediary", "enhanced", "high")},
    **{f"ccn_{level}": f"{level} level" for level in ("basic", "intermediate", "advanced")},
    "cis": "level 2 for servers",
    "cis_server_l1": "level 1 for servers",
    "cis_workstation_l1": "level 1 for workstations",
    "cis_workstation_l2": "level 2 for workstations",
    "ism_o": "level OFFICIAL",
}
ALL_OF_IT = {
    "name": "CIS",
    "description": "CIS of {major}",
    "filesystem": {"/home": "1 GiB", "/var": 4096},
    "kernel": "audit=1",
    "packages": ["aide", "sudo"],
    "enabled": ["auditd"],
    "masked": ["rpcbind"],
    "fips": True,
}


def a_source(profiles="el9", **fields):
    entry = {"description": "Test", "module_platform_id": "platform:el9", "profiles": profiles, "major": "9", **fields}
    return parse_source(
        {"keys": {}, "repositories": {}, "distributions": {"test-9": entry}, "aliases": {"test": "test-9"}}
    )


def expanded(template, profiles="el9", descriptions=None, **fields):
    sets = {"descriptions": descriptions or {}, "el9": {"cis": template}}
    return generate_profiles(a_source(profiles, **fields), parse_profile_sets(sets))


def description(template, **fields):
    (document,) = expanded(template, **fields).values()
    return document["openscap"]["profile_description"]


def committed():
    return generate_profiles(load_source(COMMITTED / "source.yaml"), load_profile_sets(COMMITTED / "oscap.yaml"))


def test_a_profile_is_written_out_as_customizations():
    assert expanded(ALL_OF_IT) == {
        ("test-9", CIS): {
            "openscap": {"profile_id": CIS, "profile_name": "CIS", "profile_description": "CIS of 9"},
            "filesystem": [{"mountpoint": "/home", "min_size": 2**30}, {"mountpoint": "/var", "min_size": 4096}],
            "kernel": {"append": "audit=1"},
            "packages": ["aide", "sudo"],
            "services": {"enabled": ["auditd"], "masked": ["rpcbind"]},
            "fips": {"enabled": True},
        }
    }


def test_a_profile_that_asks_for_nothing_says_so():
    (document,) = expanded({"name": "CIS", "description": "D"}).values()
    assert document == {
        "openscap": {"profile_id": CIS, "profile_name": "CIS", "profile_description": "D"},
        "kernel": {"append": ""},
    }


def test_an_empty_list_of_services_is_written_out_empty():
    (document,) = expanded({"name": "CIS", "description": "D", "enabled": []}).values()
    assert document["services"] == {"enabled": []}


def test_a_description_is_the_profile_s_own_or_that_of_all_sets():
    for_all = {"cis": "For all of {major}"}
    assert description({"name": "CIS"}, descriptions=for_all) == "For all of 9"
    assert description({"name": "CIS", "description": "Its own"}, descriptions=for_all) == "Its own"


def test_a_description_names_the_product_that_the_set_is_not_written_for():
    assert description(ALL_OF_IT, profiles_applied_to="Other Linux") == "CIS of 9 Applied to Other Linux."


@pytest.mark.parametrize(("template", "fault"), [({}, "cis: has no description"), ({"description": "{x}"}, "'{x}'")])
def test_a_description_that_is_missing_or_cannot_be_filled_in_is_refused_by_name(template, fault):
    with pytest.raises(ConfigurationError, match=f"test-9: .*{fault}"):
        expanded({"name": "CIS", **template})


def test_a_distribution_that_names_no_set_has_no_profiles():
    assert expanded(ALL_OF_IT, profiles=None) == {}


def test_an_unknown_set_is_named():
    with pytest.raises(ConfigurationError, match=r"test-9: profiles: unknown 'el7', expected one of el9"):
        expanded(ALL_OF_IT, profiles="el7")


@pytest.mark.parametrize(
    "fault",
    [
        {"name": None},
        {"description": 9},
        {"filesystem": {"/": "much"}},
        {"packages": "aide"},
        {"fips": "perhaps"},
        {"kernal": "x"},
    ],
    ids=str,
)
def test_a_slip_of_the_pen_is_refused_by_field(fault):
    with pytest.raises(ConfigurationError) as caught:
        parse_profile_sets({"el9": {"cis": ALL_OF_IT | fault}}, "oscap.yaml")
    assert caught.value.detail.startswith("oscap.yaml: ")
    assert next(iter(fault)) in caught.value.detail


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_source_that_cannot_be_used_is_named(tmp_path, text):
    path = tmp_path / "oscap.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"oscap\.yaml: "):
        load_profile_sets(path)


def test_only_what_has_changed_is_written(tmp_path):
    documents = expanded(ALL_OF_IT)
    (path,) = write_profiles(documents, tmp_path)
    assert json.loads(path.read_text()) == documents["test-9", CIS]
    assert path == tmp_path / "test-9" / "oscap" / CIS / "customizations.json"
    assert write_profiles(documents, tmp_path) == ()


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "test-9").write_text("in the way")
    with pytest.raises(ConfigurationError, match="test-9"):
        write_profiles(expanded(ALL_OF_IT), tmp_path)


def test_the_committed_profiles_are_exactly_what_the_source_expands_to():
    links = {
        name for name, d in generate_documents(load_source(COMMITTED / "source.yaml")).items() if isinstance(d, Alias)
    }
    found = {
        (path.parts[-4], path.parts[-2]): json.loads(path.read_text())
        for path in COMMITTED.glob("*/oscap/*/*")
        if path.parts[-4] not in links
    }
    assert found == committed()


def test_every_committed_profile_describes_benchmark_product_and_level():
    distributions = load_source(COMMITTED / "source.yaml").distributions
    for (name, profile_id), document in committed().items():
        said = document["openscap"]["profile_description"]
        product = f"Red Hat Enterprise Linux {distributions[name].values['major']} "
        assert said.startswith(product + BENCHMARKS[profile_id.removeprefix(PREFIX)]), (name, profile_id)
        assert LEVELS.get(profile_id.removeprefix(PREFIX), "") in said, (name, profile_id)
        assert said.endswith(" Applied to CentOS Stream 9.") == (name == "centos-9")


def test_the_committed_profiles_fit_the_contract_and_name_themselves():
    for (name, profile_id), document in committed().items():
        assert accept_customizations(document) == document, name
        assert document["openscap"]["profile_id"] == profile_id


@pytest.mark.parametrize(
    ("distribution", "count"),
    [
        ("centos-9", 19),
        ("centos-10", 0),
        ("fedora-43", 0),
        ("hummingbird", 0),
        ("rhel-84", 16),
        ("rhel-8.10", 16),
        ("rhel-8-nightly", 16),
        ("rhel-90", 0),
        ("rhel-91", 19),
        ("rhel-9.8", 19),
        ("rhel-9-beta", 19),
        ("rhel-9.9-nightly", 19),
        ("rhel-10.2", 14),
        ("rhel-10-beta", 0),
    ],
)
def test_every_distribution_has_the_profiles_there_is_data_for(distribution, count):
    assert len([name for name, _ in committed() if name == distribution]) == count


def test_a_release_differs_where_its_data_does():
    el8, last = (committed()[name, PREFIX + "cui"] for name in ("rhel-89", "rhel-8.10"))
    assert el8["fips"] == {"enabled": True}
    assert "fips" not in last
