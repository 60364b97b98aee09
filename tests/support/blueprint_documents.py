"""Blueprint documents for tests of the domain, as they are sent and stored, and random ones."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import strategies as st

from domain.blueprints import rules
from domain.blueprints import secrets as domain_secrets
from domain.blueprints.blueprint import Blueprint
from domain.blueprints.export import COMMUNITY_URLS
from domain.errors import RulesViolatedError
from image_builder.http.schemas import Checker
from tests.support.builders import image_request
from tests.support.domain_builders import a_uuid, hash_of, schemas

Json = dict[str, Any]
Strategy = st.SearchStrategy[Any]

ID: Final = UUID(a_uuid(1))
POLICY: Final = a_uuid(2)
# In every text at random that must not be handed on.
MARK: Final = "s3cr3t"
REGISTERING_FILES: Final = (
    "/etc/systemd/system/register-satellite.service",
    "/usr/local/sbin/register-satellite",
    "/usr/local/sbin/aap-first-boot-reg",
)
MIB: Final = 1024**2
MAX_SIZE: Final = 2**64 - 1


def a_document(**fields: Any) -> Json:
    """A CreateBlueprintRequest."""
    return {"name": "b", "image_requests": [image_request()], "customizations": {}, **fields}


def customizing(**customizations: Any) -> Json:
    """A CreateBlueprintRequest with these customizations."""
    return a_document(customizations=customizations)


def with_users(*users: Json) -> Json:
    """A CreateBlueprintRequest, or a body, with these users."""
    return customizing(users=list(users))


def a_blueprint(**fields: Any) -> Blueprint:
    """A blueprint; fields that are not fields of Blueprint become keys of its body."""
    own = {name: fields.pop(name) for name in ("name", "description", "version", "labels") if name in fields}
    body = {"image_requests": [image_request()], "customizations": {}, **fields}
    body = {name: value for name, value in body.items() if value is not None}
    return Blueprint(**{"id": ID, "name": "b", "description": "", "version": 1, "version_id": ID, "body": body, **own})


@cache
def checker(name: str) -> Checker:
    """The checker of the contract's schema with this name."""
    return Checker(schemas()[name], schemas())


def hashed(password: str) -> str:
    """A fake hash of a password, which does not contain the password."""
    return hash_of(str(sum(password.encode())))


def with_hashed_passwords(body: Json) -> Json:
    """A body as it is stored, with hashed passwords."""
    plain = domain_secrets.find_plain_passwords(body)
    return domain_secrets.insert_hashes(body, {number: hashed(text) for number, text in plain.items()})


def violations(document: Json) -> list[tuple[str, str]]:
    """The titles and details of all rules that a document violates; there must be at least one."""
    with pytest.raises(RulesViolatedError) as broken:
        rules.check(document)
    return [(violation.title, violation.detail) for violation in broken.value.violations]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
words = st.text("abcXYZ019_", min_size=1, max_size=6)
flags = st.booleans()
secrets = words.map(f"{MARK}-{{}}".format)
owners = words | st.integers(0, 2**31)
modes = st.integers(0, 0o777).map("{:03o}".format) | st.integers(0, 0o777).map("{:04o}".format)
addresses = words.map("https://{}.example/".format) | st.sampled_from(COMMUNITY_URLS)
# Below these anything may be made.
places = st.builds("/{}/{}".format, st.sampled_from(["etc", "opt", "usr/local", "home/u", "var/lib"]), words)


def _some(required: dict[str, Strategy] | None = None, **optional: Strategy) -> Strategy:
    return st.fixed_dictionaries(required or {}, optional=optional)


def _listed(items: Strategy, least: int = 0) -> Strategy:
    return st.lists(items, min_size=least, max_size=3)


def _distinct(items: Strategy, key: str) -> Strategy:
    """A list of entries that differ in this key."""
    return st.lists(items, max_size=3, unique_by=lambda entry: entry[key])


def _node(below: str, **fields: Strategy) -> Strategy:
    return _some(
        {"path": st.builds("{}/{}".format, places, st.just(below))},
        mode=modes,
        user=owners,
        group=words,
        ensure_parents=flags,
        **fields,
    )


def _registering() -> Strategy:
    return st.fixed_dictionaries({"path": st.sampled_from(REGISTERING_FILES), "data": secrets})


