"""What a caller adds to an image, in the composer's words."""

import base64

import pytest

from domain.compose.passwords import MAX_PASSWORD_BYTES, MAX_PLAIN_PASSWORDS, find_plain_passwords
from tests.support.builders import compose_request
from tests.support.domain_builders import built, customized, hash_of, refusal

THE_SAME = {
    "packages": ["vim", "@core", "kernel-devel"],
    "enabled_modules": [{"name": "nodejs", "stream": "18"}],
    "groups": [{"name": "admins", "gid": 1500}, {"name": "others"}],
    "containers": [{"source": "quay.io/a/b:latest", "name": "b", "tls_verify": False}, {"source": "c"}],
    "locale": {"languages": ["de_DE.UTF-8"], "keyboard": "de"},
    "kernel": {"name": "kernel-rt", "append": "nosmt=force"},
    "services": {"enabled": ["a"], "disabled": ["b"], "masked": ["c"]},
    "firewall": {"ports": ["22:tcp"], "services": {"enabled": ["ssh"], "disabled": ["telnet"]}},
    "timezone": {"timezone": "Europe/Berlin", "ntpservers": ["0.pool.example"]},
    "installation_device": "/dev/sda",
    "fdo": {
        "manufacturing_server_url": "https://fdo",
        "diun_pub_key_insecure": "true",
        "diun_pub_key_hash": "h",
        "diun_pub_key_root_certs": "c",
    },
    "ignition": {"embedded": {"config": "e30="}, "firstboot": {"url": "https://ignition"}},
    "fips": {"enabled": True},
    "installer": {"unattended": True, "sudo-nopasswd": ["%wheel"]},
    "hostname": "here.example",
    "cacerts": {"pem_certs": ["-----BEGIN CERTIFICATE-----"]},
    "disk": {
        "type": "gpt",
        "minsize": "10 GiB",
        "partitions": [
            {"type": "plain", "fs_type": "xfs", "mountpoint": "/data", "minsize": "1 GiB", "label": "d"},
            {"type": "btrfs", "minsize": "1 GiB", "subvolumes": [{"name": "s", "mountpoint": "/s"}]},
            {
                "type": "lvm",
                "name": "vg",
                "minsize": "1 GiB",
                "logical_volumes": [{"name": "l", "fs_type": "ext4", "mountpoint": "/l", "minsize": "1 GiB"}],
            },
        ],
    },
    "partitioning_mode": "auto-lvm",
}
LISTS = ["packages", "enabled_modules", "groups", "containers", "filesystem", "users", "files", "directories"]


def user(**fields):
    return customized({"users": [{"name": "u", **fields}]})["users"][0]


def file(**fields):
    return customized({"files": [{"path": "/etc/x", **fields}]})["files"][0]


def directory(**fields):
    return customized({"directories": [{"path": "/etc/x", **fields}]})["directories"][0]


def encoded(data):
    return base64.b64encode(data).decode()


def test_no_customizations_send_none():
    assert "customizations" not in built(compose_request())


def test_empty_customizations_are_sent_empty():
    assert built(compose_request(customizations={}))["customizations"] == {}


@pytest.mark.parametrize("name", THE_SAME)
def test_a_customization_that_is_the_same_is_sent_as_it_is(name):
    assert customized({name: THE_SAME[name]}) == {name: THE_SAME[name]}


def test_services_without_units_are_accepted_and_not_sent():
    assert customized({"services": {"enabled": ["a"], "disabled": [], "masked": []}}) == {
        "services": {"enabled": ["a"]}
    }
    assert customized({"services": {"enabled": []}}) == {"services": {}}


@pytest.mark.parametrize("mode", ["raw", "lvm", "auto-lvm"])
def test_every_partitioning_mode_is_sent(mode):
    assert customized({"partitioning_mode": mode}) == {"partitioning_mode": mode}


def test_fips_is_off_unless_the_request_says_otherwise():
    assert customized({"fips": {}}) == {"fips": {"enabled": False}}


def test_all_of_them_together_are_sent():
    assert customized(THE_SAME) == THE_SAME


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list_is_left_out(name):
    assert customized({name: [], "hostname": "h"}) == {"hostname": "h"}


def test_an_empty_list_of_services_is_left_out():
    assert customized({"services": {"enabled": [], "masked": ["a"]}}) == {"services": {"masked": ["a"]}}
    assert customized({"services": {"enabled": [], "disabled": []}}) == {"services": {}}


def test_an_unknown_customization_is_dropped():
    assert customized({"surprise": {"a": 1}, "hostname": "h"}) == {"hostname": "h"}


def test_a_filesystem_is_mountpoint_and_minimal_size():
    ours = [{"mountpoint": "/var", "min_size": 2147483648}, {"mountpoint": "/", "min_size": 0, "surprise": 1}]
    assert customized({"filesystem": ours}) == {
        "filesystem": [{"mountpoint": "/var", "min_size": 2147483648}, {"mountpoint": "/", "min_size": 0}]
    }


def test_a_user_s_key_and_groups_are_sent():
    assert user(groups=["wheel", "admins"], ssh_key="ssh-ed25519 AAAA") == {
        "name": "u",
        "groups": ["wheel", "admins"],
        "key": "ssh-ed25519 AAAA",
    }


def test_users_keep_their_order():
    users = customized({"users": [{"name": name} for name in "cab"]})["users"]
    assert [each["name"] for each in users] == ["c", "a", "b"]


@pytest.mark.parametrize(
    "empty", [{"password": ""}, {"ssh_key": ""}, {"groups": []}, {"hasPassword": True}, {"hasPassword": False}]
)
def test_an_empty_field_of_a_user_is_none(empty):
    assert user(**empty) == {"name": "u"}


