"""Blueprint files that contradict themselves, the query, or good taste: a clear refusal, and nothing is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
import requests

from tests.support.blueprints import kept, listed
from tests.support.service import Client

TOML: Final = {"Content-Type": "application/toml"}
MAX_BODY: Final = 4 * 2**20
DISTRIBUTION: Final = 'distro = "centos-9"\n'
Send = Callable[[Client, str, str], requests.Response]


def create(client: Client, text: str, query: str = "") -> requests.Response:
    return client.request("POST", f"/blueprints?{query}", data=text.encode(), headers=TOML)


def push(client: Client, text: str, query: str = "") -> requests.Response:
    return create(client, text, f"on_conflict=update&{query}")


def change(client: Client, text: str, query: str = "") -> requests.Response:
    """Replace the only blueprint, which is made first."""
    found = listed(client)["data"]
    blueprint_id = found[0]["id"] if found else kept(client, name="before")
    return client.request("PUT", f"/blueprints/{blueprint_id}?{query}", data=text.encode(), headers=TOML)


every_way = pytest.mark.parametrize("send", [create, push, change])


def refused(client: Client, answer: requests.Response, *words: str) -> str:
    """What a refusal says, which holds the words; nothing is stored or changed."""
    assert answer.status_code in {400, 422}, f"{answer.status_code} {answer.text[:500]}"
    errors = answer.json()["errors"]
    assert all(set(error) == {"title", "detail"} for error in errors)
    said = "\n".join(error["detail"] for error in errors)
    for word in words:
        assert word in said, said
    assert [(item["name"], item["version"]) for item in listed(client)["data"]] in ([], [("before", 1)])
    return said


SAME_THING: Final[dict[str, tuple[str, tuple[str, str]]]] = {
    "tls-verify": ('[[containers]]\nsource = "c"\ntls-verify = {}\ntls_verify = {}\n', ("true", "false")),
    "size": (
        '[[customizations.filesystem]]\nmountpoint = "/srv"\nsize = {}\nminsize = {}\n',
        ('"1 GiB"', '"2 GiB"'),
    ),
    "sslverify": (
        '[[customizations.repositories]]\nid = "r"\nmetalink = "https://r.example"\nsslverify = {}\nssl_verify = {}\n',
        ("true", "false"),
    ),
}
BOTH_NAMES: Final = {
    "tls-verify": ("tls-verify", "tls_verify"),
    "size": ("size", "minsize"),
    "sslverify": ("sslverify", "ssl_verify"),
}


@every_way
@pytest.mark.parametrize("thing", SAME_THING)
def test_two_keys_for_the_same_thing_with_different_values_are_both_named(
    client: Client, send: Send, thing: str
) -> None:
    table, values = SAME_THING[thing]
    refused(client, send(client, 'name = "n"\n' + table.format(*values), ""), *BOTH_NAMES[thing])


@pytest.mark.parametrize("thing", ["tls-verify", "sslverify"])
def test_two_keys_for_the_same_thing_with_one_value_are_accepted(client: Client, thing: str) -> None:
    table, (value, _) = SAME_THING[thing]
    assert create(client, 'name = "n"\n' + table.format(value, value)).status_code == 201


@every_way
def test_a_name_in_the_query_that_differs_from_the_files_is_refused(client: Client, send: Send) -> None:
    refused(client, send(client, 'name = "in-the-file"\n', "name=in-the-query"), "name", "in-the-file", "in-the-query")


@every_way
def test_the_query_names_a_file_without_a_name(client: Client, send: Send) -> None:
    assert send(client, DISTRIBUTION, "name=by-query").status_code in {200, 201}
    assert listed(client)["data"][0]["name"] == "by-query"


@every_way
def test_the_same_name_in_the_query_and_in_the_file_is_none_too_many(client: Client, send: Send) -> None:
    assert send(client, 'name = "same"\n', "name=same").status_code in {200, 201}


@every_way
def test_a_file_without_a_name_is_refused_without_one_in_the_query(client: Client, send: Send) -> None:
    refused(client, send(client, DISTRIBUTION, ""), "name")


@every_way
@pytest.mark.parametrize(
    ("file", "query"),
    [
        ('architecture = "aarch64"\n' + DISTRIBUTION, "image_type=vsphere"),
        (DISTRIBUTION, "image_type=vsphere&architecture=aarch64"),
        ("", "image_type=guest-image&image_type=vsphere&architecture=aarch64&distribution=centos-9"),
        ("", "image_type=vsphere&architecture=aarch64&distribution=centos-stream-9"),
    ],
)
def test_an_image_type_that_the_architecture_lacks_is_refused(
    client: Client, send: Send, file: str, query: str
) -> None:
    refused(client, send(client, 'name = "n"\n' + file, query), "image_type", "vsphere", "aarch64")


@pytest.mark.parametrize("alias", ["ami", "vhd"])
def test_an_alias_of_an_image_type_is_what_it_stands_for(client: Client, alias: str) -> None:
    answer = create(client, 'name = "n"\n' + DISTRIBUTION, f"image_type={alias}")
    assert answer.status_code == 201, answer.text


@every_way
@pytest.mark.parametrize("at", ["{} = 1\n", "[customizations.{}]\n", '[[customizations.user]]\nname = "u"\n{} = 1\n'])
def test_of_ten_thousand_unknown_keys_twenty_are_named_and_all_are_counted(client: Client, send: Send, at: str) -> None:
    above, key, rest = at.partition("{}")
    if above.endswith("\n"):
        text = 'name = "n"\n' + above + "".join(f"odd{number:05} {rest.strip()}\n" for number in range(10_000))
    else:
        text = 'name = "n"\n' + "".join(at.format(f"odd{number:05}") for number in range(10_000))
    assert key
    said = refused(client, send(client, text, ""), "odd00000", "odd00019", "10000")
    assert "odd00020" not in said
    assert len(said) < 5_000


def filled(begin: str, entry: str, end: str = "") -> str:
    """TOML of as many entries as a body may hold."""
    room = MAX_BODY - len(begin) - len(end)
    entries: list[str] = []
    number = 0
    while room >= len(made := entry.format(n=number)):
        entries.append(made)
        room -= len(made)
        number += 1
    return begin + "".join(entries) + end


LARGE: Final[dict[str, Callable[[], str]]] = {
    "users' keys": lambda: filled('name = "n"\n', '[[customizations.sshkey]]\nuser = "u{n}"\nkey = "k"\n'),
    "keys of one user": lambda: filled('name = "n"\n', '[[customizations.sshkey]]\nuser = "u"\nkey = "k{n}"\n'),
    "users": lambda: filled('name = "n"\n', '[[customizations.user]]\nname = "u{n}"\nuid = {n}\n'),
    "packages": lambda: filled('name = "n"\n', '[[packages]]\nname = "p{n}"\n'),
    "zones": lambda: filled('name = "n"\n', '[[customizations.firewall.zones]]\nname = "z{n}"\nsources = []\n'),
    "ports": lambda: filled('name = "n"\n[customizations.firewall]\nports = [', '"{n}:tcp",', "]\n"),
    "unknown keys": lambda: filled('name = "n"\n', "k{n} = 1\n"),
    "one text": lambda: filled('name = "n"\n[[customizations.files]]\npath = "/etc/f"\ndata = """', "hello\n", '"""\n'),
    "inline tables": lambda: filled('name = "n"\npackages = [', '{{name="p{n}"}},', "]\n"),
    "lines of inline tables": lambda: filled('name = "n"\npackages = [', '{{name="p{n}",\n}},\n', "]\n"),
    "partitions": lambda: filled(
        'name = "n"\n', '[[customizations.disk.partitions]]\nmountpoint = "/d{n}"\nfs_type = "xfs"\n'
    ),
    "blanks": lambda: filled('name = "n"\n', "\n"),
    "comments": lambda: filled('name = "n"\n', "# {n}\n"),
    "line breaks in a table": lambda: filled('name = "n"\npackages = [{name = "p",', "\n", "}]\n"),
}


@pytest.mark.parametrize("kind", LARGE)
def test_four_mebibytes_are_accepted_or_refused_clearly(client: Client, kind: str) -> None:
    text = LARGE[kind]()
    assert MAX_BODY - 100 < len(text) <= MAX_BODY
    answer = create(client, text, "distribution=centos-9")
    if answer.status_code != 201:
        assert len(refused(client, answer)) < 5_000


@pytest.mark.parametrize(
    ("send", "value"),
    [
        (create, "2026-01-31"),
        (create, "2026-01-31T12:00:00Z"),
        (create, "2026-01-31 12:00:00.5"),
        (create, "12:00:00"),
        (push, "2026-01-31"),
        (change, "2026-01-31"),
    ],
)
@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("name = {}\n", "name"),
        ('name = "n"\nversion = {}\n', "version"),
        ('name = "n"\ndescription = {}\n', "description"),
        ('name = "n"\ndistro = {}\n', "distro"),
        ('name = "n"\n[[packages]]\nname = "p"\nversion = {}\n', "version"),
        ('name = "n"\n[customizations]\nhostname = {}\n', "hostname"),
        ('name = "n"\n[customizations.timezone]\nntpservers = ["a", {}]\n', "ntpservers"),
        ('name = "n"\n[[customizations.user]]\nname = "u"\nexpiredate = {}\n', "expiredate"),
        ('name = "n"\n[[customizations.files]]\npath = "/etc/f"\ndata = {}\n', "data"),
        ('name = "n"\n[[customizations.filesystem]]\nmountpoint = "/srv"\nminsize = {}\n', "minsize"),
        ('name = "n"\n[[customizations.disk.partitions]]\nfs_type = "xfs"\nminsize = {}\n', "minsize"),
        ('name = "n"\ncustomizations = {}\n', "customizations"),
        ('name = "n"\npackages = [{}]\n', "packages"),
    ],
)
def test_a_date_where_a_text_belongs_is_refused_by_its_key(
    client: Client, send: Send, text: str, key: str, value: str
) -> None:
    refused(client, send(client, text.format(value), ""), key)


@every_way
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("architecture=vax", ("architecture", "vax")),
        ("upload_type=ftp", ("upload_type", "ftp")),
        ("image_type=qcow2", ("image_type", "qcow2")),
        ("distribution=nowhere-1", ("distribution", "nowhere-1")),
        ("name=" + "n" * 101, ("name",)),
        ("description=" + "d" * 251, ("description",)),
    ],
)
def test_a_value_of_the_query_that_cannot_be_is_named(
    client: Client, send: Send, query: str, words: tuple[str, ...]
) -> None:
    refused(client, send(client, "", query if "name=" in query else f"name=n&{query}"), *words)


def test_a_way_to_settle_conflicts_that_is_unknown_is_refused(client: Client) -> None:
    refused(client, create(client, 'name = "n"\n', "on_conflict=replace"), "on_conflict", "replace")
