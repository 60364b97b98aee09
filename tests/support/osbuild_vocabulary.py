"""Valid osbuild blueprints at random, over every key that osbuild has.

A blueprint is a document as TOML has it. `in_json` says the same in this API's customizations.
"""

from __future__ import annotations

import base64
import copy
import string
from collections.abc import Callable, Mapping
from typing import Any, Final

from hypothesis import strategies as st

from tests.support.osbuild_meaning import distribution, in_bytes

Json = dict[str, Any]
Strategy = st.SearchStrategy[Any]

_LETTERS: Final = string.ascii_lowercase + string.digits
MIB: Final = 2**20
ARMORED_KEY: Final = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENBAEBCAA=\n=AAAA\n-----END PGP PUBLIC KEY BLOCK-----\n"
# Each has guest images of both architectures.
DISTRIBUTIONS: Final = (
    *("centos-9", "centos-stream-9", "centos-10", "rhel-9.6", "rhel-96", "rhel-92", "rhel-9.2", "rhel-89", "rhel-8.9"),
    *("rhel-810", "rhel-8.10", "rhel-98"),
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
names = st.text(_LETTERS, min_size=1, max_size=8)
words = names | st.builds("{}-{}".format, names, names)
# As facts on osbuild have it: ^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,31}$
accounts = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", fullmatch=True) | st.sampled_from(
    ["root", "_", ".x", "9lives", "a" * 32]
)
flags = st.booleans()
ids = st.integers(0, 60_000)
# ^0?[0-7]{3}$, and none at all, which is the empty text.
modes = st.integers(0, 0o777).flatmap(lambda mode: st.sampled_from([f"{mode:03o}", f"0{mode:03o}"])) | st.just("")
owners = accounts | ids
urls = names.map("https://{}.example.com/repo".format)
_blanks = st.sampled_from(["", "", " ", "  "])


def listed(items: Strategy, least: int = 0, most: int = 3, unique_by: Any = None) -> Strategy:
    """A short list."""
    return st.lists(items, min_size=least, max_size=most, unique_by=unique_by)


def some(required: dict[str, Strategy] | None = None, /, **optional: Strategy) -> Strategy:
    """A table with all required keys and any of the others."""
    return st.fixed_dictionaries(required or {}, optional=optional)


def by(key: str) -> Callable[[Json], Any]:
    """What makes tables of a list differ."""
    return lambda table: table[key]


def sizes() -> Strategy:
    """Sizes of a mebibyte at the least, in every form: a number, or a text with and without a unit and blanks."""
    numbers = st.integers(1, 4096) | st.integers(1, 40).map(lambda halves: f"{halves}.5")
    units = st.sampled_from(["MiB", "GiB", "TiB", "GB", "TB"])
    with_unit = st.builds("{}{}{}{}{}".format, _blanks, numbers, _blanks, units, _blanks)
    in_bytes_as_text = st.builds("{}{}{}".format, _blanks, st.integers(MIB, 2**44), _blanks)
    small_units = st.builds("{} {}".format, st.integers(1100, 9999), st.sampled_from(["KiB", "kB"]))
    return st.one_of(st.integers(MIB, 2**44), in_bytes_as_text, with_unit, small_units)


_ROOTS: Final = ("/etc", "/opt", "/srv", "/usr/local", "/usr/local/bin", "/var/lib", "/home/u", "/root", "/mnt/x")


def directories() -> Strategy:
    """Directories where osbuild lets one be made; none has the name of a file."""
    paths = st.builds("{}/d-{}{}".format, st.sampled_from(_ROOTS), names, st.sampled_from(["", "/below"]))
    node = some({"path": paths}, mode=modes, user=owners, group=owners, ensure_parents=flags)
    return listed(node, unique_by=by("path"))


def files() -> Strategy:
    """Files of text, as text or in base64, where osbuild lets one be made."""
    paths = st.builds("{}/f-{}".format, st.sampled_from(_ROOTS), names)
    common = {"mode": modes, "user": owners, "group": owners}
    plain = some({"path": paths}, **common, data=texts, data_encoding=st.just("plain"), ensure_parents=flags)
    data = texts.map(lambda text: base64.b64encode(text.encode()).decode())
    encoded = some({"path": paths, "data": data, "data_encoding": st.just("base64")}, **common, ensure_parents=flags)
    return listed(plain | encoded, unique_by=by("path"))


