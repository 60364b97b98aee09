"""Random customizations that the v1 contract allows."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]

UNITS = ("kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB")
MAX_SIZE = 2**64 - 1
# All that JSON in UTF-8 can carry.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)
numbers = st.integers(0, 2**63 - 1)
flags = st.booleans()
owners = names | numbers
# 1 is written for "no minimum" in TOML.
sizes_in_bytes = (st.integers(0, MAX_SIZE) | st.integers(0, 2**40)).filter(lambda size: size != 1)
sizes_as_text = st.builds(
    "{}{}{}".format, st.integers(0, 9_999), st.sampled_from(["", " "]), st.sampled_from(UNITS)
) | sizes_in_bytes.map(str)


def listed(items: Strategy, least: int = 0) -> Strategy:
    """A short list."""
    return st.lists(items, min_size=least, max_size=3)


def some(required: dict[str, Strategy] | None = None, **optional: Strategy) -> Strategy:
    """An object with all required keys and any of the others."""
    return st.fixed_dictionaries(required or {}, optional=optional)


def packages() -> Strategy:
    """Packages and package groups."""
    return listed(names | names.map("@{}".format))


def files() -> Strategy:
    """Files with text or any bytes."""
    common = {"mode": st.sampled_from(["0644", "600"]), "user": owners, "group": owners, "ensure_parents": flags}
    plain = some({"path": names}, **common, data=texts, data_encoding=st.just("plain"))
    encoded = (st.binary(max_size=12) | texts.map(str.encode)).map(lambda data: base64.b64encode(data).decode())
    return plain | some({"path": names, "data": encoded, "data_encoding": st.just("base64")}, **common)


def partitions() -> Strategy:
    """Partitions of every kind."""
    common = {"part_type": texts, "minsize": sizes_as_text}
    system = {"mountpoint": names, "label": texts}
    fs_type = {"fs_type": st.sampled_from(["ext4", "xfs", "vfat", "swap"])}
    volume = some(fs_type, **system, name=names, minsize=sizes_as_text)
    subvolume = some({"name": names, "mountpoint": names})
    return st.one_of(
        some(fs_type, **common, **system, type=st.just("plain")),
        some({"type": st.just("btrfs"), "subvolumes": listed(subvolume)}, **common),
        some({"type": st.just("lvm"), "logical_volumes": listed(volume)}, **common, name=names),
    )


def users() -> Strategy:
    """Users with any of their properties."""
    return some(
        {"name": names},
        groups=listed(names),
        ssh_key=texts,
        password=texts,
        hasPassword=flags,
        description=texts,
        home=names,
        shell=names,
        uid=numbers,
        gid=numbers,
    )


def custom_repositories() -> Strategy:
    """Custom repositories."""
    urls = st.text("az09-/", max_size=8).map("https://example.com/{}".format)
    return some(
        {"id": names},
        name=texts,
        filename=names,
        baseurl=listed(urls),
        mirrorlist=urls,
        metalink=urls,
        gpgkey=listed(texts),
        check_gpg=flags,
        check_repo_gpg=flags,
        enabled=flags,
        priority=numbers,
        ssl_verify=flags,
        module_hotfixes=flags,
    )


def sayable_in_toml() -> dict[str, Strategy]:
    """Customizations that osbuild blueprints support, though not all values of them (as `files`)."""
    services = {"enabled": listed(names, 1), "disabled": listed(names, 1)}
    return {
        "containers": listed(some({"source": names}, name=names, tls_verify=flags)),
        "directories": listed(
            some(
                {"path": names},
                mode=st.sampled_from(["0755", "700"]),
                user=owners,
                group=owners,
                ensure_parents=flags,
            )
        ),
        "files": listed(files()),
        "packages": packages(),
        "enabled_modules": listed(some({"name": names, "stream": names})),
        "custom_repositories": listed(custom_repositories()),
        "openscap": some(
            {"profile_id": names},
            profile_name=texts,
            profile_description=texts,
            datastream=names,
            tailoring=some(selected=listed(names), unselected=listed(names)),
            json_tailoring=some({"profile_id": names, "filepath": names}),
        ),
        "filesystem": listed(some({"mountpoint": names, "min_size": sizes_in_bytes})),
        "disk": some({"partitions": listed(partitions())}, type=st.sampled_from(["gpt", "dos"]), minsize=sizes_as_text),
        "users": listed(users()),
        "services": some(**services, masked=listed(names, 1)),
        "hostname": texts,
        "kernel": some(name=names, append=texts),
        "groups": listed(some({"name": names}, gid=numbers)),
        "timezone": some(timezone=texts, ntpservers=listed(texts)),
        "locale": some(languages=listed(texts), keyboard=texts),
        "firewall": some(
            ports=listed(texts),
            services=some(enabled=listed(names), disabled=listed(names)),
            zones=listed(some(name=names, sources=listed(names))),
        ),
        "rpm": some(import_keys=some(files=listed(texts))),
        "rhsm": some(config=some(dnf_plugins=some(product_id=some(enabled=flags)))),
        "dnf": some(config=some(set_releasever=flags)),
        "installation_device": texts,
        "fdo": some(
            manufacturing_server_url=texts,
            diun_pub_key_insecure=texts,
            diun_pub_key_hash=texts,
            diun_pub_key_root_certs=texts,
        ),
        "ignition": some(embedded=some({"config": texts}), firstboot=some({"url": texts})),
        "partitioning_mode": st.sampled_from(["raw", "lvm", "auto-lvm"]),
        "fips": some(enabled=flags),
        "installer": some(**{"unattended": flags, "sudo-nopasswd": listed(texts)}),
        "cacerts": some({"pem_certs": listed(texts)}),
    }


def only_in_v1() -> dict[str, Strategy]:
    """Customizations that osbuild blueprints do not support."""
    subscription = {
        "organization": numbers,
        "activation-key": texts,
        "server-url": texts,
        "base-url": texts,
        "insights": flags,
    }
    return {
        "subscription": some(subscription, rhc=flags),
        "payload_repositories": listed(some({"rhsm": flags}, id=names, gpgkey=texts, check_gpg=flags)),
        "aap_registration": some(
            {"ansible_callback_url": texts, "host_config_key": texts}, skip_tls_verification=flags
        ),
    }


def customizations() -> Strategy:
    """Any customizations that the contract allows."""
    return st.one_of(
        st.fixed_dictionaries({}, optional={**sayable_in_toml(), **only_in_v1()}),
        st.fixed_dictionaries({"openscap": some({"policy_id": st.uuids().map(str)})}, optional=only_in_v1()),
    )
