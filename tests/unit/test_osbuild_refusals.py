"""What is no osbuild blueprint in TOML, and is refused by its name."""

import time
import tracemalloc

import pytest

from domain.errors import InvalidRequestError
from domain.osbuild.blueprint import parse_blueprint

LARGEST = 2**64 - 1
# Seconds of the processor; work that grows with the square takes minutes.
LINEAR = 5.0


@pytest.mark.parametrize("key", ["size", "minsize"])
@pytest.mark.parametrize(
    ("size", "number"),
    [
        ("0", 0),
        ("1073741824", 1024**3),
        (f"{2**63 - 1}", 2**63 - 1),
        ('"1073741824"', 1024**3),
        (f'"{LARGEST}"', LARGEST),
        ('"1 kB"', 1000),
        ('"2MB"', 2 * 1000**2),
        ('"3 GB"', 3 * 1000**3),
        ('"4  TB"', 4 * 1000**4),
        ('"1KiB"', 1024),
        ('"2 MiB"', 2 * 1024**2),
        ('"1 GiB"', 1024**3),
        ('"4 TiB"', 4 * 1024**4),
        ('"1.5 GiB"', 3 * 1024**3 // 2),
        ('"0.002 kB"', 2),
        ('" 1 GiB "', 1024**3),
        ('"2.0 MB"', 2 * 1000**2),
    ],
)
def test_sizes_are_numbers_of_bytes(key, size, number):
    found = parse_blueprint(f'[[customizations.filesystem]]\nmountpoint = "/"\n{key} = {size}')
    assert found.customizations["filesystem"] == [{"mountpoint": "/", "min_size": number}]


BAD_SIZES = [
    *("-1", f"{2**64}", "1.5", "1.0", "true", "[]", "{}", "1979-05-27", "inf"),
    *('""', '"-1"', '"+1"', '"1.5"', '"1.0"', '".5 GiB"', '"1. GiB"', '"1,5 GiB"', '"1e3"'),
    *('"1 gib"', '"1 KB"', '"1 B"', '"1 PiB"', '"1 GiB GiB"', '"GiB"', '"1\\tGiB"', '"1\\nGiB"', '"1 GiB\\n"'),
    *('"1.0001 kB"', f'"{2**64}"', '"16777216 TiB"', f'"{"9" * 5000}"', f'"1.{"0" * 5000} kB"', '"\u0661 GiB"'),
]


@pytest.mark.parametrize("key", ["size", "minsize"])
@pytest.mark.parametrize("size", BAD_SIZES)
def test_a_size_that_is_none_is_refused(key, size):
    with pytest.raises(InvalidRequestError) as refused:
        parse_blueprint(f'[[customizations.filesystem]]\nmountpoint = "/"\n{key} = {size}')
    assert refused.value.detail.startswith(f"customizations.filesystem[0].{key}: expected a size")


@pytest.mark.parametrize("size", BAD_SIZES)
@pytest.mark.parametrize(
    ("at", "toml"),
    [
        ("minsize", "minsize = {}\npartitions = []"),
        ("partitions[0].minsize", 'partitions = [{{fs_type = "xfs", minsize = {}}}]'),
        (
            "partitions[0].logical_volumes[0].minsize",
            'partitions = [{{type = "lvm", logical_volumes = [{{fs_type = "xfs", minsize = {}}}]}}]',
        ),
    ],
)
def test_a_size_of_a_disk_that_is_none_is_refused(at, toml, size):
    with pytest.raises(InvalidRequestError) as refused:
        parse_blueprint(f"[customizations.disk]\n{toml.format(size)}")
    assert refused.value.detail.startswith(f"customizations.disk.{at}: expected a size")


@pytest.mark.parametrize(
    ("toml", "detail"),
    [
        ("name = 1", "name: expected text"),
        ("description = []", "description: expected text"),
        ("version = 1.0", "version: expected text"),
        ("distro = 9.6", "distro: expected text"),
        ("packages = {}", "packages: expected a list"),
        ('packages = ["vim"]', "packages[0]: expected a table"),
        ("[[packages]]", "packages[0].name: missing"),
        ('[[packages]]\nname = ""', "packages[0].name: expected text that is not empty"),
        ('[[packages]]\nname = "a"\n[[packages]]\nname = "a"\nversion = 2.9', "packages[1].version: expected text"),
        ("[[modules]]\nname = 1", "modules[0].name: expected text that is not empty"),
        ('[[groups]]\nname = ""', "groups[0].name: expected text that is not empty"),
        ("[[groups]]", "groups[0].name: missing"),
        ("[[containers]]", "containers[0].source: missing"),
        ('[[enabled_modules]]\nstream = "1"', "enabled_modules[0].name: missing"),
        ("[[customizations.group]]\ngid = 1", "customizations.group[0].name: missing"),
        ("[[customizations.sshkey]]\nkey = 'a'", "customizations.sshkey[0].user: missing"),
        ('[[containers]]\nsource = "a"\ntls-verify = "no"', "containers[0].tls-verify: expected true or false"),
        ('[[enabled_modules]]\nname = "a"', "enabled_modules[0].stream: missing"),
        ("customizations = []", "customizations: expected a table"),
        ("[[customizations]]", "customizations: expected a table"),
        ("[customizations]\nhostname = 1", "customizations.hostname: expected text"),
        ("[customizations]\nkernel = 'a'", "customizations.kernel: expected a table"),
        ("[customizations.kernel]\nappend = ['a']", "customizations.kernel.append: expected text"),
        ("[customizations.user]\nname = 'a'", "customizations.user: expected a list"),
        ("[[customizations.user]]", "customizations.user[0].name: missing"),
        ("[[customizations.user]]\nname = 'a'\nkey = 1", "customizations.user[0].key: expected text"),
        ("[[customizations.user]]\nname = 'a'\ngroups = 'a'", "customizations.user[0].groups: expected a list"),
        ("[[customizations.user]]\nname = 'a'\ngroups = [1]", "customizations.user[0].groups[0]: expected text"),
        ("[[customizations.sshkey]]\nuser = 'a'", "customizations.sshkey[0].key: missing"),
        ("[[customizations.group]]\nname = 'a'\ngid = '1'", "customizations.group[0].gid: expected a whole number"),
        ("[[customizations.group]]\nname = 'a'\ngid = true", "customizations.group[0].gid: expected a whole number"),
        (
            f"[[customizations.group]]\nname = 'a'\ngid = {2**63}",
            "customizations.group[0].gid: expected a whole number",
        ),
        ("[customizations.services]\nenabled = 'a'", "customizations.services.enabled: expected a list"),
        ("[customizations]\nfips = 'true'", "customizations.fips: expected true or false"),
        ("[customizations]\nfips = {enabled = true}", "customizations.fips: expected true or false"),
        (
            "[customizations]\npartitioning_mode = 'btrfs'",
            'customizations.partitioning_mode: expected one of raw, lvm, auto-lvm, not "btrfs"',
        ),
        ("[[customizations.filesystem]]\nminsize = 1", "customizations.filesystem[0].mountpoint: missing"),
        ("[[customizations.filesystem]]\nmountpoint = '/'", "customizations.filesystem[0].minsize: missing"),
        ("[customizations.disk]\npartitions = ['a']", "customizations.disk.partitions[0]: expected a table"),
        ("[customizations.disk]\npartitions = [{}]", "customizations.disk.partitions[0].fs_type: missing"),
        (
            "[customizations.disk]\npartitions = [{type = 'zfs'}]",
            'customizations.disk.partitions[0].type: expected one of btrfs, lvm, plain, not "zfs"',
        ),
        (
            "[customizations.disk]\npartitions = [{type = ['lvm']}]",
            "customizations.disk.partitions[0].type: expected text",
        ),
        (
            "[customizations.disk]\npartitions = [{fs_type = 'ntfs'}]",
            'customizations.disk.partitions[0].fs_type: expected one of xfs, ext4, vfat, swap, not "ntfs"',
        ),
        *(
            (
                f"[customizations.disk]\npartitions = [{{{partition}}}]",
                f"customizations.disk.partitions[0].{missing}: missing",
            )
            for partition, missing in (
                ("type = 'btrfs', subvolumes = [{mountpoint = '/'}]", "subvolumes[0].name"),
                ("type = 'btrfs', subvolumes = [{name = 'a'}]", "subvolumes[0].mountpoint"),
                ("type = 'lvm', logical_volumes = [{name = 'a'}]", "logical_volumes[0].fs_type"),
            )
        ),
        ("[customizations.ignition.embedded]", "customizations.ignition.embedded.config: missing"),
        ("[customizations.ignition.firstboot]", "customizations.ignition.firstboot.url: missing"),
        ("[customizations.cacerts]", "customizations.cacerts.pem_certs: missing"),
        ("[customizations.openscap]", "customizations.openscap.profile_id: missing"),
        ("[[customizations.files]]\ndata = ''", "customizations.files[0].path: missing"),
        (
            "[[customizations.files]]\npath = '/a'\nuser = 1.0",
            "customizations.files[0].user: expected a name or a whole number",
        ),
        ("[[customizations.repositories]]\nname = 'a'", "customizations.repositories[0].id: missing"),
        (
            "[[customizations.repositories]]\nid = 'a'\nbaseurls = 'b'",
            "customizations.repositories[0].baseurls: expected a list",
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_its_name(toml, detail):
    with pytest.raises(InvalidRequestError) as refused:
        parse_blueprint(toml)
    assert refused.value.detail == detail


@pytest.mark.parametrize(
    "text",
    [
        *(
            "<html>",
            '{"name": "n"}',
            "name = ",
            "name = 'n'\nname = 'n'",
            "name = 1979-13-01",
            "\0",
            "\ufeff",
            "a = \ud800",
        ),
        *("a = " + "[" * 100_000, "a = " + "{a = " * 20_000, f"a = {'9' * 5000}"),
    ],
)
def test_text_that_is_no_toml_is_refused(text):
    with pytest.raises(InvalidRequestError, match=r"^The blueprint is not TOML: "):
        parse_blueprint(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{'a.' * 100_000}a = 1",
        f"[{'a . ' * 100_000}a]",
        f"[[{'a.' * 100_000}a]]",
        f"x = {{{'a.' * 100_000}a = 1}}",
        '"\\"".' * 50_000 + "a = 1",
        "'#'." * 50_000 + "a = 1",
        f'x = {{y = """a"""", {"a." * 50_000}a = 1}}',
        f"x = {{y = '''a'''', {'a.' * 50_000}a = 1}}",
        f'# "\n{"a." * 50_000}a = 1',
    ],
)
def test_keys_without_end_are_refused_at_once(text):
    began = time.thread_time()
    with pytest.raises(InvalidRequestError, match="a key has more than 20 parts"):
        parse_blueprint(text)
    assert time.thread_time() - began < LINEAR


@pytest.mark.parametrize(
    "text", ["a = " + "1" * 1_000_000, "a = 1." + "1" * 1_000_000, "a = 0x" + "f" * 1_000_000, "a" * 1_000_000 + " = 1"]
)
def test_numbers_and_keys_without_end_are_refused_in_little_memory(text):
    tracemalloc.start()
    with pytest.raises(InvalidRequestError, match="a key or a number has more than 10000 characters"):
        parse_blueprint(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * len(text)


@pytest.mark.parametrize("quote", ['"', "'", '"""', "'''"])
def test_dots_within_text_make_no_long_key(quote):
    data = "1.0." * 50 + "ip6.arpa # '"[: -1 if "'" in quote else None]
    found = parse_blueprint(f"[[customizations.files]]\npath = '/a'\ndata = {quote}{data}{quote}  # {'a.' * 50}")
    assert found.customizations["files"] == [{"path": "/a", "data": data}]


@pytest.mark.parametrize("text", ['"' * 300_000, "'" * 300_000, '"' + '\\"' * 150_000, 'a = """' + '"" ' * 100_000])
def test_quotes_without_end_are_refused_at_once(text):
    began = time.thread_time()
    with pytest.raises(InvalidRequestError, match=r"^The blueprint is not TOML: "):
        parse_blueprint(text)
    assert time.thread_time() - began < LINEAR
