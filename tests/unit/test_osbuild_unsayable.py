"""What only one of osbuild blueprints and v1 customizations has a place for: it is named (issue 5)."""

import pytest

from domain.errors import InvalidRequestError
from domain.osbuild.blueprint import parse_blueprint, to_osbuild_document


@pytest.mark.parametrize(
    ("toml", "unknown"),
    [
        ('[ostree]\nref = "a"', ["ostree"]),
        ('[[packages]]\nname = "a"\narch = "x"', ["packages[0].arch"]),
        ('[[groups]]\nname = "a"\nversion = "1"', ["groups[0].version"]),
        *(
            (f"[customizations.{name}]", [f"customizations.{name}"])
            for name in (
                *("subscription", "aap_registration"),
                *("users", "groups", "packages", "payload_repositories", "custom_repositories"),
            )
        ),
        *(
            (f'[[customizations.user]]\nname = "a"\n{key} = 1', [f"customizations.user[0].{key}"])
            for key in ("ssh_key", "hasPassword")
        ),
        (
            '[customizations.disk]\npartitions = [{fs_type = "xfs", subvolumes = [], name = "c"}]',
            [f"customizations.disk.partitions[0].{key}" for key in ("subvolumes", "name")],
        ),
        (f"a = 0x{'f' * 5000}", ["a"]),
        ('"" = 1\n"a b" = 1\n"\\n\\u007f" = 1\n"a.b" = 1', ['""', '"a b"', r'"\n\u007f"', '"a.b"']),
        ('[customizations]\n"é" = 1', [r'customizations."\u00e9"']),
        ('"\U0001f600" = 1', [r'"\U0001f600"']),
        ("b = 1\na = 1\n[customizations]\nd = 1\nc = 1", ["b", "a", "customizations.d", "customizations.c"]),
    ],
)
def test_what_no_blueprint_has_is_named_in_the_file_s_order(toml, unknown):
    found = parse_blueprint(toml)
    assert (list(found.unknown), found.unbuildable) == (unknown, ())


@pytest.mark.parametrize(
    ("toml", "unbuildable"),
    [
        ("minimal = true", ["minimal"]),
        ('[[containers]]\nsource = "a"\nlocal-storage = true', ["containers[0].local-storage"]),
        *(
            (f"[customizations.{name}]", [f"customizations.{name}"])
            for name in ("iso", "bootloader", "sshd", "firstboot", "containers-storage")
        ),
        *(
            (f'[[customizations.user]]\nname = "a"\n{key} = 1', [f"customizations.user[0].{key}"])
            for key in ("expiredate", "force_password_reset")
        ),
        ('[customizations.openscap]\nprofile_id = "a"\npolicy_id = "c"', ["customizations.openscap.policy_id"]),
        (
            '[customizations.ignition.firstboot]\nurl = "u"\nempty = true',
            ["customizations.ignition.firstboot.empty"],
        ),
        (
            '[[customizations.repositories]]\nid = "a"\ninstall_from = true',
            ["customizations.repositories[0].install_from"],
        ),
        (
            (
                "[customizations.disk]\nstart_offset = 1\nsector_size = 512\n"
                'partitions = [{fs_type = "xfs", part_label = "a", part_uuid = "b"}, {type = "luks", passphrase = "p"}]'
            ),
            [
                "customizations.disk.start_offset",
                "customizations.disk.sector_size",
                "customizations.disk.partitions[0].part_label",
                "customizations.disk.partitions[0].part_uuid",
                "customizations.disk.partitions[1].type",
            ],
        ),
        (
            (
                "[customizations.installer]\nmenu-timeout = 1\n[customizations.installer.kickstart]\ncontents = ''\n"
                "[customizations.installer.modules]"
            ),
            [f"customizations.installer.{key}" for key in ("menu-timeout", "kickstart", "modules")],
        ),
    ],
)
def test_what_the_composer_has_no_place_for_is_named(toml, unbuildable):
    found = parse_blueprint(toml)
    assert (found.unknown, list(found.unbuildable)) == ((), unbuildable)


@pytest.mark.parametrize(
    ("toml", "detail"),
    [
        (
            '[[customizations.repositories]]\nid = "a"\nsslverify = true\nssl_verify = false',
            "repositories[0].ssl_verify: contradicts customizations.repositories[0].sslverify, which means the same",
        ),
        (
            '[[customizations.filesystem]]\nmountpoint = "/"\nminsize = 1048576\nsize = 2097152',
            "filesystem[0].size: contradicts customizations.filesystem[0].minsize, which means the same",
        ),
    ],
)
def test_two_keys_for_the_same_with_different_values_are_refused(toml, detail):
    with pytest.raises(InvalidRequestError) as refused:
        parse_blueprint(toml)
    assert refused.value.detail == f"customizations.{detail}"


def test_what_is_unknown_does_not_hide_the_rest():
    found = parse_blueprint('[customizations]\nhostname = "h"\nrpms = {}\n[[customizations.user]]\nname = "u"\nid = 5')
    assert found.customizations == {"hostname": "h", "users": [{"name": "u"}]}