def users() -> Strategy:
    """Users with all fields."""
    user = some(
        {"name": accounts},
        description=texts,
        password=names.map("password-{}".format) | st.just("$6$salt$" + "x" * 86) | st.just(""),
        key=names.map("ssh-ed25519 {}".format),
        home=names.map("/home/{}".format),
        shell=st.sampled_from(["/bin/bash", "/usr/sbin/nologin"]),
        groups=listed(accounts, unique_by=str),
        uid=ids,
        gid=ids,
    )
    return listed(user, unique_by=by("name"))


def ssh_keys() -> Strategy:
    """Keys of users, several of one user among them."""
    key = st.builds("ssh-rsa {} {}".format, names, names)
    return listed(st.fixed_dictionaries({"user": st.sampled_from(["root", "admin"]) | accounts, "key": key}), most=4)


def _mountpoints(below: str) -> Strategy:
    return names.map(f"/srv/{below}-{{}}".format)


@st.composite
def disks(draw: st.DrawFn) -> Json:
    """Disks with partitions of every kind, and the short forms."""
    common = {"minsize": sizes(), "part_type": st.uuids().map(str)}
    types = st.sampled_from(["ext4", "xfs"])
    swap = some({"fs_type": st.just("swap")}, **common, type=st.just("plain"))
    plain = some({"fs_type": types, "mountpoint": _mountpoints("p")}, **common, type=st.just("plain"), label=names)
    volume = some({"fs_type": types, "mountpoint": _mountpoints("v"), "name": names}, minsize=sizes(), label=names)
    volumes = some(
        {"type": st.just("lvm")},
        **common,
        name=names,
        logical_volumes=listed(volume, unique_by=(by("name"), by("mountpoint"))),
    )
    subvolume = st.fixed_dictionaries({"name": names, "mountpoint": _mountpoints("s")})
    btrfs = some(
        {
            "type": st.just("btrfs"),
            "subvolumes": listed(subvolume, 1, unique_by=(by("name"), by("mountpoint"))),
        },
        **common,
    )
    disk = draw(some(type=st.just("gpt"), minsize=sizes()))
    partitions = draw(listed(plain, unique_by=by("mountpoint")))
    partitions += draw(listed(swap, most=1)) + draw(listed(volumes | btrfs, most=1))
    if partitions or draw(flags):
        disk["partitions"] = draw(st.permutations(partitions))
    return disk or {"type": "gpt"}


def filesystems() -> Strategy:
    """File systems, whose size has two names."""
    mountpoint = st.sampled_from(["/", "/var", "/home", "/usr", "/boot", "/opt", "/var/log"]) | _mountpoints("f")
    return listed(
        st.builds(
            lambda mountpoint, key, size: {"mountpoint": mountpoint, key: size},
            mountpoint,
            st.sampled_from(["minsize", "minsize", "size"]),
            sizes(),
        ),
        unique_by=by("mountpoint"),
    )


@st.composite
def repositories(draw: st.DrawFn) -> Json:
    """A repository with an id and an address, and a key where it is to be checked."""
    repository = draw(
        some(
            {"id": words},
            name=texts,
            filename=names | names.map("{}.repo".format),
            **dict.fromkeys(["repo_gpgcheck", "enabled", "sslverify", "module_hotfixes"], flags),
            priority=st.integers(1, 99),
        )
    )
    address = draw(st.sampled_from(["baseurls", "metalink", "mirrorlist"]))
    repository[address] = draw(listed(urls, 1) if address == "baseurls" else urls)
    if draw(flags):
        repository["gpgkeys"] = draw(listed(st.just(ARMORED_KEY) | urls, 1, 2))
        repository["gpgcheck"] = draw(flags)
    return repository


