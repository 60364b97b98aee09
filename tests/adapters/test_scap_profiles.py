"""Profiles of SCAP source datastreams are translated to customizations."""

import bz2
import gzip
import lzma

import pytest

from adapters.scap.customizations import ProfileReader
from adapters.scap.datastream import parse_datastream, read_datastream
from domain.errors import ConfigurationError, UnavailableError
from tests.support.scap import (
    AIDE,
    CIS,
    PREFIX,
    STIG,
    a_datastream,
    a_group,
    a_profile,
    a_reference,
    a_rule,
    a_value,
)

KERNEL = '[customizations.kernel]\nappend = "{}"'
SERVICES = "[customizations.services]\n"


def read_document(datastream, profile=CIS):
    (benchmark,) = parse_datastream([datastream])
    return ProfileReader(benchmark).customizations(profile)


def read(*content, profile=CIS):
    document = read_document(a_datastream(*content), profile)
    del document["openscap"]
    return document


def openscap(*content, profile=CIS):
    return read_document(a_datastream(*content), profile)["openscap"]


def fixed(*fixes):
    """The requirements of a profile with rules with these fixes."""
    names = [f"r{number}" for number in range(len(fixes))]
    return read(a_profile("cis", *names), *map(a_rule, names, fixes))


def selected(*more, inner=""):
    return read(a_profile("cis", inner=inner), a_rule("other"), *more)


def select(idref, yes):
    return f'<x:select idref="{PREFIX}{idref}" selected="{yes}"/>'


# Names


def test_title_and_description_become_name_and_description_of_the_profile():
    found = openscap(a_profile(title=" CIS \n Level 1 ", description=" One\n line.\n\n \n Second\tparagraph. "))
    assert found == {
        "profile_id": CIS,
        "profile_name": "CIS Level 1",
        "profile_description": "One line.\n\nSecond paragraph.",
    }


def test_markup_in_a_description_is_removed():
    found = openscap(a_profile(description="See <html:code>sshd</html:code>,<html:br/> and others."))
    assert found["profile_description"] == "See sshd, and others."


def test_a_profile_without_a_description_has_none():
    assert openscap(a_profile()) == {"profile_id": CIS, "profile_name": "CIS"}


# What rules ask for


def test_each_kind_of_fix_is_translated():
    services = SERVICES + 'enabled = ["auditd"]\ndisabled = ["kdump"]\nmasked = ["rpcbind"]'
    home = '[[customizations.filesystem]]\nmountpoint = "/home"\nsize = 1073741824'
    assert fixed(AIDE, services, home, KERNEL.format("audit=1"), "[customizations]\nfips = true") == {
        "filesystem": [{"mountpoint": "/home", "min_size": 2**30}],
        "kernel": {"append": "audit=1"},
        "packages": ["aide"],
        "services": {"enabled": ["auditd"], "disabled": ["kdump"], "masked": ["rpcbind"]},
        "fips": {"enabled": True},
    }


def test_repeated_requirements_of_several_rules_occur_once_in_the_order_of_the_rules():
    sudo = AIDE.replace("aide", "sudo")
    crond, auditd = (SERVICES + f'enabled = ["{name}"]' for name in ("crond", "auditd"))
    kernel = (KERNEL.format("audit=1 pti=on"), KERNEL.format("mce=0 audit=1"))
    assert fixed(sudo, AIDE, sudo, crond, auditd, crond, *kernel) == {
        "kernel": {"append": "audit=1 pti=on mce=0"},
        "packages": ["sudo", "aide"],
        "services": {"enabled": ["crond", "auditd"]},
    }


def test_the_largest_of_several_sizes_of_a_mount_point_is_used():
    small, large = (f'[[customizations.filesystem]]\nmountpoint = "/var"\nsize = {size}' for size in (1024, 4096))
    assert fixed(large, small)["filesystem"] == [{"mountpoint": "/var", "min_size": 4096}]


def test_a_profile_without_requirements_has_only_its_name_and_description():
    assert read(a_profile("cis", "shell"), a_rule("shell", "echo 1", system="urn:xccdf:fix:script:sh")) == {}


