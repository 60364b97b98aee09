"""osbuild blueprints at random: a round trip loses nothing that TOML can say (issue 5)."""

import base64
import tomllib

import jsonschema_rs
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import InvalidRequestError
from domain.osbuild.blueprint import parse_blueprint, policy_customizations, to_osbuild_document
from image_builder.http.toml import format_blueprint
from tests.support.customizations import customizations, listed, names, some, texts
from tests.support.openapi import openapi_document
from tests.support.rounds import repeated

often = settings(deadline=None, max_examples=repeated(30, 100), suppress_health_check=[HealthCheck.too_slow])
CONTRACT = openapi_document()
V1_OPENSCAP = {"profile_name", "profile_description", "policy_id"}
ONLY_V1 = {"subscription", "payload_repositories", "aap_registration"}


@pytest.fixture(scope="module")
def fits():
    schema = {"$ref": "#/components/schemas/Customizations", "components": CONTRACT["components"]}
    return jsonschema_rs.Draft4Validator(schema).is_valid


def a_text(ours, name="n", description="", distribution=None):
    return format_blueprint(*to_osbuild_document(name, description, distribution, ours))


def packages_first(ours):
    """With package groups after packages: TOML keeps them in two lists."""
    if "packages" not in ours:
        return ours
    return ours | {"packages": sorted(ours["packages"], key=lambda name: name.startswith("@") and name != "@")}


def said(ours):
    """What is left of customizations in TOML, and reads as they do: defaults are not written out."""
    left = {key: value for key, value in packages_first(ours).items() if key not in ONLY_V1}
    if "openscap" in left:
        left["openscap"] = {key: value for key, value in left["openscap"].items() if key not in V1_OPENSCAP}
    if "files" in left:
        left["files"] = [file for file in map(said_of_file, left["files"]) if file]
    if "users" in left:
        left["users"] = [{key: value for key, value in user.items() if key != "hasPassword"} for user in left["users"]]
    if "fips" in left:
        left["fips"] = {"enabled": False} | left["fips"]
    return {key: value for key, value in left.items() if value or not ours[key] or key not in {"files", "openscap"}}


def said_of_file(file):
    left = {key: value for key, value in file.items() if key != "data_encoding" and value is not False}
    if file.get("data_encoding") == "base64":
        try:
            left["data"] = base64.b64decode(file["data"]).decode()
        except ValueError:
            return None
    return left


def unsayable(ours):
    """The paths of what has no place in TOML."""
    found = {f"customizations.{key}" for key in ONLY_V1 if ours.get(key, []) != []}
    openscap = ours.get("openscap", {})
    if "policy_id" in openscap:
        found.add("customizations.openscap")
    found |= {f"customizations.openscap.{key}" for key in openscap.keys() & {"profile_name", "profile_description"}}
    for index, file in enumerate(ours.get("files", [])):
        at = f"customizations.files[{index}]"
        if said_of_file(file) is None:
            found.add(at)
    if ours.get("files") and not said(ours).get("files"):
        found.discard("customizations.files")
    return found


@given(ours=customizations())
@often
def test_customizations_at_random_fit_the_contract(fits, ours):
    assert fits(ours)


@given(ours=customizations())
@often
def test_what_toml_can_say_comes_back(ours):
    assert parse_blueprint(a_text(ours)).customizations == said(ours)


@given(ours=customizations())
@often
def test_what_toml_cannot_say_is_named(ours):
    assert set(to_osbuild_document("n", "", None, ours)[1]) == unsayable(ours)


@given(ours=customizations(), name=texts, description=texts, distribution=st.none() | names)
@often
def test_what_is_written_is_wholly_understood(ours, name, description, distribution):
    found = parse_blueprint(a_text(ours, name, description, distribution))
    assert (found.name, found.description, found.distribution) == (name, description, distribution)
    assert found.unknown == ()


@given(ours=customizations())
@often
def test_writing_again_changes_nothing(ours):
    once, _ = to_osbuild_document("n", "d", "rhel-9.6", ours)
    found = parse_blueprint(tomli_w.dumps(once))
    assert to_osbuild_document(found.name, found.description, found.distribution, found.customizations) == (once, ())


@st.composite
def blueprints(draw):
    """Documents of osbuild's, with what only they have."""
    theirs, _ = to_osbuild_document(draw(names), draw(texts), None, draw(customizations()))
    versions = st.sampled_from(["", "*", "2.*", "1.0-3"])
    packages = listed(some({"name": names}, version=versions))
    theirs |= draw(
        some(
            version=names,
            modules=packages,
            groups=listed(some({"name": names})),
            minimal=st.booleans(),
            ostree=some(ref=texts),
        )
    )
    more = draw(some(sshkey=listed(some({"user": names, "key": texts})), iso=some(volume_id=texts)))
    inside = theirs.get("customizations", {}) | more
    for user in inside.get("user", []):
        user.update(draw(some(expiredate=st.integers(0, 70_000))))
    for entry in inside.get("filesystem", []):
        size = entry.pop("minsize")
        entry[draw(st.sampled_from(["size", "minsize"]))] = draw(st.sampled_from([size, str(size)]))
    return theirs | ({"customizations": inside} if inside else {})


@given(theirs=blueprints())
@often
def test_blueprints_of_osbuild_become_customizations_that_fit_the_contract(fits, theirs):
    assert fits(parse_blueprint(tomli_w.dumps(theirs)).customizations)


@given(theirs=blueprints())
@often
def test_blueprints_of_osbuild_say_the_same_when_written_by_us(theirs):
    found = parse_blueprint(tomli_w.dumps(theirs)).customizations
    again = parse_blueprint(a_text(found))
    assert packages_first(again.customizations) == packages_first(found)
    assert again.unknown == ()


@given(theirs=blueprints())
@often
def test_only_what_v1_lacks_is_unknown(theirs):
    found = parse_blueprint(tomli_w.dumps(theirs))
    last = {path.rsplit(".")[-1].split("[")[0] for path in found.unbuildable}
    assert last <= {"minimal", "iso", "expiredate"}
    assert found.unknown == (("ostree",) if "ostree" in theirs else ())
    assert ("iso" in theirs.get("customizations", {})) is ("customizations.iso" in found.unbuildable)


@given(ours=customizations())
@often
def test_a_policy_asks_for_nothing_else_than_policies_do(ours):
    asked = policy_customizations(parse_blueprint(a_text(ours)))
    assert asked == {
        key: value
        for key, value in said(ours).items()
        if key in {"openscap", "packages", "filesystem", "services", "kernel", "fips"}
    }


@given(text=st.text(max_size=60) | st.text("[]{}=.\"'#a1\n\\ -", max_size=60))
@often
def test_any_text_is_a_blueprint_or_refused(text):
    try:
        parse_blueprint(text)
    except InvalidRequestError as error:
        assert error.detail  # noqa: PT017 - it may be one or the other


@given(text=st.text("[]{}=.\"'#a1\n\\ -,", max_size=80))
@often
def test_what_tomllib_reads_is_not_refused_as_a_document(text):
    try:
        tomllib.loads(text)
    except ValueError:
        return
    try:
        parse_blueprint(text)
    except InvalidRequestError as error:
        assert "is not TOML" not in error.detail  # noqa: PT017 - it may be one or the other