def openscap() -> Strategy:
    """OpenSCAP with all fields but a policy, which only the platform has; one kind of tailoring at a time."""
    rules = names.map("xccdf_org.ssgproject.content_rule_{}".format)
    profile = {"profile_id": names.map("xccdf_org.ssgproject.content_profile_{}".format)}
    datastream = st.just("/usr/share/xml/scap/ssg/content/ssg-cs9-ds.xml")
    json_tailoring = st.fixed_dictionaries({**profile, "filepath": names.map("/etc/osbuild/{}.json".format)})
    return some(
        profile, datastream=datastream, tailoring=some(selected=listed(rules), unselected=listed(rules))
    ) | some(profile, datastream=datastream, json_tailoring=json_tailoring)


def firewall() -> Strategy:
    """Ports by number, range and name of a service, services, zones."""
    ports = st.builds(
        "{}:{}".format,
        st.integers(1, 65_535).map(str) | st.just("1024-2048"),
        st.sampled_from(["tcp", "udp", "sctp", "dccp"]),
    )
    zone = st.fixed_dictionaries({"name": names, "sources": listed(st.just("192.0.2.0/24") | st.just("10.0.0.0/8"), 1)})
    return some(
        ports=listed(ports, unique_by=str),
        services=some(enabled=listed(names), disabled=listed(names)),
        zones=listed(zone, unique_by=by("name")),
    )


def rhsm() -> Strategy:
    """The subscription manager's settings."""
    plugin = some(enabled=flags)
    manager = some(
        rhsm=some(manage_repos=flags, auto_enable_yum_plugins=flags), rhsmcertd=some(auto_registration=flags)
    )
    plugins = some(product_id=plugin, subscription_manager=plugin)
    return some(config=some(dnf_plugins=plugins, subscription_manager=manager))


def _customizations() -> dict[str, Strategy]:
    services = listed(names, 1, unique_by=str)
    return {
        "hostname": names.map("{}.example.com".format),
        "kernel": some(name=st.sampled_from(["kernel", "kernel-rt"]), append=words),
        "sshkey": ssh_keys(),
        "user": users(),
        "group": listed(some({"name": accounts}, gid=ids), unique_by=by("name")),
        "timezone": some(timezone=st.sampled_from(["Europe/Prague", "UTC"]), ntpservers=listed(names)),
        "locale": some(languages=listed(st.sampled_from(["cs_CZ.UTF-8", "C.UTF-8"])), keyboard=st.just("cz")),
        "firewall": firewall(),
        "services": some(enabled=services, disabled=services, masked=services),
        "installation_device": st.just("/dev/sda"),
        "partitioning_mode": st.sampled_from(["raw", "lvm", "auto-lvm", ""]),
        "fdo": some({"manufacturing_server_url": urls}, diun_pub_key_insecure=st.just("true"), diun_pub_key_hash=names),
        "openscap": openscap(),
        "ignition": some(embedded=st.just({"config": "e30="})) | some(firstboot=st.fixed_dictionaries({"url": urls})),
        "directories": directories(),
        "files": files(),
        "repositories": listed(repositories(), unique_by=(by("id"), lambda each: each.get("filename", each["id"]))),
        "fips": flags,
        "installer": some(**{"unattended": flags, "sudo-nopasswd": listed(st.just("%wheel") | accounts)}),
        "rpm": some(import_keys=some(files=listed(names.map("/etc/pki/rpm-gpg/{}".format)))),
        "rhsm": rhsm(),
        "dnf": some(config=some(set_releasever=flags)),
        "cacerts": st.fixed_dictionaries(
            {"pem_certs": st.just(["-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"])}
        ),
    }


