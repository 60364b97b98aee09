"""What holds for any blueprint (issue 5, 4)."""

import json
from datetime import datetime

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from domain.blueprints import rules, secrets
from domain.blueprints.blueprint import extract_body, normalize_body
from domain.blueprints.composing import create_compose_requests
from domain.blueprints.export import COMMUNITY_URLS, export_blueprint, find_community_urls
from domain.blueprints.lint import add_requirements, lint_customizations
from domain.compose.customization_rules import find_path_fault
from domain.compose.passwords import present_request
from domain.compose.paths import GENERAL
from domain.content import COMMUNITY
from tests.support.blueprint_documents import (
    MARK,
    REGISTERING_FILES,
    a_blueprint,
    checker,
    customizations,
    documents,
    policies,
    policy_wants,
    with_hashed_passwords,
)
from tests.support.domain_builders import known
from tests.support.rounds import repeated

AT = datetime(2026, 1, 31, 12)
KNOWN = [known(number, url, name="EPEL", origin=COMMUNITY) for number, url in enumerate(COMMUNITY_URLS)]
NO_POLICY = "00000000-0000-0000-0000-000000000000"
# Most of all such as have what policies are about.
any_customizations = customizations() | st.fixed_dictionaries({}, optional=policy_wants())
STATES = ("enabled", "masked", "disabled")
CONTRADICTING = {"enabled": ("masked", "disabled"), "masked": ("enabled",), "disabled": ("enabled",)}

often = settings(deadline=None, max_examples=repeated(30, 100))


def stored(document):
    """The body of a new blueprint, as it is read of its row."""
    body = secrets.drop_empty_secrets(with_hashed_passwords(extract_body(document)))
    return normalize_body(json.loads(json.dumps(body)))


def users_of(body):
    return body["customizations"].get("users", [])


def without_secrets(user):
    return {name: value for name, value in user.items() if name not in ("password", "hasPassword") and value != ""}


def without(customizations, *names):
    return {name: value for name, value in customizations.items() if name not in names}


def with_users_as(body, change):
    users = {"users": [change(user) for user in users_of(body)]} if "users" in body["customizations"] else {}
    return {**body, "customizations": {**body["customizations"], **users}}


@often
@given(document=documents())
def test_a_document_at_random_breaks_no_rule(document):
    rules.check(document)


@often
@given(document=documents())
def test_an_export_never_contains_a_secret(document):
    """Not of a blueprint stored today, nor of an old one that was stored as it was sent."""
    event(f"marked: {MARK in json.dumps(document)}")
    for body in (stored(document), normalize_body(document)):
        blueprint = a_blueprint(name=document["name"], **body)
        text = json.dumps(export_blueprint(blueprint, KNOWN, AT).document)
        assert MARK not in text
        assert not any(path in text for path in REGISTERING_FILES)
        assert not any(user["password"] in text for user in users_of(body) if user.get("password"))


@often
@given(document=documents())
def test_an_export_has_all_that_binds_to_nobody(document):
    body = stored(document)
    found = export_blueprint(a_blueprint(**body), (), AT).document
    ours = without(body["customizations"], "subscription", "cacerts", "users", "files", "aap_registration")
    assert without(found["customizations"], "users", "files", "aap_registration") == ours
    for name in ("distribution", "bootc"):
        assert found.get(name) == body.get(name)
    assert checker("BlueprintExportResponse").is_valid(found)


@often
@given(document=documents())
def test_what_is_stored_has_no_plain_password(document):
    assert not [user for user in users_of(stored(document)) if not user.get("password", "$").startswith("$")]


@often
@given(document=documents())
def test_a_blueprint_is_read_back_as_it_was_sent_less_the_secrets(document):
    sent, read = extract_body(document), present_request(stored(document))
    assert with_users_as(read, without_secrets) == with_users_as(sent, without_secrets)
    assert '"password"' not in json.dumps(users_of(read))
    assert [user["hasPassword"] for user in users_of(read)] == [bool(user.get("password")) for user in users_of(sent)]


@often
@given(document=documents())
def test_saving_what_was_read_changes_nothing(document):
    before = stored(document)
    read = {**document, **present_request(before)}
    sent = checker("CreateBlueprintRequest").accept(json.loads(json.dumps(read)))
    rules.check(sent)
    assert secrets.carry_over_secrets(with_hashed_passwords(extract_body(sent)), before) == before


left_over = st.dictionaries(st.sampled_from(["name", "description", "metadata"]), st.none() | st.text(max_size=3))
nulls = st.lists(st.sampled_from(["packages", "users", "kernel", "openscap", "hostname", "fdo", "cacerts"]))


@often
@given(document=documents(), left_over=left_over, nulls=nulls, said=st.booleans())
def test_what_older_programs_left_in_a_body_is_as_if_it_were_not_there(document, left_over, nulls, said):
    body = stored(document)
    old = with_users_as(body, lambda user: {**user, "hasPassword": said})["customizations"]
    old = {**dict.fromkeys(nulls), **old}
    if "profile_id" in (old.get("openscap") or {}):
        old["openscap"] = {**old["openscap"], "policy_id": NO_POLICY}
    assert normalize_body({**left_over, **body, "customizations": old}) == body