def test_ignored_keys_are_listed():
    fix = AIDE + '[customizations]\nhostname = "h"\nsurprise = 1'
    (benchmark,) = parse_datastream([a_datastream(a_profile("cis", "r"), a_rule("r", fix))])
    reader = ProfileReader(benchmark)
    assert reader.customizations(CIS)["packages"] == ["aide"]
    assert reader.ignored == {"hostname", "customizations.surprise"}


# Which rules are selected


@pytest.mark.parametrize(
    ("rule", "group", "selects", "expected"),
    [
        ("false", "", "", False),
        ("true", "", "", True),
        ("false", "", select("rule_aide", "true"), True),
        ("true", "", select("rule_aide", "false"), False),
        ("true", 'selected="false"', "", False),
        ("true", 'selected="false"', select("group_outer", "true"), True),
        ("true", "", select("group_outer", "false"), False),
        ("false", "", select("rule_aide", "1") + select("group_outer", "0"), False),
        ("false", "", select("rule_aide", "false") + select("rule_aide", "true"), True),
    ],
)
def test_a_rule_applies_if_it_and_all_its_groups_are_selected(rule, group, selects, expected):
    inner = a_group("inner", a_rule("aide", selected=rule))
    found = selected(a_group("outer", a_rule("beside"), inner, attributes=group), inner=selects)
    assert found == ({"packages": ["aide"]} if expected else {})


def test_a_profile_inherits_from_the_extended_profile_and_may_override_it():
    level1 = a_profile("cis", "aide", "sudo", title="Level 1", description="The first")
    level2 = a_profile("stig", title="Level 2", inner=select("rule_sudo", "false"), attributes=f'extends="{CIS}"')
    rules = a_rule("aide"), a_rule("sudo", AIDE.replace("aide", "sudo"))
    assert read(level2, level1, *rules, profile=STIG) == {"packages": ["aide"]}
    assert openscap(level2, level1, *rules, profile=STIG) == {
        "profile_id": STIG,
        "profile_name": "Level 2",
        "profile_description": "The first",
    }


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("", "l1tf=flush"),
        (f'<x:refine-value idref="{PREFIX}value_l1tf" selector="full"/>', "l1tf=full,force"),
        (f'<x:set-value idref="{PREFIX}value_l1tf">off</x:set-value>', "l1tf=off"),
    ],
)
def test_values_in_fixes_are_those_that_the_profile_selects(inner, expected):
    value = a_value("l1tf", default="flush", full="full,force")
    rule = a_rule("l1tf", KERNEL.format(f"l1tf={a_reference('l1tf')}"))
    found = read(a_profile("cis", "l1tf", inner=inner), a_group("kernel", value, rule))
    assert found == {"kernel": {"append": expected}}


# What is refused