@pytest.mark.parametrize(
    "password", ["secret", "p$ss", "$", "$ecret", "$6", "6$", "é\u00f1", " ", "x" * MAX_PASSWORD_BYTES]
)
def test_a_plain_password_is_sent_as_its_hash(password):
    assert user(password=password)["password"] == hash_of(password)


@pytest.mark.parametrize(
    "password", ["$6$salt$abc", "$6$rounds=5000$salt$abc", "$5$salt$abc", "$2b$12$abcdefghijklmnopqrstuv"]
)
def test_a_password_that_is_hashed_already_is_kept(password):
    assert user(password=password)["password"] == password


@pytest.mark.parametrize(
    "password", ["$y$j9T$salt$abc", "$1$salt$abc", "$2a$12$abc", "$2y$12$abc", "$gy$j9T$a$b", "$7$salt$abc"]
)
def test_a_password_hashed_in_another_form_is_refused_naming_the_user(password):
    users = [{"name": "fine", "password": "secret"}, {"name": "odd", "password": password}]
    text = refusal(compose_request(customizations={"users": users}))
    assert '"odd"' in text
    assert password not in text


def test_a_password_too_long_to_hash_is_refused_naming_the_user():
    text = refusal(
        compose_request(customizations={"users": [{"name": "long", "password": "x" * (MAX_PASSWORD_BYTES + 1)}]})
    )
    assert '"long"' in text


def test_a_request_with_too_many_passwords_to_hash_is_refused():
    users = [{"name": f"u{number}", "password": f"p{number}"} for number in range(MAX_PLAIN_PASSWORDS + 1)]
    assert "customizations.users" in refusal(compose_request(customizations={"users": users}))


def test_only_plain_passwords_are_hashed_and_each_users_on_its_own():
    users = [{"name": "u", "password": password} for password in ("a", "b", "a", "", "$6$salt$abc")]
    assert find_plain_passwords(users) == {0: "a", 1: "b", 2: "a"}


def test_a_plain_password_that_begins_like_money_is_hashed():
    users = [{"name": "u", "password": "$ecret$1"}]
    assert find_plain_passwords(users) == {0: "$ecret$1"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {"path": "/etc/x", "ensure_parents": False}),
        ({"data": "text"}, {"path": "/etc/x", "ensure_parents": False, "data": "text"}),
        ({"data": "", "data_encoding": "plain"}, {"path": "/etc/x", "ensure_parents": False, "data": ""}),
        (
            {"data": "bm90IGRlY29kZWQ=", "data_encoding": "plain"},
            {"path": "/etc/x", "ensure_parents": False, "data": "bm90IGRlY29kZWQ="},
        ),
        (
            {"mode": "0644", "user": "root", "group": "root", "ensure_parents": True},
            {"path": "/etc/x", "mode": "0644", "user": "root", "group": "root", "ensure_parents": True},
        ),
    ],
)
def test_a_file_is_sent_without_its_encoding(given, sent):
    assert file(**given) == sent


@pytest.mark.parametrize("text", ["", "text", "line\nline\r\n", "é☃\U0001f600", "{{ \\x00 }}"])
def test_a_file_in_base64_is_decoded(text):
    assert file(data=encoded(text.encode()), data_encoding="base64")["data"] == text


def test_base64_in_lines_is_decoded():
    assert file(data="dGV4dCBp\nbiBsaW5l\r\ncw==\n", data_encoding="base64")["data"] == "text in lines"


def test_base64_without_data_is_a_file_without_data():
    assert "data" not in file(data_encoding="base64")


@pytest.mark.parametrize("data", ["x", "dGV4dA", "dGV4d===", "dGV4 dA==", "dGV4dA==dGV4dA==", "é", "_-8=", "====", "%"])
def test_bad_base64_is_refused_naming_the_file(data):
    files = [{"path": "/fine"}, {"path": "/etc/odd", "data": data, "data_encoding": "base64"}]
    assert "/etc/odd" in refusal(compose_request(customizations={"files": files}))


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\x80", b"\xc3", b"\xed\xa0\x80"])
def test_base64_of_what_is_no_text_is_refused_naming_the_file(data):
    files = [{"path": "/etc/odd", "data": encoded(data), "data_encoding": "base64"}]
    assert "/etc/odd" in refusal(compose_request(customizations={"files": files}))


@pytest.mark.parametrize("owner", ["root", "1000", 0, 1000])
@pytest.mark.parametrize("field", ["user", "group"])
@pytest.mark.parametrize("sent", [file, directory])
def test_an_owner_stays_text_or_number(sent, field, owner):
    value = sent(**{field: owner})[field]
    assert value == owner
    assert type(value) is type(owner)


def test_a_directory_is_sent_as_it_is():
    ours = {"path": "/etc/d", "mode": "0755", "user": "u", "group": 7, "ensure_parents": True}
    assert customized({"directories": [ours]}) == {"directories": [ours]}


def test_parents_are_not_made_unless_the_request_says_so():
    assert directory() == {"path": "/etc/x", "ensure_parents": False}


def test_an_openscap_profile_is_sent():
    assert customized({"openscap": {"profile_id": "xccdf_cis"}}) == {"openscap": {"profile_id": "xccdf_cis"}}


def test_an_openscap_profile_is_sent_alone():
    ours = {"openscap": {"profile_id": "xccdf_cis", "surprise": 1}}
    assert customized(ours) == {"openscap": {"profile_id": "xccdf_cis"}}
