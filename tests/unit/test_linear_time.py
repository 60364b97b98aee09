"""Whatever list of a blueprint is long, the time of all that is done with it grows no faster than the list.

Some lists here are longer than the contract allows: what is done with rows of older programs takes linear time too.
`pytest -s` shows the growth.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import pytest
import tomli_w

from domain.blueprints import lint, rules, secrets
from domain.blueprints.blueprint import Blueprint, extract_body, normalize_body
from domain.blueprints.composing import create_compose_requests
from domain.blueprints.export import export_blueprint
from domain.compose import passwords
from domain.compose.build import write_request
from domain.compose.lookups import Answers, create_follow_up
from domain.compose.request import parse_compose_request
from domain.content import RED_HAT, Template
from domain.errors import InvalidRequestError, RulesViolatedError
from domain.osbuild.blueprint import parse_blueprint, to_osbuild_document
from domain.starts import normalize_request
from tests.support.blueprint_documents import checker
from tests.support.builders import image_request
from tests.support.domain_builders import CONTENT, a_context, a_repository, a_rhel, a_snapshot, a_uuid, known, schemas
from tests.support.rounds import sampled
from tests.support.toml_writer import Form, write_toml

Json = Any

# Work that grows with its square takes 12 seconds at the least, and mostly minutes.
LENGTH: Final = 20_000
# Seconds of the CPU, not of the clock: other processes do not count.
DEADLINE: Final = 8.0

NAMES: Final[Callable[[int], Json]] = "n{}".format
PARTITION: Final = {"type": "plain", "fs_type": "ext4"}
# Every list of the contract's Customizations, and an entry of it with all that is looked up by something.
LISTS: Final[dict[str, Callable[[int], Json]]] = {
    "containers": lambda n: {"source": f"quay.io/c{n}", "name": f"c{n}"},
    "directories": lambda n: {"path": f"/etc/d{n}", "mode": "0755", "user": f"u{n}", "ensure_parents": True},
    "files": lambda n: {"path": f"/etc/f{n}", "data": "eA==", "data_encoding": "base64", "ensure_parents": False},
    "packages": NAMES,
    "enabled_modules": lambda n: {"name": f"m{n}", "stream": "1"},
    "payload_repositories": lambda n: {"id": a_uuid(n), "baseurl": f"https://own.example/{n}", "rhsm": False},
    "custom_repositories": lambda n: {
        "id": a_uuid(n),
        "baseurl": [f"https://own.example/{n}"],
        "filename": f"{n}.repo",
    },
    "custom_repositories[0].baseurl": "https://own.example/{}".format,
    "custom_repositories[0].gpgkey": NAMES,
    "filesystem": lambda n: {"mountpoint": f"/srv/{n}", "min_size": 2**20},
    "disk.partitions": lambda n: {**PARTITION, "mountpoint": f"/srv/{n}", "minsize": "1 GiB"},
    "disk.partitions[0].subvolumes": lambda n: {"name": f"s{n}", "mountpoint": f"/srv/{n}"},
    "disk.partitions[0].logical_volumes": lambda n: {"name": f"v{n}", "fs_type": "xfs", "mountpoint": f"/srv/{n}"},
    "users": lambda n: {"name": f"u{n}", "ssh_key": f"k{n}", "password": "$6$hash"},
    "users[0].groups": NAMES,
    "services.enabled": NAMES,
    "services.disabled": NAMES,
    "services.masked": NAMES,
    "groups": lambda n: {"name": f"g{n}", "gid": n},
    "timezone.ntpservers": NAMES,
    "locale.languages": NAMES,
    "firewall.ports": "{}:tcp".format,
    "firewall.services.enabled": NAMES,
    "firewall.services.disabled": NAMES,
    "firewall.zones": lambda n: {"name": f"z{n}", "sources": ["192.0.2.0/24"]},
    "firewall.zones[0].sources": "192.0.2.{}".format,
    "openscap.tailoring.selected": NAMES,
    "openscap.tailoring.unselected": NAMES,
    "installer.sudo-nopasswd": NAMES,
    "rpm.import_keys.files": "/etc/pki/rpm-gpg/{}".format,
    "cacerts.pem_certs": NAMES,
}
FIRST_ENTRIES: Final[dict[str, Json]] = {
    "custom_repositories": {"id": a_uuid(1), "metalink": "https://own.example/metalink"},
    "users": {"name": "u"},
    "firewall.zones": {"name": "z"},
    "disk.partitions[0].subvolumes": {"type": "btrfs"},
    "disk.partitions[0].logical_volumes": {"type": "lvm"},
}
# Entries that are all the same where they are looked up, or that a blueprint has twice.
ALIKE: Final[dict[str, Callable[[int], Json]]] = {
    "users": lambda n: {"name": "u", "ssh_key": f"k{n}"},
    "payload_repositories": lambda _: {"id": a_uuid(1), "baseurl": "https://own.example/1", "rhsm": False},
    "custom_repositories": lambda _: {"id": a_uuid(1), "baseurl": ["https://own.example/1"]},
    "packages": lambda _: "n",
}


@contextmanager
def in_linear_time() -> Iterator[None]:
    began = time.thread_time()
    yield
    assert time.thread_time() - began < DEADLINE


def customizations(field: str, entry: Callable[[int], Json], length: int = LENGTH) -> Json:
    entries = [entry(number) for number in range(length)]
    above, _, last = field.rpartition(".")
    document: Json = {last: entries}
    if "[0]" in above:
        document.update(FIRST_ENTRIES.get(field) or FIRST_ENTRIES[above.removesuffix("[0]")])
    for name in reversed(above.split(".") if above else []):
        document = {name.removesuffix("[0]"): [document] if name.endswith("[0]") else document}
    if "openscap" in document:
        document["openscap"]["profile_id"] = "cis"
    return document


def a_blueprint(ours: Json) -> Blueprint:
    image = image_request("guest-image")
    body = {"distribution": "rhel-9.8", "image_requests": [image], "customizations": ours}
    return Blueprint(UUID(int=1), "long", "", 1, UUID(int=2), body)


def saved_and_read(ours: Json, length: int) -> None:
    """Save it, save it again, read it, and hold it against a policy that asks for the same and for as much again."""
    body = extract_body({"name": "long", **a_blueprint(ours).body})
    with suppress(RulesViolatedError):
        rules.check({"name": "long", **body})
    hashed = secrets.insert_hashes(body, secrets.find_plain_passwords(body))
    kept = secrets.drop_empty_secrets(hashed)
    secrets.carry_over_secrets(hashed, kept)
    passwords.present_request(normalize_body(kept))
    wanted = {**ours, "kernel": {"append": " ".join(map(str, range(length)))}}
    before = {"packages": [f"b{number}" for number in range(length)]}
    lint.lint_customizations({"packages": ["b1"]}, wanted, before)
    lint.lint_customizations(ours, wanted, ours)
    lint.add_requirements(lint.add_requirements(before, wanted), before)


def exported_and_read_back(ours: Json) -> None:
    exported = export_blueprint(a_blueprint(ours), (), datetime.now(UTC)).document
    written, _ = to_osbuild_document("long", "", "rhel-9.8", exported["customizations"])
    parse_blueprint(tomli_w.dumps(written))


def read_as_toml(form: Form, ours: Json) -> Callable[[], object]:
    """Reading the same customizations in TOML."""
    written, _ = to_osbuild_document("long", "", "rhel-9.8", ours)
    return partial(parse_blueprint, write_toml(written, form))


def composed(ours: Json, image: Json, answers: Answers) -> None:
    """Put the composer's request together, with answers of as many repositories as were asked for."""
    distribution = a_rhel("rhel-9.8", *(a_repository(f"r{number}", rhsm=True) for number in range(3)))
    (request_document,) = create_compose_requests(a_blueprint(ours), "api", None)
    request_document["image_requests"][0].update(image)
    request = parse_compose_request(request_document)
    context = a_context(request, distribution, content=CONTENT, entitled=(distribution,))
    plain = passwords.find_plain_passwords(request.get_customization("users", ()))
    create_follow_up(context.questions, answers)
    made = write_request(context.with_answers(answers))
    normalize_request(passwords.insert_hashes(made, plain))
    passwords.is_redacted(passwords.redact_request(request_document))