@pytest.mark.parametrize(
    ("ours", "left_out", "written"),
    [
        ({"subscription": {"organization": 1}}, ["subscription"], {}),
        ({"aap_registration": {}}, ["aap_registration"], {}),
        ({"payload_repositories": [{"rhsm": False}]}, ["payload_repositories"], {}),
        ({"payload_repositories": []}, [], {}),
        ({"openscap": {"policy_id": "p"}}, ["openscap"], {}),
        (
            {"openscap": {"policy_id": "p", "profile_id": "c", "profile_name": "n"}},
            ["openscap.policy_id", "openscap.profile_name"],
            {"openscap": {"profile_id": "c"}},
        ),
        ({"users": [{"name": "u", "hasPassword": True}]}, [], {"user": [{"name": "u"}]}),
        ({"users": [{"name": "u", "ssh_key": None}]}, [], {"user": [{"name": "u"}]}),
        ({"kernel": None}, [], {}),
        ({"fips": {}}, [], {"fips": False}),
        (
            {"files": [{"path": "/a", "data": "w6k=\r\n", "data_encoding": "base64", "ensure_parents": False}]},
            [],
            {"files": [{"path": "/a", "data": "é"}]},
        ),
        (
            {"files": [{"path": "/a", "data": "x", "data_encoding": "plain"}]},
            [],
            {"files": [{"path": "/a", "data": "x"}]},
        ),
        ({"files": [{"path": "/a", "data_encoding": "base64"}]}, [], {"files": [{"path": "/a"}]}),
        (
            {"files": [{"path": "/a", "data": "/w==", "data_encoding": "base64"}, {"path": "/b"}]},
            ["files[0]"],
            {"files": [{"path": "/b"}]},
        ),
        ({"files": [{"path": "/a", "data": "not base64", "data_encoding": "base64"}]}, ["files[0]"], {}),
        ({"files": [{"path": "/a", "data": "eA==!", "data_encoding": "base64"}]}, ["files[0]"], {}),
        ({"files": [{"path": "/a", "data": 5, "data_encoding": "base64"}]}, ["files[0]"], {}),
        (
            {"files": [{"path": "/a", "ensure_parents": True}]},
            [],
            {"files": [{"path": "/a", "ensure_parents": True}]},
        ),
        ({"groups": [{"name": "g", "gid": 2**63}]}, ["groups[0].gid"], {"group": [{"name": "g"}]}),
        (
            {"filesystem": [{"mountpoint": "/", "min_size": 0}, {"mountpoint": "/a", "min_size": 2**64}]},
            ["filesystem[1]"],
            {"filesystem": [{"mountpoint": "/", "minsize": 1}]},
        ),
        ({"filesystem": [{"mountpoint": "/", "min_size": "1 GiB"}]}, ["filesystem[0]"], {}),
        ({"filesystem": [{"mountpoint": "/", "min_size": True}]}, ["filesystem[0]"], {}),
        ({"disk": {"partitions": [], "minsize": "much"}}, ["disk.minsize"], {"disk": {}}),
        (
            {"disk": {"type": None, "partitions": [{"type": None, "fs_type": "xfs"}]}},
            [],
            {"disk": {"partitions": [{"fs_type": "xfs", "minsize": 0}]}},
        ),
        (
            {"disk": {"partitions": [{"type": "zfs"}, 5]}},
            ["disk.partitions[0]", "disk.partitions[1]"],
            {},
        ),
        ({"users": [{"groups": ["a"]}, "u"]}, ["users[0]", "users[1]"], {}),
        ({"users": "u", "kernel": [], "fips": 1, "hostname": 1}, ["users", "kernel", "fips", "hostname"], {}),
        ({"brand_new": 1, "a\nb": 2, "sshkey": []}, ["brand_new", r'"a\nb"', "sshkey"], {}),
    ],
)
def test_what_toml_has_no_place_for_is_named(ours, left_out, written):
    expected = {"name": "n", **({"customizations": written} if written else {})}
    assert to_osbuild_document("n", "", None, ours) == (expected, tuple(f"customizations.{path}" for path in left_out))


@pytest.mark.parametrize(
    ("ours", "left_out", "written"),
    [
        (
            {"packages": ["@g", "", 5, "p"]},
            ["packages[1]", "packages[2]"],
            {"packages": [{"name": "p"}], "groups": [{"name": "g"}]},
        ),
        ({"packages": "vim"}, ["packages"], {}),
        ({"containers": [{"name": "a"}], "enabled_modules": "x"}, ["containers[0]", "enabled_modules"], {}),
    ],
)
def test_what_toml_has_no_place_for_beside_the_customizations_is_named(ours, left_out, written):
    found = to_osbuild_document("n", "", None, ours)
    assert found == ({"name": "n", **written}, tuple(f"customizations.{path}" for path in left_out))
