"""osbuild blueprints in TOML and v1 customizations, row by row."""

import tomllib

import pytest

from domain.osbuild.blueprint import Blueprint, parse_blueprint, to_osbuild_document

LARGEST = 2**64 - 1
BOTH_WAYS = {
    "packages": (
        '[[packages]]\nname = "vim"\n[[packages]]\nname = "tmux-2.9a"\n[[groups]]\nname = "core"',
        {"packages": ["vim", "tmux-2.9a", "@core"]},
    ),
    "only groups": ('[[groups]]\nname = "core"', {"packages": ["@core"]}),
    "no packages": ("packages = []", {"packages": []}),
    "an at sign": ('[[packages]]\nname = "@"', {"packages": ["@"]}),
    "containers": (
        '[[containers]]\nsource = "q/a:1"\nname = "a"\ntls-verify = false\n[[containers]]\nsource = "b"',
        {"containers": [{"source": "q/a:1", "name": "a", "tls_verify": False}, {"source": "b"}]},
    ),
    "enabled modules": (
        '[[enabled_modules]]\nname = "nodejs"\nstream = "18"',
        {"enabled_modules": [{"name": "nodejs", "stream": "18"}]},
    ),
    "hostname": ('[customizations]\nhostname = "here"', {"hostname": "here"}),
    "kernel": (
        '[customizations.kernel]\nname = "kernel-rt"\nappend = " a=1  b "',
        {"kernel": {"name": "kernel-rt", "append": " a=1  b "}},
    ),
    "empty kernel": ("[customizations.kernel]", {"kernel": {}}),
    "users": (
        (
            '[[customizations.user]]\nname = "u"\npassword = "$6$x"\nkey = "ssh"\ngroups = ["wheel"]\n'
            '[[customizations.user]]\nname = "v"'
        ),
        {"users": [{"name": "u", "password": "$6$x", "ssh_key": "ssh", "groups": ["wheel"]}, {"name": "v"}]},
    ),
    "groups": (
        '[[customizations.group]]\nname = "g"\ngid = 1500\n[[customizations.group]]\nname = "h"',
        {"groups": [{"name": "g", "gid": 1500}, {"name": "h"}]},
    ),
    "the last numbers of TOML": (
        (
            f'[[customizations.group]]\nname = "g"\ngid = {2**63 - 1}\n'
            f'[[customizations.group]]\nname = "h"\ngid = {-(2**63)}'
        ),
        {"groups": [{"name": "g", "gid": 2**63 - 1}, {"name": "h", "gid": -(2**63)}]},
    ),
    "timezone": (
        '[customizations.timezone]\ntimezone = "Europe/Prague"\nntpservers = ["a", "b"]',
        {"timezone": {"timezone": "Europe/Prague", "ntpservers": ["a", "b"]}},
    ),
    "locale": (
        '[customizations.locale]\nlanguages = ["cs_CZ.UTF-8"]\nkeyboard = "cz"',
        {"locale": {"languages": ["cs_CZ.UTF-8"], "keyboard": "cz"}},
    ),
    "firewall": (
        (
            '[customizations.firewall]\nports = ["22:tcp"]\n'
            '[customizations.firewall.services]\nenabled = ["ssh"]\ndisabled = []'
        ),
        {"firewall": {"ports": ["22:tcp"], "services": {"enabled": ["ssh"], "disabled": []}}},
    ),
    "services": (
        '[customizations.services]\nenabled = ["a"]\ndisabled = ["b"]\nmasked = ["c"]',
        {"services": {"enabled": ["a"], "disabled": ["b"], "masked": ["c"]}},
    ),
    "filesystem": (
        (
            '[[customizations.filesystem]]\nmountpoint = "/var"\nminsize = 1073741824\n'
            f'[[customizations.filesystem]]\nmountpoint = "/"\nminsize = "{LARGEST}"'
        ),
        {"filesystem": [{"mountpoint": "/var", "min_size": 1024**3}, {"mountpoint": "/", "min_size": LARGEST}]},
    ),
    "disk": (
        (
            '[customizations.disk]\ntype = "dos"\nminsize = "10 GiB"\n'
            '[[customizations.disk.partitions]]\ntype = "plain"\nfs_type = "xfs"\nmountpoint = "/d"\nlabel = "d"\n'
            'minsize = "1.5 GB"\npart_type = "83"\n[[customizations.disk.partitions]]\nfs_type = "swap"\nminsize = 0\n'
            '[[customizations.disk.partitions]]\ntype = "btrfs"\nminsize = "1 GiB"\npart_type = "x"\n'
            'subvolumes = [{name = "s", mountpoint = "/s"}]\n'
            '[[customizations.disk.partitions]]\ntype = "lvm"\nname = "vg"\nminsize = "1 GiB"\npart_type = "y"\n'
            'logical_volumes = [{name = "l", fs_type = "ext4", minsize = "5", mountpoint = "/l", label = "L"}]'
        ),
        {
            "disk": {
                "type": "dos",
                "minsize": "10 GiB",
                "partitions": [
                    {
                        "type": "plain",
                        "fs_type": "xfs",
                        "mountpoint": "/d",
                        "label": "d",
                        "minsize": "1.5 GB",
                        "part_type": "83",
                    },
                    {"fs_type": "swap"},
                    {
                        "type": "btrfs",
                        "minsize": "1 GiB",
                        "part_type": "x",
                        "subvolumes": [{"name": "s", "mountpoint": "/s"}],
                    },
                    {
                        "type": "lvm",
                        "name": "vg",
                        "minsize": "1 GiB",
                        "part_type": "y",
                        "logical_volumes": [
                            {"name": "l", "fs_type": "ext4", "minsize": "5", "mountpoint": "/l", "label": "L"}
                        ],
                    },
                ],
            }
        },
    ),
    "installation device": ('[customizations]\ninstallation_device = "/dev/sda"', {"installation_device": "/dev/sda"}),
    "partitioning mode": ('[customizations]\npartitioning_mode = "auto-lvm"', {"partitioning_mode": "auto-lvm"}),
    "fdo": (
        (
            '[customizations.fdo]\nmanufacturing_server_url = "m"\ndiun_pub_key_insecure = "true"\n'
            'diun_pub_key_hash = "h"\ndiun_pub_key_root_certs = "c"\ndi_mfg_string_type_mac_iface = "e"'
        ),
        {
            "fdo": {
                "manufacturing_server_url": "m",
                "diun_pub_key_insecure": "true",
                "diun_pub_key_hash": "h",
                "diun_pub_key_root_certs": "c",
                "di_mfg_string_type_mac_iface": "e",
            }
        },
    ),
    "openscap": ('[customizations.openscap]\nprofile_id = "cis"', {"openscap": {"profile_id": "cis"}}),
    "tailored openscap": (
        (
            '[customizations.openscap]\nprofile_id = "cis"\ndatastream = "/usr/share/ds.xml"\n'
            'tailoring = {selected = ["a"], unselected = ["b"]}\n'
            'json_tailoring = {profile_id = "p", filepath = "/etc/t.json"}'
        ),
        {
            "openscap": {
                "profile_id": "cis",
                "datastream": "/usr/share/ds.xml",
                "tailoring": {"selected": ["a"], "unselected": ["b"]},
                "json_tailoring": {"profile_id": "p", "filepath": "/etc/t.json"},
            }
        },
    ),
    "all of a user": (
        (
            '[[customizations.user]]\nname = "u"\ndescription = "d"\nhome = "/srv/u"\nshell = "/bin/sh"\n'
            "uid = 1500\ngid = 0"
        ),
        {"users": [{"name": "u", "description": "d", "home": "/srv/u", "shell": "/bin/sh", "uid": 1500, "gid": 0}]},
    ),
    "zones": (
        '[[customizations.firewall.zones]]\nname = "z"\nsources = ["192.0.2.0/24"]\n[[customizations.firewall.zones]]',
        {"firewall": {"zones": [{"name": "z", "sources": ["192.0.2.0/24"]}, {}]}},
    ),
    "rpm": (
        '[customizations.rpm.import_keys]\nfiles = ["/etc/key"]',
        {"rpm": {"import_keys": {"files": ["/etc/key"]}}},
    ),
    "rhsm": (
        (
            "[customizations.rhsm.config.dnf_plugins]\nproduct_id = {enabled = true}\n"
            "subscription_manager = {enabled = false}\n[customizations.rhsm.config.subscription_manager]\n"
            "rhsm = {manage_repos = false, auto_enable_yum_plugins = true}\nrhsmcertd = {auto_registration = true}"
        ),
        {
            "rhsm": {
                "config": {
                    "dnf_plugins": {"product_id": {"enabled": True}, "subscription_manager": {"enabled": False}},
                    "subscription_manager": {
                        "rhsm": {"manage_repos": False, "auto_enable_yum_plugins": True},
                        "rhsmcertd": {"auto_registration": True},
                    },
                }
            }
        },
    ),
    "dnf": ("[customizations.dnf.config]\nset_releasever = true", {"dnf": {"config": {"set_releasever": True}}}),
    "ignition": (
        '[customizations.ignition.embedded]\nconfig = "e30="\n[customizations.ignition.firstboot]\nurl = "https://i"',
        {"ignition": {"embedded": {"config": "e30="}, "firstboot": {"url": "https://i"}}},
    ),
    "directories": (
        '[[customizations.directories]]\npath = "/etc/a"\nmode = "0755"\nuser = "u"\ngroup = 0\nensure_parents = true',
        {"directories": [{"path": "/etc/a", "mode": "0755", "user": "u", "group": 0, "ensure_parents": True}]},
    ),
    "files": (
        (
            '[[customizations.files]]\npath = "/etc/a"\nmode = "0644"\nuser = 0\ngroup = "g"\n'
            r'data = "\u0000 é ☃ \r\n \"\\\u007f"'
        ),
        {"files": [{"path": "/etc/a", "mode": "0644", "user": 0, "group": "g", "data": '\0 é ☃ \r\n "\\\x7f'}]},
    ),
    "custom repositories": (
        (
            '[[customizations.repositories]]\nid = "i"\nname = "n"\nfilename = "f"\nbaseurls = ["https://b"]\n'
            'mirrorlist = "https://m"\nmetalink = "https://l"\ngpgkeys = ["K"]\ngpgcheck = true\n'
            "repo_gpgcheck = false\nenabled = true\npriority = 10\nsslverify = false\nmodule_hotfixes = true"
        ),
        {
            "custom_repositories": [
                {
                    "id": "i",
                    "name": "n",
                    "filename": "f",
                    "baseurl": ["https://b"],
                    "mirrorlist": "https://m",
                    "metalink": "https://l",
                    "gpgkey": ["K"],
                    "check_gpg": True,
                    "check_repo_gpg": False,
                    "enabled": True,
                    "priority": 10,
                    "ssl_verify": False,
                    "module_hotfixes": True,
                }
            ]
        },
    ),
    "fips": ("[customizations]\nfips = true", {"fips": {"enabled": True}}),
    "no fips": ("[customizations]\nfips = false", {"fips": {"enabled": False}}),
    "installer": (
        '[customizations.installer]\nunattended = true\nsudo-nopasswd = ["%wheel"]',
        {"installer": {"unattended": True, "sudo-nopasswd": ["%wheel"]}},
    ),
    "certificates": ('[customizations.cacerts]\npem_certs = ["A"]', {"cacerts": {"pem_certs": ["A"]}}),
    "nothing": ("", {}),
}
both_ways = pytest.mark.parametrize(("toml", "ours"), BOTH_WAYS.values(), ids=BOTH_WAYS)