EACH_LIST: Final = pytest.mark.parametrize(
    ("field", "entry"),
    sampled(
        [
            *(pytest.param(field, entry, id=field) for field, entry in LISTS.items()),
            *(pytest.param(field, entry, id=f"{field} alike") for field, entry in ALIKE.items()),
        ],
        4,
    ),
)


# Growth

# Inline tables on one line are read as those over several lines are.
FORMS: Final = (Form.TABLES, Form.LINES)
FEW, MANY = 1_000, 8_000
# Eight times the entries take eight times the time, on a busy machine half as much again; 64 times if the work grows
# with the square.
MAX_GROWTH: Final = 20
TRIES: Final = 6


def all_that_is_done(ours: Json, length: int) -> dict[str, Callable[[], object]]:
    """What is done with a blueprint whose list has this length."""
    return {
        "JSON, saved and read": partial(saved_and_read, ours, length),
        "JSON, composed": partial(composed, ours, {}, Answers()),
        "exported in TOML and read back": partial(exported_and_read_back, ours),
        **{f"read in TOML: {form.value}": read_as_toml(form, ours) for form in FORMS},
    }


def measured(call: Callable[[], object]) -> float:
    """Seconds of the CPU."""
    gc.collect()
    # Collections take more time the more objects other tests have left.
    gc.disable()
    try:
        began = time.thread_time()
        call()
        return time.thread_time() - began
    finally:
        gc.enable()


