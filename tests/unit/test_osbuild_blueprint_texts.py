"""The fields of an osbuild blueprint besides its customizations, and the text of one."""

import base64
import tomllib

from domain.osbuild.blueprint import Blueprint, parse_blueprint, policy_customizations, to_osbuild_document
from image_builder.http.toml import format_blueprint


def test_a_blueprint_s_own_fields_are_read():
    found = parse_blueprint('name = " a b "\ndescription = "d\\n"\nversion = "0.0.1"\ndistro = "rhel-9.6"')
    assert found == Blueprint(" a b ", "d\n", "rhel-9.6", {}, version="0.0.1")
    assert parse_blueprint('architecture = "aarch64"').architecture == "aarch64"


def test_a_blank_distribution_is_none():
    assert parse_blueprint('name = "n"\ndistro = ""').distribution is None


def test_a_blueprint_s_own_fields_are_written():
    assert to_osbuild_document(" a b ", "d\n", "rhel-9.6", {}) == (
        {"name": " a b ", "description": "d\n", "distro": "rhel-9.6"},
        (),
    )


def test_a_text_begins_with_what_it_leaves_out():
    text = format_blueprint({"name": "n"}, ("customizations.subscription", r'customizations."a\nb"'))
    assert text.splitlines() == [
        "# Left out, because an osbuild blueprint has no place for it, or it is a secret:",
        "# - customizations.subscription",
        r'# - customizations."a\nb"',
        "",
        'name = "n"',
    ]


def test_a_text_that_leaves_nothing_out_has_no_comment():
    assert format_blueprint({"name": "n"}) == 'name = "n"\n'


def test_a_policy_asks_for_packages_filesystems_services_kernel_and_fips():
    asked = {
        "openscap": {"profile_id": "cis"},
        "packages": ["aide"],
        "filesystem": [{"mountpoint": "/home", "min_size": 1024**3}],
        "services": {"enabled": ["crond"]},
        "kernel": {"append": "audit=1"},
        "fips": {"enabled": True},
    }
    others = {"hostname": "h", "users": [{"name": "u"}], "files": [{"path": "/a"}], "containers": []}
    assert policy_customizations(Blueprint("n", "", None, {**others, **asked}, ("rpm",))) == asked


def test_secrets_are_written_as_given():
    text = format_blueprint(*to_osbuild_document("n", "", None, {"users": [{"name": "u", "password": "$6$salt$hash"}]}))
    assert tomllib.loads(text)["customizations"]["user"][0]["password"] == "$6$salt$hash"


def test_base64_of_text_is_written_as_the_text():
    data = base64.b64encode("é\r\n".encode()).decode()
    ours = {"files": [{"path": "/a", "data": data, "data_encoding": "base64"}]}
    assert (
        parse_blueprint(format_blueprint(*to_osbuild_document("n", "", None, ours))).customizations["files"][0]["data"]
        == "é\r\n"
    )
