"""Registering with Ansible Automation Platform at the first boot."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from domain.compose.lookups import Answers
from domain.content import Policy
from domain.distributions import BootcImage
from tests.support.builders import compose_request
from tests.support.domain_builders import a_rhel, a_uuid, built, customized
from tests.support.loopback import Loopback, answer

OURS = {"ansible_callback_url": "https://aap.example/callback/", "host_config_key": "the-key"}
SCRIPT = "/usr/local/sbin/aap-first-boot-reg"
UNIT = "/etc/systemd/system/aap-first-boot-reg.service"
SERVICE = "aap-first-boot-reg.service"
PEM = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"

# Writes its arguments, each ended by NUL, and succeeds.
FAKE_CURL = '#!/bin/sh\nprintf "%s\\0" "$@" > "$ARGUMENTS"\n'
# What the curl of the oldest RHEL there is takes (7.61).
OPTIONS = {
    *("-d", "--data", "--data-raw", "--data-urlencode", "-F", "--form", "--form-string", "-X", "--request", "--url"),
    *("-f", "--fail", "-g", "--globoff", "-k", "--insecure", "-L", "--location", "-q", "-s", "--silent", "-S"),
    *("--show-error", "-o", "--output", "-m", "--max-time", "--connect-timeout", "--retry", "--retry-connrefused"),
    *("--retry-delay", "--retry-max-time", "--post301", "--post302", "--proto", "-H", "--header"),
}

AWKWARD = [
    "plain",
    "with blanks  twice ",
    "it's",
    'say "it"',
    "'\"'\"'",
    "$(touch /tmp/never)",
    "`touch /tmp/never`",
    "$HOME ${PATH} $$ $1",
    "a\nb",
    "a\r\nb\n",
    "back\\slash\\",
    "\\",
    "; exit 1 #",
    "a && b || c | d > e < f &",
    "!history !!",
    "*?[a-z]{a,b}~",
    "-k",
    "--insecure",
    "@/etc/passwd",
    "=a=b&c=d",
    "50%25",
    "é☃\U0001f600",
    "\t",
]


def customizations(ours=OURS, **others):
    return customized({"aap_registration": ours, **others})


def files(ours=OURS, **others):
    return customizations(ours, **others)["files"]


def script(**fields):
    return files({**OURS, **fields})[0]["data"]


def run(text, tmp_path, **environment):
    path = tmp_path / "script"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o774)
    return subprocess.run(["bash", str(path)], env={**os.environ, **environment}, capture_output=True, check=False)


@pytest.fixture
def arguments(tmp_path):
    """What a script gives to curl."""
    folder = tmp_path / "bin"
    folder.mkdir()
    curl = folder / "curl"
    curl.write_text(FAKE_CURL)
    curl.chmod(0o755)

    def given(text):
        written = tmp_path / "arguments"
        done = run(text, tmp_path, PATH=f"{folder}:{os.environ['PATH']}", ARGUMENTS=str(written))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        return written.read_bytes().decode().split("\0")[:-1]

    return given


def test_a_registration_is_two_files_and_a_service_and_nothing_else():
    found = customizations()
    assert found.keys() == {"files", "services"}
    assert found["services"] == {"enabled": [SERVICE]}
    first, second = found["files"]
    assert {**first, "data": ""} == {"path": SCRIPT, "mode": "0774", "ensure_parents": True, "data": ""}
    assert {**second, "data": ""} == {"path": UNIT, "ensure_parents": True, "data": ""}


def test_the_unit_runs_the_script_once_when_all_it_needs_is_there():
    lines = files()[1]["data"].splitlines()
    settings = [line.partition("=")[::2] for line in lines if "=" in line]
    after = " ".join(value for name, value in settings if name == "After").split()
    assert {name.rpartition(".")[0] for name in after} == {
        "network-online",
        "selinux-autorelabel",
        "osbuild-first-boot",
    }
    assert ("Type", "oneshot") in settings
    assert ("WantedBy", "basic.target") in settings
    assert ("ConditionPathExists", "!/var/local/.aap-first-boot-reg-done") in settings
    assert "network-online.target" in " ".join(value for name, value in settings if name == "Wants").split()
    assert [value for name, value in settings if name == "ExecStart"] == [SCRIPT]
    assert any("/var/local/.aap-first-boot-reg-done" in value for name, value in settings if name == "ExecStartPost")
    assert [line for line in lines if line.startswith("[")] == ["[Unit]", "[Service]", "[Install]"]


def test_the_unit_holds_nothing_of_the_request():
    assert files()[1] == files({"ansible_callback_url": "https://x", "host_config_key": "another"})[1]


def test_both_files_come_after_the_request_s_and_a_tailoring():
    own = {"path": "/etc/own", "data": "x", "ensure_parents": False}
    assert [file["path"] for file in files(files=[own])] == ["/etc/own", SCRIPT, UNIT]
    ours = {"aap_registration": OURS, "files": [own], "openscap": {"policy_id": a_uuid(50)}}
    answers = Answers(policy=Policy(a_uuid(50), "ref", 9), tailoring="{}")
    found = built(compose_request(customizations=ours), distribution=a_rhel("rhel-9.8"), answers=answers)
    paths = [file["path"] for file in found["customizations"]["files"]]
    assert paths == ["/etc/osbuild/openscap-tailoring.json", "/etc/own", SCRIPT, UNIT]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"enabled": [SERVICE]}),
        ({"enabled": ["b", "a"]}, {"enabled": ["b", "a", SERVICE]}),
        ({"disabled": ["x"], "masked": ["y"]}, {"disabled": ["x"], "masked": ["y"], "enabled": [SERVICE]}),
    ],
)
def test_the_service_is_enabled_last(given, expected):
    assert customizations(services=given)["services"] == expected


def test_the_service_is_enabled_after_the_connector():
    subscription = {"organization": 1, "activation-key": "k", "server-url": "s", "base-url": "b", "insights": True}
    ours = {
        "aap_registration": OURS,
        "subscription": subscription,
        "openscap": {"profile_id": "p"},
        "services": {"enabled": ["own"]},
    }
    found = built(compose_request(customizations=ours), distribution=a_rhel("rhel-9.8"))
    assert found["customizations"]["services"]["enabled"] == ["own", "rhcd", SERVICE]


@pytest.mark.parametrize(
    ("given", "expected"), [({}, [PEM]), ({"cacerts": {"pem_certs": ["FIRST", "SECOND"]}}, ["FIRST", "SECOND", PEM])]
)
def test_the_authority_joins_the_request_s_certificates(given, expected):
    found = customizations({**OURS, "tls_certificate_authority": PEM}, **given)
    assert found["cacerts"] == {"pem_certs": expected}


@pytest.mark.parametrize("authority", [{}, {"tls_certificate_authority": ""}])
def test_without_an_authority_the_request_s_certificates_stay(authority):
    given = {"cacerts": {"pem_certs": ["FIRST"]}}
    assert customizations({**OURS, **authority}, **given)["cacerts"] == given["cacerts"]
    assert "cacerts" not in customizations({**OURS, **authority})


def test_a_bootable_container_registers_too():
    request = compose_request(distribution=None, bootc={"reference": "r"}, customizations={"aap_registration": OURS})
    assert built(request, bootc=(BootcImage("guest-image", "r"),))["customizations"] == customizations()


@pytest.mark.parametrize(
    ("fields", "insecure"),
    [({}, False), ({"skip_tls_verification": False}, False), ({"skip_tls_verification": True}, True)],
)
def test_certificates_are_checked_unless_the_request_says_otherwise(arguments, fields, insecure):
    found = arguments(script(**fields))
    assert ("-k" in found) is insecure
    assert "--insecure" not in found


def test_an_authority_does_not_switch_the_check_off(arguments):
    assert "-k" not in arguments(script(tls_certificate_authority=PEM))


def test_the_script_is_bash_s():
    assert script().startswith(("#!/usr/bin/bash\n", "#!/bin/bash\n"))


def test_curl_is_asked_for_nothing_the_oldest_rhel_s_does_not_know(arguments):
    found = arguments(script(skip_tls_verification=True))
    assert {text for text in found if text.startswith("-")} <= OPTIONS


@pytest.mark.parametrize("insecure", [True, False])
@pytest.mark.parametrize("value", AWKWARD)
def test_a_script_of_awkward_values_is_bash(value, insecure, tmp_path):
    path = tmp_path / "script"
    text = script(host_config_key=value, ansible_callback_url=value, skip_tls_verification=insecure)
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("value", AWKWARD)
def test_awkward_values_arrive_unchanged(value, arguments):
    found = arguments(script(host_config_key=value, ansible_callback_url=f"https://aap.example/{value}"))
    assert f"host_config_key={value}" in found
    assert f"https://aap.example/{value}" in found
    plain = arguments(script(host_config_key="k", ansible_callback_url="u"))
    assert len(found) == len(plain)
    assert not Path("/tmp/never").exists()  # noqa: S108 - what the values would make


@pytest.mark.parametrize("value", AWKWARD)
def test_the_platform_gets_the_key_as_a_form_field(value, tmp_path):
    with Loopback(answer(201, b"")) as platform:
        text = script(host_config_key=value, ansible_callback_url=f"{platform.url}/callback/?a=b")
        done = run(text, tmp_path, no_proxy="127.0.0.1")
        assert done.returncode == 0, done.stderr
        (asked,) = platform.asked
    assert (asked.method, asked.path) == ("POST", "/callback/?a=b")
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.form == {"host_config_key": [value]}


@pytest.mark.skipif(shutil.which("curl") is None and "CI" not in os.environ, reason="there is no curl here")
@pytest.mark.parametrize("path", ["/a{b,c}/", "/a[1-3]/", "/[x]/"])
def test_the_platform_is_called_once_whatever_its_address(path, tmp_path):
    with Loopback(answer(201, b"")) as platform:
        done = run(script(ansible_callback_url=platform.url + path), tmp_path, no_proxy="127.0.0.1")
        assert done.returncode == 0, done.stderr
        assert [asked.path for asked in platform.asked] == [path]


def test_a_platform_that_refuses_leaves_the_machine_to_try_again(tmp_path):
    with Loopback(answer(403, b"")) as platform:
        text = script(ansible_callback_url=platform.url)
        text = text.replace("--retry 5", "--retry 0")  # only how it ends matters here
        assert run(text, tmp_path, no_proxy="127.0.0.1").returncode != 0
