"""The composer's `blueprint`: what can be written as `customizations`, too, means the same in both forms."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.embedded.composer.schema import compose_request_validator
from domain.compose.blueprint_form import find_blueprint_field, write_blueprint
from domain.compose.customizations import translate_customizations
from domain.compose.passwords import insert_hashes
from domain.compose.request import ComposeRequest, read
from domain.errors import InvalidRequestError
from domain.starts import normalize_request
from tests.support.builders import compose_request
from tests.support.customizations import sayable_in_toml

Json = Any

often = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
REPOSITORY_KEYS = {
    "baseurls": "baseurl",
    "gpgkeys": "gpgkey",
    "gpgcheck": "check_gpg",
    "repo_gpgcheck": "check_repo_gpg",
    "sslverify": "ssl_verify",
}
KEYS = {"user": "users", "group": "groups", "repositories": "custom_repositories"}


def a_request(ours: Json) -> ComposeRequest:
    return read({**compose_request(customizations=ours), "client_id": "api"})


def composers(ours: Json) -> Json:
    """The composer's customizations without empty lists, as a build has them."""
    translated = translate_customizations(ours) or {}
    if "custom_repositories" in ours:
        translated["custom_repositories"] = ours["custom_repositories"]
    return {name: value for name, value in translated.items() if value != []}


def read_back(blueprint: Json) -> Json:
    """The composer's customizations that mean the same as its blueprint."""
    customizations = {KEYS.get(key, key): value for key, value in blueprint["customizations"].items()}
    names = [each["name"] for each in blueprint.get("packages", [])]
    names += [f"@{each['name']}" for each in blueprint.get("groups", [])]
    if names:
        customizations["packages"] = names
    customizations |= {key: blueprint[key] for key in ("enabled_modules", "containers") if key in blueprint}
    if "fips" in customizations:
        customizations["fips"] = {"enabled": customizations["fips"]}
    if "filesystem" in customizations:
        customizations["filesystem"] = [
            {"mountpoint": each["mountpoint"], "min_size": int(each["minsize"])}
            for each in customizations["filesystem"]
        ]
    if "custom_repositories" in customizations:
        customizations["custom_repositories"] = [
            {REPOSITORY_KEYS.get(key, key): value for key, value in each.items()}
            for each in customizations["custom_repositories"]
        ]
    return customizations


def comparable(customizations: Json) -> Json:
    """Customizations in which defaults and the order of packages and groups do not count."""
    packages = customizations.get("packages", [])
    return {
        **customizations,
        "packages": sorted(packages, key=lambda name: name.startswith("@") and name != "@"),
        "files": [
            {key: value for key, value in file.items() if key != "ensure_parents"}
            for file in customizations.get("files", ())
        ],
        "fips": customizations.get("fips", {}).get("enabled", False),
    }


def expressible(ours: Json) -> bool:
    return not any(file.get("ensure_parents") for file in ours.get("files", ()))


every_customization = st.fixed_dictionaries({}, optional=sayable_in_toml()).filter(expressible)


@often
@given(ours=every_customization)
def test_both_forms_mean_the_same_and_fit_the_composer_s_schema(ours: Json) -> None:
    try:
        written = composers(ours)
    except InvalidRequestError:  # a file of other data than text
        return
    request = a_request(ours)
    blueprint = write_blueprint(written, request, "customizations.users[0].home")
    assert comparable(read_back(blueprint)) == comparable(written)
    image = {"image_request": {"architecture": "x86_64", "image_type": "guest-image", "repositories": []}}
    body = {"distribution": "rhel-9.6", **image, "blueprint": blueprint}
    assert compose_request_validator().is_valid(body)
    if find_blueprint_field(written) is None:
        assert compose_request_validator().is_valid({**image, "customizations": written})
        assert not compose_request_validator().is_valid({**body, "customizations": written})


@pytest.mark.parametrize(
    ("ours", "field"),
    [
        ({"users": [{"name": "u", "groups": ["g"]}], "firewall": {"zones": []}}, None),
        ({"users": [{"name": "u", "home": "", "shell": "", "description": ""}]}, None),
        ({"users": [{"name": "u"}, {"name": "v", "uid": 0}]}, "customizations.users[1].uid"),
        ({"firewall": {"zones": [{"name": "z"}]}}, "customizations.firewall.zones"),
        ({"openscap": {"profile_id": "p", "datastream": "/d"}}, "customizations.openscap.datastream"),
        ({"openscap": {"profile_id": "p", "tailoring": {"selected": ["a"]}}}, None),
        ({"rpm": {"import_keys": {"files": ["/k"]}}, "rhsm": {}, "dnf": {}}, None),
    ],
)
def test_only_some_fields_need_a_blueprint(ours: Json, field: str | None) -> None:
    assert find_blueprint_field(composers(ours)) == field


def test_a_blueprint_has_the_name_of_the_image() -> None:
    request = read({**compose_request(image_name="mine"), "client_id": "api"})
    assert write_blueprint({}, request, "")["name"] == "mine"
    assert write_blueprint({}, a_request({}), "")["name"] == "image"


def test_repositories_of_a_template_are_named_as_such() -> None:
    template = "4f1e8a52-9c3d-4b6a-8f70-1d2c3b4a5e69"
    request = read({**compose_request(image={"content_template": template}), "client_id": "api"})
    with pytest.raises(InvalidRequestError, match=f"users\\[0\\].home .* content template {template}"):
        write_blueprint({"payload_repositories": [{"baseurl": "b"}]}, request, "customizations.users[0].home")


def test_hashes_are_inserted_and_left_out_of_fingerprints() -> None:
    def with_password(password: str) -> Json:
        return {"blueprint": {"name": "image", "customizations": {"user": [{"name": "u", "password": password}]}}}

    salted = with_password("$6$salt$")
    assert insert_hashes(salted, {0: "$6$salt$digest"}) == with_password("$6$salt$digest")
    echoed = {**with_password("$6$salt$digest")}
    echoed["blueprint"]["customizations"]["partitioning_mode"] = "auto-lvm"
    assert normalize_request(echoed) == normalize_request(salted)