def users() -> Strategy:
    """Users, some with the same name, with passwords that are plain, hashed or empty."""
    passwords = secrets | secrets.map("$6$salt${}".format) | secrets.map("$2b${}".format) | st.just("")
    return _distinct(
        _some(
            {"name": st.sampled_from("abc") | words},
            password=passwords,
            ssh_key=words | st.just(""),
            groups=_listed(words),
            hasPassword=flags,
        ),
        "name",
    )


def policy_wants() -> dict[str, Strategy]:
    """Requirements of compliance policies, which blueprints may meet."""
    packages, mountpoints = st.sampled_from(["aide", "vim", "@core"]), st.sampled_from(["/home", "/var", "/srv"])
    services = st.sampled_from(["auditd", "sshd"])
    arguments = st.lists(st.sampled_from(["audit=1", "audit", "quiet", "fips=1", "audit=10"]), max_size=3)
    sizes = st.just(0) | st.integers(MIB, MAX_SIZE)
    return {
        "packages": _listed(packages),
        "filesystem": _distinct(st.fixed_dictionaries({"mountpoint": mountpoints, "min_size": sizes}), "mountpoint"),
        "services": _some(**{state: _listed(services, 1) for state in ("enabled", "masked", "disabled")}),
        "kernel": _some(name=st.sampled_from(["kernel", "kernel-rt"]), append=arguments.map(" ".join)),
        "fips": st.fixed_dictionaries({"enabled": flags}),
    }


def policies() -> Strategy:
    """The tailoring of a policy, which does not enable and mask the same service."""
    return _some(**policy_wants()).filter(_is_of_one_mind)


def _is_of_one_mind(tailoring: Json) -> bool:
    services = tailoring.get("services", {})
    return not {*services.get("enabled", ())} & {*services.get("masked", ()), *services.get("disabled", ())}


def customizations() -> Strategy:
    """Customizations of a blueprint, with marked secrets."""
    subscription = {
        "organization": st.integers(0, 10**6),
        "activation-key": secrets,
        "server-url": words,
        "base-url": words,
        "insights": flags,
    }
    aap = {"ansible_callback_url": words, "host_config_key": secrets}
    return _some(
        **policy_wants(),
        users=users(),
        files=_distinct(_node("file", data=texts) | _registering(), "path"),
        directories=_distinct(_node("directory"), "path"),
        subscription=_some(subscription, rhc=flags),
        cacerts=st.fixed_dictionaries({"pem_certs": _listed(secrets)}),
        aap_registration=_some(aap, skip_tls_verification=flags),
        custom_repositories=_listed(_some({"id": words}, name=texts, baseurl=_listed(addresses))),
        payload_repositories=_listed(_some({"rhsm": flags, "baseurl": addresses}, id=words)),
        containers=_listed(_some({"source": words}, name=texts, tls_verify=flags)),
        groups=_distinct(_some({"name": words}, gid=st.integers(0, 2**31)), "name"),
        timezone=_some(timezone=texts, ntpservers=_listed(texts)),
        locale=_some(languages=_listed(texts), keyboard=texts),
        hostname=texts,
        openscap=st.fixed_dictionaries({"policy_id": st.uuids().map(str)})
        | _some({"profile_id": words}, profile_name=texts),
    )


def documents() -> Strategy:
    """CreateBlueprintRequests that violate no rule."""
    images = st.sampled_from(["guest-image", "aws", "vsphere"]).flatmap(
        lambda kind: st.builds(
            lambda size: image_request(kind, "aws" if kind == "aws" else "aws.s3", size=size),
            st.integers(0, MAX_SIZE),
        )
    )
    return _some(
        {
            "name": texts.filter(lambda name: name.strip() != ""),
            "image_requests": st.lists(images, min_size=1, max_size=3, unique_by=json.dumps),
            "customizations": customizations(),
        },
        description=texts,
        distribution=st.sampled_from(["centos-9", "rhel-9"]),
        bootc=st.fixed_dictionaries({"reference": words}),
        metadata=st.fixed_dictionaries({"parent_id": st.none(), "exported_at": texts, "is_on_prem": flags}),
    ).map(checker("CreateBlueprintRequest").accept)
