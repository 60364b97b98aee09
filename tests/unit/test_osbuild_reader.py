"""The independent reader of TOML exports, its writer, and the blueprints at random that tests write with it."""

import tomllib
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.osbuild_faults import FAULTS
from tests.support.osbuild_meaning import of_customizations, of_osbuild
from tests.support.osbuild_reader import UnreadableError, check_answer, read_export, read_remarks
from tests.support.osbuild_vocabulary import blueprints, in_json
from tests.support.toml_writer import Form, write_toml

often = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])

DISK = """
name = "n"
[customizations.disk]
[[customizations.disk.partitions]]
type = "lvm"
minsize = "1.5 GiB"
[[customizations.disk.partitions.logical_volumes]]
minsize = 0
fs_type = "swap"
[[customizations.disk.partitions]]
type = "btrfs"
minsize = "0"
[[customizations.disk.partitions.subvolumes]]
name = "s"
mountpoint = "/s"
"""


@pytest.mark.parametrize(
    "text",
    [
        'name = "n"',
        "# {[\nname = 'n' # [{\n",
        DISK,
        'name = "n"\npackages = []\n[customizations]\nkernel = {append = "a"}',
        'name = "n"\n[customizations.cacerts]\npem_certs = ["[{", \'[{\', """\n[{ \\" "" {""", \'\'\'{\'\'\']\n',
        'name = "n"\n  [[groups]]  # [\n  name = "g" # {',
        'name = "n"\n[[groups]]\n"name" = """g"""\n[customizations]\nhostname = "}"',
    ],
)
def test_what_osbuild_reads_is_read(text):
    assert read_export(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "no TOML"),
        ('name = "n"\ngroups = [{\n name = "g"}]', "no TOML"),
        ('name = "n"\ngroups = [{name = "g"}]', "line 2: an inline table"),
        ('name = """\n"""\ngroups = [\n  {name = "g"}]', "line 4: an inline table"),
        ("name = 'n'\n[customizations]\ndisk = {partitions = [{fs_type = 'xfs', minsize = 1}]}", "inline table"),
        ('name = "n"\n[[customizations.disk.partitions]]\nminsize = 1\nlogical_volumes = [{minsize = 1}]', "inline"),
        ('name = "n"\ngroups = [["{"], [{name = "g"}]]', "inline table"),
        ('description = "n"', "name"),
        ('name = ""', "name"),
        ("name = 7", "name: a text"),
        ('name = "n"\nflavour = 1', "flavour: no such key"),
        ('name = "n"\npackages = ["vim"]', r"packages\[0\]: a table"),
        ('name = "n"\n[[packages]]\nversion = "*"', r"packages\[0\].name"),
        ('name = "n"\n[[containers]]\nsource = "c"\ntls_verify = true', "tls_verify: no such key"),
        ('name = "n"\n[customizations]\nhostname = 2026-01-01', "hostname: a text"),
        ('name = "n"\n[customizations]\nfips = "true"', "fips"),
        (f'name = "n"\n[[customizations.group]]\nname = "g"\ngid = {2**63}', "gid"),
        ('name = "n"\n[[customizations.user]]\nuid = 1', "name"),
        ('name = "n"\n[[customizations.sshkey]]\nuser = "u"', "key"),
        (DISK.replace('minsize = "1.5 GiB"\n', ""), r"partitions\[0\].minsize"),
        (DISK.replace("minsize = 0\n", ""), r"logical_volumes\[0\].minsize"),
        (DISK.replace("1.5 GiB", "1.5 gib"), "a size"),
        (DISK.replace("1.5 GiB", "1.5"), "a size"),
        (DISK.replace("minsize = 0\n", "minsize = -1\n"), "a size"),
        (DISK.replace('type = "lvm"', 'type = "plain"'), "logical_volumes: no such key"),
        (DISK.replace('type = "lvm"', 'type = ""'), "plain or btrfs or lvm"),
        (DISK.replace('mountpoint = "/s"', 'mountpoint = ""'), "mountpoint"),
        ('name = "n"\n[[customizations.filesystem]]\nmountpoint = "/a"', "size above zero"),
        ('name = "n"\n[[customizations.filesystem]]\nmountpoint = "/a"\nminsize = 0', "size above zero"),
        ('name = "n"\n[[customizations.filesystem]]\nmountpoint = "/a"\nminsize = "0 GiB"', "size above zero"),
        ('name = "n"\n[[customizations.filesystem]]\nmountpoint = "/a"\nminsize = 1\nsize = 1', "size above zero"),
        ('name = "n"\n[[customizations.repositories]]\nid = "i"\nbaseurl = ["x"]', "baseurl: no such key"),
        ('name = "n"\n[[customizations.files]]\npath = "/a"\nuser = true', "user"),
    ],
)
def test_what_osbuild_refuses_is_refused(text, words):
    with pytest.raises(UnreadableError, match=words):
        read_export(text)


def test_only_blueprints_in_toml_are_read_of_answers():
    check_answer(200, "application/json", b"{}")
    check_answer(400, "application/toml", b"{}")
    check_answer(200, "application/toml; charset=utf-8", b'name = "n"')
    with pytest.raises(UnreadableError):
        check_answer(200, "application/toml", b"{}")


def test_remarks_are_the_comment_above_the_document():
    assert read_remarks('# a\n# b\n\nname = "n"\n# c\n') == "# a\n# b\n"
    assert read_remarks('name = "n"\n# c\n') == ""
    assert read_remarks("# a") == "# a"


# The writer

values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab. \"'\n", max_size=3), inner, max_size=3),
    max_leaves=12,
)


@often
@given(document=st.dictionaries(st.text('abc-_ ."\\é\x7f', max_size=3), values, max_size=4))
@pytest.mark.parametrize("form", [Form.TABLES, Form.INLINE])
def test_the_writer_writes_what_it_is_given(form, document):
    assert tomllib.loads(write_toml(document, form)) == document


def test_the_writer_writes_every_form():
    document = {"at": date(2026, 1, 1), "a": [{"b": [{"c": 1}]}]}
    assert write_toml(document) == "at = 2026-01-01\n[[a]]\n[[a.b]]\nc = 1\n"
    assert write_toml(document, Form.INLINE) == "at = 2026-01-01\na = [{b = [{c = 1}]}]\n"
    assert write_toml(document, Form.LINES) == "at = 2026-01-01\na = [{\n  b = [{\n  c = 1,\n}],\n}]\n"


# Blueprints at random


@often
@given(document=blueprints())
def test_blueprints_at_random_say_the_same_in_json(document):
    body = in_json(document)
    fields = {
        "name": body["name"],
        "description": body.get("description"),
        "distribution": body.get("distribution"),
        "version": document.get("version"),
        "architecture": document.get("architecture") or "x86_64",
    }
    assert of_customizations(body["customizations"], **fields) == of_osbuild(document)


def test_each_fault_has_a_name_of_its_own():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