SOUND = a_profile("cis", "aide") + a_rule()
REFUSED = {
    "no XML": (b"nonsense", "not XML"),
    "nothing": (b"", "not XML"),
    "cut off": (a_datastream(SOUND)[:-30], "not XML"),
    "another document": (b"<html/>", "no SCAP source datastream"),
    "a document type": (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "declares a document type"),
    "no benchmark": (b"<data-stream-collection/>", "no profiles"),
    "no profiles": (a_datastream(a_rule()), "no profiles"),
    "a profile twice": (a_datastream(a_profile(), a_profile()), f"two with the id {CIS}"),
    "a rule twice": (a_datastream(SOUND, a_rule()), "two with the id"),
    "a rule without an id": (a_datastream(SOUND, "<x:Rule/>"), "a Rule without an id"),
    "many profiles": (a_datastream(*(a_profile(f"p{number}") for number in range(201))), "more than 200 profiles"),
    "depth": (a_datastream(SOUND, "<x:a>" * 70, "</x:a>" * 70), "nested more than 64 deep"),
    "a long title": (a_datastream(a_profile(title="x" * 70_000)), "longer than 65536 characters"),
    "long names": (
        a_datastream(SOUND, *(f"<a{'b' * 100_000}{number}/>" for number in range(50))),
        "names of elements and attributes have more than",
    ),
    "a control character": (a_datastream(a_profile(title="a\x01b")), "not XML"),
    "a control character that XML allows": (a_datastream(a_profile(title="a\x9bb")), "control characters"),
    "a reversed description": (a_datastream(a_profile(description="a\u202eb")), "control characters"),
    "no title": (a_datastream(a_profile(title=" ")), f"{CIS} has no title"),
    "an unknown rule": (a_datastream(a_profile("cis", "gone")), f"{CIS} selects {PREFIX}rule_gone, which"),
    "an unknown profile": (a_datastream(a_profile(attributes='extends="gone"')), f"{CIS} extends gone, which"),
    "a circle": (a_datastream(a_profile(attributes=f'extends="{CIS}"')), f"{CIS} extends itself"),
    "an unknown value": (
        a_datastream(a_profile("cis", "aide"), a_rule(fix=a_reference("gone"))),
        f"rule_aide refers to the value {PREFIX}value_gone, which",
    ),
    "an unknown selector": (
        a_datastream(
            a_profile("cis", "aide", inner=f'<x:refine-value idref="{PREFIX}value_v" selector="gone"/>'),
            a_value("v", default="1"),
            a_rule(fix=a_reference("v")),
        ),
        "with the selector gone, which",
    ),
}
BAD_FIXES = {
    "no TOML": ("package aide", "is not TOML"),
    "a package without a name": ("[[packages]]", "name: missing"),
    "a package with a blank": ('[[packages]]\nname = "a b"', "'a b' is no name"),
    "a service without a name": (SERVICES + 'enabled = [""]', "'' is no name"),
    "a mount point that is none": ('[[customizations.filesystem]]\nmountpoint = "home"\nsize = 1', "no mount point"),
    "a size that is none": ('[[customizations.filesystem]]\nmountpoint = "/home"\nsize = -1', "a size"),
    "control characters in an argument": (KERNEL.format("audit=1\\u001b[2J"), "control characters"),
    "a line end in a service": (SERVICES + 'masked = ["a\\nb"]', "control characters"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_datastream_that_is_damaged_or_hostile_is_refused_with_the_reason(case):
    content, reason = REFUSED[case]
    with pytest.raises(UnavailableError) as caught:
        read_document(content)
    assert reason in caught.value.detail
    assert caught.value.detail.isprintable()


@pytest.mark.parametrize("case", BAD_FIXES)
def test_an_invalid_fix_is_refused_with_the_name_of_its_rule(case):
    fix, reason = BAD_FIXES[case]
    with pytest.raises(UnavailableError) as caught:
        read(a_profile("cis", "aide"), a_rule(fix=fix))
    assert f"the fix of {PREFIX}rule_aide: " in caught.value.detail
    assert reason in caught.value.detail


def test_an_invalid_fix_that_no_profile_uses_is_ignored():
    assert read(a_profile("cis", "aide"), a_rule(), a_rule("other", "no TOML")) == {"packages": ["aide"]}


@pytest.mark.parametrize(
    "content",
    [
        "<x:a><x:Rule><x:fix system='urn:redhat:osbuild:blueprint'>x</x:fix></x:Rule></x:a>",
        "<x:a><x:Profile><x:select idref='b'/><x:title>x</x:title></x:Profile></x:a>",
        "<x:a><x:Group id='b'><x:Value><x:value>x</x:value></x:Value></x:Group></x:a>",
        "<x:Benchmark><x:Profile id='b'/></x:Benchmark>",
        "<x:title>x</x:title><x:select idref='b'/><x:value>x</x:value>",
    ],
)
def test_misplaced_elements_are_ignored(content):
    assert read(SOUND, content, a_rule("last")) == {"packages": ["aide"]}
    assert read(a_profile("cis", "aide", inner=f"<x:b>{content}</x:b>"), a_rule()) == {"packages": ["aide"]}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_datastream_may_be_compressed(tmp_path, pack):
    path = tmp_path / "ds.xml"
    path.write_bytes(pack(a_datastream(SOUND)))
    (benchmark,) = read_datastream(path)
    assert list(benchmark.profiles) == [CIS]


@pytest.mark.parametrize("kind", ["gone", "a folder"])
def test_the_error_about_an_unreadable_file_names_it(tmp_path, kind):
    if kind == "a folder":
        (tmp_path / "ds.xml").mkdir()
    with pytest.raises(ConfigurationError, match=r"ds\.xml: is not there, or not a regular file"):
        read_datastream(tmp_path / "ds.xml")