@often
@given(document=documents(), name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_every_image_of_a_blueprint_is_a_compose_request(document, name):
    requests = create_compose_requests(a_blueprint(name=name, **stored(document)), "api", None)
    assert [request["image_requests"] for request in requests] == [[image] for image in document["image_requests"]]
    for request in requests:
        assert name.startswith(request["image_name"])
        checker("ComposeRequest").accept(json.loads(json.dumps(request)))


@often
@given(ours=any_customizations, required=policies())
def test_a_fixed_blueprint_lacks_nothing(ours, required):
    event(f"lacked something: {bool(lint_customizations(ours, required, {}).errors)}")
    made = add_requirements(ours, required)
    assert lint_customizations(made, required, {}).errors == ()
    assert add_requirements(made, required) == made
    assert checker("Customizations").is_valid(json.loads(json.dumps(made)))


@often
@given(ours=any_customizations, required=policies())
def test_a_fixed_blueprint_has_lost_nothing_that_the_policy_does_not_contradict(ours, required):
    made = add_requirements(ours, required)
    theirs = {"packages", "filesystem", "services", "kernel", "fips"}
    assert {name: ours[name] for name in ours if name not in theirs} == {
        name: made[name] for name in made if name not in theirs
    }
    for name in ("packages", "filesystem"):
        assert made.get(name, [])[: len(ours.get(name, []))] == ours.get(name, [])
    assert set(kernel_arguments(ours)) <= set(kernel_arguments(made))
    assert made.get("kernel", {}).get("name") == (
        required.get("kernel", {}).get("name") or ours.get("kernel", {}).get("name")
    )
    assert made.get("fips", {}).get("enabled", False) >= ours.get("fips", {}).get("enabled", False)
    for state in STATES:
        assert {unit for unit in units(ours, state) if not is_contradicted(unit, state, required)} <= units(made, state)


@often
@given(ours=any_customizations, required=policies())
def test_a_fixed_blueprint_has_nothing_that_neither_had(ours, required):
    made = add_requirements(ours, required)
    assert set(made) <= {*ours, *required}
    for state in STATES:
        assert units(made, state) <= units(ours, state) | units(required, state)
        assert not [unit for unit in units(made, state) if is_contradicted(unit, state, required)]
    assert set(made.get("packages", ())) == {*ours.get("packages", ()), *required.get("packages", ())}
    assert set(kernel_arguments(made)) == {*kernel_arguments(ours), *kernel_arguments(required)}


def kernel_arguments(customizations):
    return customizations.get("kernel", {}).get("append", "").split()


def units(customizations, state):
    return set(customizations.get("services", {}).get(state, ()))


def is_contradicted(unit, state, required):
    """Whether a policy, which is of one mind, wants a service otherwise."""
    return any(unit in units(required, other) for other in CONTRADICTING[state])


DENIED = [
    *[("bin",), ("boot",), ("dev",), ("efi",), ("lib",), ("lib64",), ("lost+found",), ("proc",), ("run",), ("sbin",)],
    *[("sys",), ("sysroot",), ("tmp",), ("usr",), ("var", "run"), ("var", "tmp")],
]
SYSTEM_FILES = [("etc", name) for name in ("fstab", "group", "passwd", "shadow")]
parts = st.sampled_from(sorted({part for tree in [*DENIED, *SYSTEM_FILES, ("local",)] for part in tree}))
odd_parts = st.sampled_from(["", ".", "..", "a", "...", " "])
near_parts = parts | parts | odd_parts | st.builds("{}{}".format, parts, st.sampled_from("a6. "))
paths = st.builds("{}{}".format, st.sampled_from(["/", "/", "/", ""]), st.lists(near_parts, max_size=4).map("/".join))


def may_be_made(path, *, is_file):
    """The rule part by part: absolute, canonical, not the root, and in no denied tree."""
    root, *parts = path.split("/")
    if root or not parts or any(part in ("", ".", "..") for part in parts):
        return False
    if parts[:2] == ["usr", "local"]:
        return True
    if is_file and tuple(parts[:2]) in SYSTEM_FILES:
        return False
    return not any(tuple(parts[: len(tree)]) == tree for tree in DENIED)


@pytest.mark.parametrize("is_file", [True, False])
@settings(deadline=None, max_examples=repeated(150, 500))
@given(path=paths)
def test_a_path_is_accepted_exactly_when_it_is_in_no_denied_tree(is_file, path):
    accepted = find_path_fault(path, GENERAL.files if is_file else GENERAL.directories) is None
    event(f"accepted: {accepted}")
    assert accepted == may_be_made(path, is_file=is_file)


@often
@given(document=documents())
def test_only_known_addresses_are_asked_for(document):
    assert set(find_community_urls(document["customizations"])) <= set(COMMUNITY_URLS)