@both_ways
def test_a_customization_is_read(toml, ours):
    assert parse_blueprint(toml) == Blueprint("", "", None, ours, ())


@both_ways
def test_a_customization_is_written(toml, ours):
    assert to_osbuild_document("n", "", None, ours) == ({"name": "n", **tomllib.loads(toml)}, ())


@pytest.mark.parametrize(
    ("toml", "ours"),
    [
        ('packages = [{name = "a", version = "*"}, {name = "b", version = ""}]', {"packages": ["a", "b"]}),
        ('[[packages]]\nname = "tmux"\nversion = "2.9a"', {"packages": ["tmux-2.9a"]}),
        ('[[packages]]\nname = "ssh"\nversion = "8.*"', {"packages": ["ssh-8.*"]}),
        (
            '[[groups]]\nname = "g"\n[[modules]]\nname = "m"\nversion = "1"\n[[packages]]\nname = "p"',
            {"packages": ["p", "m-1", "@g"]},
        ),
        ("modules = []\ngroups = []", {}),
        ("[customizations]", {}),
        ('[customizations.services]\nenabled = []\nmasked = ["a"]', {"services": {"enabled": [], "masked": ["a"]}}),
        (
            '[[customizations.repositories]]\nid = "i"\nssl_verify = true',
            {"custom_repositories": [{"id": "i", "ssl_verify": True}]},
        ),
        (
            '[customizations.disk]\nminsize = 1024\npartitions = [{fs_type = "xfs", minsize = 7}]',
            {"disk": {"minsize": "1024", "partitions": [{"fs_type": "xfs", "minsize": "7"}]}},
        ),
        (
            '[[customizations.sshkey]]\nuser = "root"\nkey = "K"\n[[customizations.user]]\nname = "u"',
            {"users": [{"name": "root", "ssh_key": "K"}, {"name": "u"}]},
        ),
        (
            '[[customizations.sshkey]]\nuser = "u"\nkey = "K"\n[[customizations.user]]\nname = "u"\ngroups = []',
            {"users": [{"name": "u", "groups": [], "ssh_key": "K"}]},
        ),
        (
            '[[customizations.sshkey]]\nuser = "u"\nkey = "K"\n[[customizations.user]]\nname = "u"\nkey = "K"',
            {"users": [{"name": "u", "ssh_key": "K"}]},
        ),
        (
            (
                "[customizations.disk]\nstart_offset = 0\nsector_size = 0\n"
                'partitions = [{fs_type = "xfs", part_label = "", part_uuid = ""}]'
            ),
            {"disk": {"partitions": [{"fs_type": "xfs"}]}},
        ),
        (
            '[customizations.ignition.firstboot]\nurl = "u"\nempty = false\n[customizations.firewall]\nzones = []',
            {"ignition": {"firstboot": {"url": "u"}}, "firewall": {"zones": []}},
        ),
        ("[customizations.disk]\ntype = 'gpt'", {"disk": {"type": "gpt", "partitions": []}}),
        (
            '[[customizations.disk.partitions]]\ntype = "lvm"\n[[customizations.disk.partitions]]\ntype = "btrfs"',
            {"disk": {"partitions": [{"type": "lvm", "logical_volumes": []}, {"type": "btrfs", "subvolumes": []}]}},
        ),
        (
            '[customizations]\npartitioning_mode = ""\n[[customizations.files]]\npath = "/a"\nmode = ""',
            {"files": [{"path": "/a"}]},
        ),
        (
            '[[customizations.filesystem]]\nmountpoint = "/"\nminsize = 1',
            {"filesystem": [{"mountpoint": "/", "min_size": 0}]},
        ),
        (
            '[[customizations.disk.partitions]]\nfs_type = "xfs"\nminsize = " 1  GiB "',
            {"disk": {"partitions": [{"fs_type": "xfs", "minsize": "1  GiB"}]}},
        ),
        ('[[containers]]\nsource = "a"\ntls_verify = true', {"containers": [{"source": "a", "tls_verify": True}]}),
        (
            '[[containers]]\nsource = "a"\ntls_verify = true\ntls-verify = true',
            {"containers": [{"source": "a", "tls_verify": True}]},
        ),
        (
            '[[customizations.files]]\npath = "/a"\ndata = "eA=="\ndata_encoding = "base64"\nensure_parents = true',
            {"files": [{"path": "/a", "data": "eA==", "data_encoding": "base64", "ensure_parents": True}]},
        ),
        (
            '[[customizations.sshkey]]\nuser = "u"\nkey = "A"\n[[customizations.sshkey]]\nuser = "u"\nkey = "B\\nA"',
            {"users": [{"name": "u", "ssh_key": "A\nB"}]},
        ),
        (
            '[[customizations.user]]\nname = "u"\nkey = "A"\n[[customizations.sshkey]]\nuser = "u"\nkey = "B"',
            {"users": [{"name": "u", "ssh_key": "A\nB"}]},
        ),
        ("packages = [\n  { name = 'tmux',  # with a comment\n    version = '*', },\n]", {"packages": ["tmux"]}),
        ('minimal = false\narchitecture = ""\nversion = "1.2.3"', {}),
        (
            (
                '[[containers]]\nsource = "a"\nlocal-storage = false\n[[customizations.repositories]]\nid = "i"\n'
                "install_from = false"
            ),
            {"containers": [{"source": "a"}], "custom_repositories": [{"id": "i"}]},
        ),
    ],
)
def test_other_ways_to_say_it_are_read_too(toml, ours):
    found = parse_blueprint(toml)
    assert (found.customizations, found.unknown) == (ours, ())