def growth(few: Callable[[], object], many: Callable[[], object]) -> float:
    """How many times as long many entries take as few; the best of some tries, for a busy machine."""
    fastest_few = fastest_many = float("inf")
    for _ in range(TRIES):
        fastest_few, fastest_many = min(fastest_few, measured(few)), min(fastest_many, measured(many))
        if fastest_many <= MAX_GROWTH * fastest_few:
            break
    return fastest_many / fastest_few


def assert_grows_in_line(growths: dict[str, float]) -> None:
    report = "\n".join(f"{found:6.1f} times  {way}" for way, found in growths.items())
    print(f"\nfrom {FEW} to {MANY} entries:\n{report}")  # noqa: T201 - the result, shown by pytest -s
    assert max(growths.values()) <= MAX_GROWTH, report


@EACH_LIST
def test_eight_times_the_entries_take_at_most_twenty_times_the_time(field: str, entry: Callable[[int], Json]) -> None:
    few, many = (all_that_is_done(customizations(field, entry, length), length) for length in (FEW, MANY))
    assert_grows_in_line({way: growth(few[way], many[way]) for way in few})


@EACH_LIST
def test_a_list_is_checked_by_the_schema_in_linear_time(field: str, entry: Callable[[int], Json]) -> None:
    most = min(MANY, dict(lists_below(schemas()["Customizations"], ""))[field.replace("[0]", "[]")])

    def check(length: int) -> None:
        checker("Customizations").accept(customizations(field, entry, length))

    assert_grows_in_line({"JSON, accepted": growth(partial(check, most // (MANY // FEW)), partial(check, most))})
    if most < MANY:
        with in_linear_time(), pytest.raises(InvalidRequestError):
            check(MANY)


def test_every_list_of_the_contract_is_tried() -> None:
    found = dict(lists_below(schemas()["Customizations"], ""))
    assert set(found) == {field.replace("[0]", "[]") for field in LISTS}


def lists_below(schema: Json, field: str) -> Iterator[tuple[str, int]]:
    """The lists of a schema, and how many entries each may have."""
    while "$ref" in schema:
        schema = schemas()[schema["$ref"].rpartition("/")[2]]
    for form in schema.get("oneOf", ()):
        yield from lists_below(form, field)
    if "items" in schema:
        yield field, schema["maxItems"]
        yield from lists_below(schema["items"], f"{field}[]")
    for name, below in schema.get("properties", {}).items():
        yield from lists_below(below, f"{field}.{name}".removeprefix("."))


# Repositories that content sources knows

OWN: Final = tuple(known(n, f"https://own.example/{n}", origin="external", gpg_key="K") for n in range(LENGTH))
THEIRS: Final = tuple(known(n, f"https://cdn.example/{n}", origin=RED_HAT, label=f"l{n}") for n in range(LENGTH))
SNAPSHOTS: Final = tuple(map(a_snapshot, range(LENGTH)))
DATE: Final = {"snapshot_date": "2026-01-31"}
TEMPLATE: Final = {"content_template": a_uuid(7)}
BASE: Final = tuple(known(LENGTH + n, f"https://mirror.example/r{n}") for n in range(3))
BASE_SNAPSHOTS: Final = tuple(a_snapshot(LENGTH + n) for n in range(3))
OF_TEMPLATE: Final = Template(a_uuid(7), "t", tuple(map(a_uuid, range(LENGTH))), SNAPSHOTS)


@pytest.mark.parametrize("field", ["payload_repositories", "custom_repositories"])
@pytest.mark.parametrize(
    ("image", "answers"),
    [
        ({}, Answers(red_hat=BASE, customer=OWN)),
        ({}, Answers(red_hat=(*BASE, *THEIRS))),
        (DATE, Answers(red_hat=BASE, customer=OWN, snapshots=(*BASE_SNAPSHOTS, *SNAPSHOTS))),
        (DATE, Answers(red_hat=(*BASE, *THEIRS), snapshots=(*BASE_SNAPSHOTS, *SNAPSHOTS))),
        (TEMPLATE, Answers(red_hat=THEIRS, template=OF_TEMPLATE)),
    ],
    ids=["own", "Red Hat's", "own by date", "Red Hat's by date", "template"],
)
def test_repositories_are_found_among_as_many_in_linear_time(field: str, image: Json, answers: Answers) -> None:
    ours = customizations(field, LISTS[field])
    if field == "custom_repositories":
        ours["subscription"] = {
            "organization": 1,
            "activation-key": "k",
            "server-url": "s",
            "base-url": "b",
            "insights": False,
            "rhc": False,
        }
    with in_linear_time():
        composed(ours, image, answers)


# Upload options


@pytest.mark.parametrize("option", ["share_with_accounts", "share_with_sources"])
def test_accounts_are_shared_with_in_linear_time(option: str) -> None:
    names = [f"a{number}" for number in range(LENGTH)]
    upload = {"type": "aws", "options": {option: names}}
    with in_linear_time():
        composed({}, {"image_type": "aws", "upload_request": upload}, Answers(accounts=dict.fromkeys(names, "1")))


# Files in TOML

TABLES: Final[dict[str, str]] = {
    "keys of as many users": '[[customizations.sshkey]]\nuser = "u{n}"\nkey = "k"\n',
    "keys of one user": '[[customizations.sshkey]]\nuser = "u"\nkey = "k{n}"\n',
    "packages": '[[packages]]\nname = "p{n}"\nversion = "1.{n}"\n',
    "package groups": '[[groups]]\nname = "g{n}"\n',
    "unknown tables": '[customizations.unknown{n}]\nk = "v"\n',
    "unknown keys": '[unknown.k{n}]\nk."b.{n}".c = [{{d = 1}}, 2]\n',
}


@pytest.mark.parametrize("table", [pytest.param(table, id=name) for name, table in sampled(TABLES.items(), 3)])
def test_eight_times_the_tables_take_at_most_twenty_times_the_time(table: str) -> None:
    few, many = (
        partial(parse_blueprint, 'name = "long"\n' + "".join(map(partial(_filled, table), range(length))))
        for length in (FEW, MANY)
    )
    assert_grows_in_line({"read in TOML": growth(few, many)})


def _filled(table: str, number: int) -> str:
    return table.format(n=number)