@st.composite
def blueprints(draw: st.DrawFn) -> Json:
    """A valid osbuild blueprint."""
    versions = st.sampled_from(["", "*", "2.*", "1.0-3"])
    packages = listed(some({"name": words}, version=versions), unique_by=by("name"))
    module = st.fixed_dictionaries({"name": words, "stream": st.sampled_from(["18", "3.11"])})
    tls_verify = st.sampled_from(["tls-verify", "tls_verify"])
    container = st.builds(
        lambda fields, key, verify: {**fields, **({} if verify is None else {key: verify})},
        some({"source": names.map("quay.io/c/{}:latest".format)}, name=names.map("localhost/{}".format)),
        tls_verify,
        st.none() | flags,
    )
    document: Json = draw(
        some(
            {"name": words},
            description=texts,
            version=st.sampled_from(["0.0.1", "4.5.6", "1.2.3-beta", ""]),
            distro=st.sampled_from(DISTRIBUTIONS),
            architecture=st.sampled_from(["x86_64", "aarch64", ""]),
            packages=packages,
            modules=packages,
            groups=listed(st.fixed_dictionaries({"name": words}), unique_by=by("name")),
            enabled_modules=listed(module, unique_by=by("name")),
            containers=listed(container, unique_by=by("source")),
        )
    )
    available = _customizations()
    chosen = draw(st.lists(st.sampled_from(sorted(available)), max_size=8, unique=True))
    custom = {key: draw(available[key]) for key in chosen}
    # osbuild takes one or the other.
    division = draw(st.sampled_from(["disk", "filesystem", None]))
    if division:
        custom[division] = draw(disks() if division == "disk" else filesystems())
    if custom or draw(flags):
        document["customizations"] = custom
    return document


def in_json(document: Mapping[str, Any]) -> Json:
    """The same blueprint in this API's terms: the body of POST /blueprints without image requests."""
    custom = copy.deepcopy(dict(document.get("customizations", {})))
    ours: Json = {}
    packages = [_package(each) for key in ("packages", "modules") for each in document.get(key, ())]
    packages += [f"@{group['name']}" for group in document.get("groups", ())]
    if packages:
        ours["packages"] = packages
    if "enabled_modules" in document:
        ours["enabled_modules"] = document["enabled_modules"]
    if "containers" in document:
        ours["containers"] = [
            {key.replace("tls-verify", "tls_verify"): value for key, value in each.items()}
            for each in document["containers"]
        ]
    people = _users(custom.pop("user", []), custom.pop("sshkey", []))
    ours |= {"users": people} if people else {}
    ours |= {"groups": custom.pop("group")} if "group" in custom else {}
    if "filesystem" in custom:
        ours["filesystem"] = [
            {"mountpoint": each["mountpoint"], "min_size": in_bytes(each.get("minsize", each.get("size")))}
            for each in custom.pop("filesystem")
        ]
    if "repositories" in custom:
        ours["custom_repositories"] = [_repository(each) for each in custom.pop("repositories")]
    if "fips" in custom:
        ours["fips"] = {"enabled": custom.pop("fips")}
    if "disk" in custom:
        ours["disk"] = _with_texts(custom.pop("disk"))
    body: Json = {"name": document["name"], "customizations": {**ours, **custom}}
    if document.get("description"):
        body["description"] = document["description"]
    if document.get("distro"):
        body["distribution"] = distribution(document["distro"])
    return body


def _package(package: Mapping[str, Any]) -> str:
    version = package.get("version", "")
    return str(package["name"]) if version in ("", "*") else f"{package['name']}-{version}"


def _users(users: list[Json], keys: list[Json]) -> list[Json]:
    found = [{("ssh_key" if key == "key" else key): value for key, value in user.items()} for user in users]
    for each in keys:
        user = next((user for user in found if user["name"] == each["user"]), None)
        if user is None:
            found.append({"name": each["user"], "ssh_key": each["key"]})
        else:
            user["ssh_key"] = "\n".join(filter(None, [user.get("ssh_key", ""), each["key"]]))
    return found


def _repository(repository: Json) -> Json:
    names_in_json = {
        "baseurls": "baseurl",
        "gpgkeys": "gpgkey",
        "gpgcheck": "check_gpg",
        "repo_gpgcheck": "check_repo_gpg",
        "sslverify": "ssl_verify",
    }
    return {names_in_json.get(key, key): value for key, value in repository.items()}


def _with_texts(disk: Any) -> Any:
    """A disk whose sizes are texts, as JSON has them."""
    if isinstance(disk, list):
        return [_with_texts(each) for each in disk]
    if isinstance(disk, dict):
        return {key: str(value) if key == "minsize" else _with_texts(value) for key, value in disk.items()}
    return disk
