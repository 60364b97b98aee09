"""What osbuild refuses in customizations whatever the image type (domain.compose.customization_rules)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from domain.blueprints import rules
from domain.compose.customization_rules import find_violations, refuse_violations
from domain.compose.paths import GENERAL, OSTREE
from domain.errors import InvalidRequestError, RulesViolatedError
from tests.support.blueprint_documents import a_document, customizing
from tests.support.builders import image_request

ARMORED = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxsBNB\n-----END PGP PUBLIC KEY BLOCK-----\n"


def found(*, of_ostree: bool = False, **customizations: Any) -> list[str]:
    return [violation.detail for violation in find_violations(customizations, of_ostree=of_ostree)]


def repository(**fields: Any) -> dict[str, Any]:
    return {"id": "r", "baseurl": ["https://r.example.com/"], **fields}


@pytest.mark.parametrize(
    "customizations",
    [
        {"users": [{"name": "u"}, {"name": ".v"}, {"name": "9"}, {"name": "a" * 32, "uid": 0, "gid": 0}]},
        {"groups": [{"name": "g.g-1", "gid": 0}]},
        {"firewall": {"ports": ["22:tcp", "6000-6100:udp", "1:sctp", "1:dccp", "ssh:tcp", "http-alt:udp"]}},
        {
            "filesystem": [
                {"mountpoint": path} for path in ("/", "/usr", "/home", "/var/lib", "/boot", "/procx", "/etcetera")
            ]
        },
        {"files": [{"path": "/etc/a"}, {"path": "/usr/local/a"}, {"path": "/etc/ab"}]},
        {"directories": [{"path": "/etc/fstab"}, {"path": "/etc/d"}], "files": [{"path": "/etc/d/f"}]},
        {"disk": {"minsize": " 1.5 GiB", "partitions": [{"fs_type": "swap", "minsize": "7"}]}},
        {"custom_repositories": [repository(), repository(id="00000000-0000-4000-8000-000000000001", check_gpg=True)]},
        {"custom_repositories": [repository(check_gpg=True, gpgkey=[ARMORED, "https://k.example/key"])]},
        {"custom_repositories": [repository(filename="a.repo"), repository(filename="a_B-1.2")]},
        {"payload_repositories": [{"id": "any", "rhsm": False}, {"url": "https://r.example.com/", "rhsm": False}]},
    ],
)
def test_what_osbuild_takes_breaks_no_rule(customizations: dict[str, Any]) -> None:
    assert found(**customizations) == []


@pytest.mark.parametrize(
    ("customizations", "named"),
    [
        *(({"users": [{"name": name}]}, [name]) for name in ("two words", "ü", "-x", "a" * 33, "a/b")),
        ({"users": [{"name": "u"}, {"name": "v"}, {"name": "u"}]}, ['user "u" is given twice']),
        ({"users": [{"name": "u", "uid": -1, "gid": -2}]}, ["uid -1", "gid -2"]),
        ({"users": [{"name": "u", "password": "<REDACTED>"}]}, ["removed from the export"]),
        *(({"groups": [{"name": name}]}, [f'"{name}"']) for name in ("my group", "", "ĝ")),
        ({"groups": [{"name": "g", "gid": -5}, {"name": "g"}]}, ["gid -5", 'group "g" is given twice']),
        *(
            ({"firewall": {"ports": [port]}}, [port])
            for port in ("22/tcp", "443", ":tcp", "22:icmp", "22:tcp ", "a b:tcp")
        ),
        *(
            ({"filesystem": [{"mountpoint": path}]}, [path])
            for path in ("/etc", "/etc/a", "/proc", "/usr/local", "/usr/share", "/var/run", "/var/lock/a", "/sysroot")
        ),
        ({"filesystem": [{"mountpoint": "/a"}, {"mountpoint": "/a"}]}, ['"/a" is given twice']),
        *(({"files": [{"path": path}]}, [path]) for path in ("/etc/fstab", "/etc/passwd/x", "/usr/bin/a", "/boot/a")),
        ({"files": [{"path": "/etc/x"}, {"path": "/etc/x"}]}, ['"/etc/x" is given twice']),
        ({"files": [{"path": "/etc/x"}], "directories": [{"path": "/etc/x"}]}, ['"/etc/x" is given twice']),
        (
            {"files": [{"path": "/etc/x"}, {"path": "/etc/x/y/z"}, {"path": "/etc/x.d"}]},
            ['"/etc/x/y/z" needs a directory'],
        ),
        ({"files": [{"path": "/etc/x"}], "directories": [{"path": "/etc/x/y"}]}, ['"/etc/x/y" needs a directory']),
        *(({"files": [{"path": "/etc/a", "mode": mode}]}, [mode]) for mode in ("1777", "04755", "7", "rwx", "0888")),
        (
            {
                "disk": {
                    "minsize": "much",
                    "partitions": [
                        {"fs_type": "xfs", "mountpoint": "/proc", "minsize": "ten"},
                        {"type": "lvm", "logical_volumes": [{"fs_type": "xfs", "mountpoint": "a", "minsize": "1 gib"}]},
                        {"type": "btrfs", "subvolumes": [{"name": "s", "mountpoint": "/b/"}]},
                    ],
                }
            },
            [
                *("disk.minsize", "partitions[0].minsize", '"/proc" is not', "logical_volumes[0].minsize"),
                *('"a" must be absolute', '"/b/" must be canonical'),
            ],
        ),
        (
            {"disk": {"partitions": [{"mountpoint": "/a"}, {"logical_volumes": [{"mountpoint": "/a"}]}]}},
            ['mountpoint "/a" is given twice'],
        ),
        ({"custom_repositories": [{"id": "", "baseurl": []}]}, ["baseurl, metalink, mirrorlist"]),
        ({"custom_repositories": [repository(id="no url")]}, ['id "no url"']),
        ({"custom_repositories": [repository(filename="a/b.repo")]}, ['filename "a/b.repo"']),
        ({"custom_repositories": [repository(check_gpg=True)]}, ["check_gpg needs a gpgkey"]),
        ({"custom_repositories": [repository(gpgkey=["key"])]}, ["gpgkey must be a URL"]),
        ({"payload_repositories": [{"rhsm": False}]}, ["payload_repositories[0]"]),
    ],
)
def test_what_osbuild_refuses_is_named(customizations: dict[str, Any], named: list[str]) -> None:
    details = found(**customizations)
    assert len(details) == len(named)
    assert all(name in detail for name, detail in zip(named, details, strict=True))


@pytest.mark.parametrize(
    ("path", "files", "directories", "mountpoints"),
    [
        ("/etc/a", True, True, True),
        ("/etc/passwd", False, True, True),
        ("/root/a", True, False, False),
        ("/usr/local/bin/a", True, False, True),
        ("/usr/local/a", False, False, True),
        ("/opt/a", False, False, False),
        ("/var/home", False, False, False),
        ("/var/lib", False, False, True),
        ("/", False, False, True),
    ],
)
def test_images_of_ostree_have_their_own_paths(path: str, files: bool, directories: bool, mountpoints: bool) -> None:
    allowed = [policy.allows(path) for policy in (OSTREE.files, OSTREE.directories, OSTREE.mountpoints)]
    assert allowed == [files, directories, mountpoints]


def test_one_image_of_ostree_is_enough() -> None:
    mounted = {"filesystem": [{"mountpoint": "/home", "min_size": 0}]}
    rules.check(a_document(customizations=mounted))
    for image_type in ("edge-commit", "rhel-edge-installer"):
        document = a_document(image_requests=[image_request(), image_request(image_type)], customizations=mounted)
        with pytest.raises(RulesViolatedError, match="/home"):
            rules.check(document)
    with pytest.raises(InvalidRequestError, match="/home"):
        refuse_violations(mounted, of_ostree=True)


def test_usr_itself_is_a_mount_point_and_nothing_below_it() -> None:
    assert [GENERAL.mountpoints.allows(path) for path in ("/usr", "/usr/a", "/usrx")] == [True, False, True]


def test_a_build_names_the_first_faults_and_their_number() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        refuse_violations({"firewall": {"ports": [f"p{number}" for number in range(25)]}}, of_ostree=False)
    assert '"p19"' in refused.value.detail
    assert '"p20"' not in refused.value.detail
    assert refused.value.detail.endswith("(the first 20 of 25)")


def test_faults_that_the_stored_version_has_are_tolerated() -> None:
    stored = customizing(users=[{"name": "two words"}], files=[{"path": "/etc/x", "mode": "1777"}])
    rules.check(stored, stored=stored)
    with pytest.raises(RulesViolatedError) as broken:
        rules.check(customizing(users=[{"name": "two words"}, {"name": "three more words"}]), stored=stored)
    assert [each.detail.split('"')[1] for each in broken.value.violations] == ["three more words"]


@pytest.mark.parametrize("shape", [None, 7, "text", [], {}, [7, None, "x", [], {}], {"ports": 7, "partitions": {}}])
def test_values_of_any_shape_break_no_rule_and_raise_nothing(shape: Any) -> None:
    for name in ("users", "groups", "files", "directories", "filesystem", "disk", "firewall", "custom_repositories"):
        list(find_violations({name: shape}, of_ostree=False))


def test_deep_paths_are_compared_in_linear_time() -> None:
    files = [{"path": f"/etc/{'a/' * 2_000}f{number}"} for number in range(1_000)]
    began = time.thread_time()
    assert found(files=files) == []
    assert time.thread_time() - began < 10
