"""Identities of callers, read from the identity header."""

import base64
import json

import pytest

from domain.errors import ForbiddenError, UnauthenticatedError
from domain.identity import RedHatClaims, fedora_identity, red_hat_identity
from image_builder.http.auth import create_authenticator
from tests.support.builders import encoded

MISSING = object()


def a_document(*, entitlements=None, **identity):
    given = {"org_id": "000001", "account_number": "7", "type": "User", "user": {"email": "u@example.com"}, **identity}
    document = {"identity": {name: value for name, value in given.items() if value is not MISSING}}
    return document if entitlements is None else {**document, "entitlements": entitlements}


def asks(document, *, fedora_accounts=False):
    """Return the identity of a request with this document as its header; bytes are the value of the header."""
    value = document if isinstance(document, bytes) else encoded(document).encode()
    name = b"x-fedora-identity" if fedora_accounts else b"x-rh-identity"
    return create_authenticator(fedora_accounts=fedora_accounts)([(b"accept", b"*/*"), (name, value)])


def claims(**fields):
    nothing = {"org_id": "", "account_number": "", "kind": "User", "email": "", "username": "", "entitlements": {}}
    return RedHatClaims(**{**nothing, **fields})


def test_the_tenant_of_a_user_is_the_organization():
    identity = asks(a_document(user={"username": "u", "email": "u@example.com"}))
    assert (identity.tenant, identity.account_number, identity.email) == ("000001", "7", "u@example.com")


def test_the_header_is_kept_as_received():
    header = encoded(a_document()).encode()
    assert asks(header).header == header.decode()


@pytest.mark.parametrize(
    ("fields", "tenant"),
    [
        ({"org_id": "1", "internal": {"org_id": "2"}}, "1"),
        ({"org_id": MISSING, "internal": {"org_id": "2"}}, "2"),
        ({"org_id": "", "internal": {"org_id": "2"}}, "2"),
        ({"org_id": None, "internal": {"org_id": "2"}}, "2"),
        ({"org_id": " ", "internal": {"org_id": "2"}}, "2"),
        ({"org_id": "1", "internal": MISSING}, "1"),
        ({"org_id": "1", "internal": {}}, "1"),
        ({"org_id": "1", "internal": None}, "1"),
        ({"org_id": MISSING, "account_number": "7"}, "account:7"),
        ({"org_id": "", "account_number": "7", "internal": {"org_id": ""}}, "account:7"),
    ],
)
def test_without_an_organization_the_tenant_is_the_account(fields, tenant):
    assert asks(a_document(**fields)).tenant == tenant


def test_a_tenant_that_is_an_account_differs_from_all_organizations():
    by_account = asks(a_document(org_id=MISSING, account_number="000001"))
    by_organization = asks(a_document(org_id="000001"))
    assert by_account.tenant != by_organization.tenant


@pytest.mark.parametrize(
    "fields",
    [
        {"type": MISSING},
        {"type": None},
        {"type": "ServiceAccount", "user": MISSING, "service_account": {"client_id": "c", "username": "s"}},
        {"type": "System", "user": MISSING, "system": {"cn": "x"}},
        {"type": "SomethingNew"},
        {"user": None},
        {"user": {}},
        {"user": {"email": None}},
    ],
)
def test_an_identity_may_have_no_email_address(fields):
    identity = asks(a_document(**{"user": MISSING, **fields}))
    assert identity.tenant == "000001"
    assert identity.email == ""


@pytest.mark.parametrize("account_number", [MISSING, None, ""])
def test_a_missing_account_number_is_empty(account_number):
    assert asks(a_document(account_number=account_number)).account_number == ""


@pytest.mark.parametrize(
    ("entitlements", "account_number", "entitled"),
    [
        ({"rhel": {"is_entitled": True}}, MISSING, True),
        ({"rhel": {"is_entitled": True, "is_trial": True}}, "7", True),
        ({"rhel": {"is_entitled": False}}, "7", False),
        ({"rhel": {}}, "7", False),
        ({"insights": {"is_entitled": True}}, MISSING, False),
        ({"insights": {"is_entitled": False}}, "7", True),
        ({}, "7", True),
        ({}, MISSING, False),
        ({}, "", False),
        (None, "7", True),
        (None, MISSING, False),
        ({"insights": {}, "rhel": {"is_entitled": True}}, MISSING, True),
    ],
)
def test_callers_with_rhel_or_else_with_an_account_are_entitled(entitlements, account_number, entitled):
    assert asks(a_document(entitlements=entitlements, account_number=account_number)).entitled is entitled


def test_null_entitlements_are_like_missing_ones():
    assert asks({**a_document(), "entitlements": None}).entitled


def test_an_associate_is_forbidden():
    with pytest.raises(ForbiddenError):
        asks(a_document(type="Associate"))


def test_an_associate_without_a_tenant_is_forbidden():
    with pytest.raises(ForbiddenError):
        asks({"identity": {"type": "Associate", "associate": {"email": "a@example.com"}}})


NOT_JSON = [b"", b"no", b"{", b"\xff\xfe", b"NaN", b'{"identity": {"org_id": "1"}} x', b"{'identity': 1}"]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"%%%",
        b"{}",
        b'{"identity": {"org_id": "1"}}',
        b"a",
        b"\xff\xfe",
        base64.b64encode(json.dumps(a_document()).encode()).rstrip(b"=") + b"!",
        b" " + encoded(a_document()).encode(),
        *(base64.b64encode(text) for text in NOT_JSON),
    ],
)
@pytest.mark.parametrize("fedora_accounts", [True, False])
def test_a_header_that_is_not_base64_of_json_is_unauthenticated(header, fedora_accounts):
    with pytest.raises(UnauthenticatedError):
        asks(header, fedora_accounts=fedora_accounts)


@pytest.mark.parametrize("document", [None, True, 5, 1.5, "text", [], [{"identity": {"org_id": "1"}}], {}])
@pytest.mark.parametrize("fedora_accounts", [True, False])
def test_json_that_is_no_identity_document_is_unauthenticated(document, fedora_accounts):
    with pytest.raises(UnauthenticatedError):
        asks(document, fedora_accounts=fedora_accounts)


@pytest.mark.parametrize(
    "document",
    [
        {"identity": None},
        {"identity": []},
        {"identity": "000001"},
        {"identity": {}},
        a_document(org_id=1),
        a_document(org_id=True),
        a_document(org_id=["000001"]),
        a_document(org_id={"a": 1}),
        a_document(account_number=7),
        a_document(account_number=["7"]),
        a_document(type=5),
        a_document(type=["User"]),
        a_document(internal="1"),
        a_document(internal={"org_id": 5}),
        a_document(user="u"),
        a_document(user=["u"]),
        a_document(user={"email": 5}),
        a_document(entitlements=[]),
        a_document(entitlements="rhel"),
        a_document(entitlements={"rhel": True}),
        a_document(entitlements={"rhel": {"is_entitled": "true"}}),
        a_document(entitlements={"rhel": {"is_entitled": 1}}),
        a_document(entitlements={"rhel": {"is_entitled": 1.0}}),
        a_document(entitlements={"rhel": {"is_entitled": 0}}),
        a_document(entitlements={"rhel": {"is_entitled": []}}),
        a_document(entitlements={"rhel": {"is_entitled": {}}}),
    ],
)
def test_an_identity_document_with_wrong_types_is_unauthenticated(document):
    with pytest.raises(UnauthenticatedError):
        asks(document)


@pytest.mark.parametrize(
    "fields",
    [
        {"org_id": MISSING, "account_number": MISSING},
        {"org_id": "", "account_number": ""},
        {"org_id": None, "account_number": None, "internal": {"org_id": None}},
        {"org_id": "  ", "account_number": " "},
    ],
)
def test_an_identity_without_a_tenant_is_unauthenticated(fields):
    with pytest.raises(UnauthenticatedError):
        asks(a_document(**fields))


@pytest.mark.parametrize("fedora_accounts", [True, False])
def test_a_request_without_the_header_is_unauthenticated(fedora_accounts):
    with pytest.raises(UnauthenticatedError):
        create_authenticator(fedora_accounts=fedora_accounts)([(b"accept", b"*/*")])


@pytest.mark.parametrize(("name", "fedora_accounts"), [(b"x-rh-identity", False), (b"x-fedora-identity", True)])
def test_two_identity_headers_are_unauthenticated(name, fedora_accounts):
    document = {**a_document(), "user": "u"}
    header = (name, encoded(document).encode())
    with pytest.raises(UnauthenticatedError):
        create_authenticator(fedora_accounts=fedora_accounts)([header, header])


@pytest.mark.parametrize(("name", "fedora_accounts"), [(b"x-rh-identity", True), (b"x-fedora-identity", False)])
def test_only_the_configured_header_is_read(name, fedora_accounts):
    header = (name, encoded({**a_document(), "user": "u"}).encode())
    with pytest.raises(UnauthenticatedError):
        create_authenticator(fedora_accounts=fedora_accounts)([header])


def test_a_fedora_user_is_the_tenant_and_never_entitled():
    identity = asks({"user": "chris", "entitlements": {"rhel": {"is_entitled": True}}}, fedora_accounts=True)
    assert (identity.tenant, identity.entitled) == ("chris", False)


def test_a_fedora_user_has_no_account_no_email_and_no_red_hat_identity():
    identity = asks({"user": "chris"}, fedora_accounts=True)
    assert (identity.account_number, identity.email, identity.header) == ("", "", None)


@pytest.mark.parametrize("user", [None, 5, True, ["chris"], {"name": "chris"}, "", "  "])
def test_a_fedora_header_without_a_user_name_is_unauthenticated(user):
    with pytest.raises(UnauthenticatedError):
        asks({"user": user}, fedora_accounts=True)


def test_consecutive_callers_get_their_own_identities():
    authenticate = create_authenticator(fedora_accounts=False)
    tenants = [
        authenticate([(b"x-rh-identity", encoded(a_document(org_id=org_id)).encode())]).tenant
        for org_id in ("1", "2", "1", "3")
    ]
    assert tenants == ["1", "2", "1", "3"]


@pytest.mark.parametrize("text", [b'{"identity": {"org_id": "a\\u0000b"}}', b'{"identity": {"org_id": "\\ud800"}}'])
def test_an_id_that_the_database_cannot_store_is_unauthenticated(text):
    with pytest.raises(UnauthenticatedError):
        asks(base64.b64encode(text))


def test_an_identity_can_be_created_from_claims_only():
    identity = red_hat_identity(claims(org_id="1", account_number="7", email="e"), "header")
    assert (identity.tenant, identity.entitled, identity.header) == ("1", True, "header")


def test_an_identity_can_be_created_from_a_fedora_name_only():
    assert fedora_identity("chris").tenant == "chris"


IMPOSSIBLE = ["x" * 1001, "é" * 501, "0123456789abcdef" * 576, "a\0b", "a\nb", "a\x1b[0m", "\ud800"]


@pytest.mark.parametrize("text", IMPOSSIBLE, ids=ascii)
def test_an_id_that_is_too_long_or_unprintable_is_unauthenticated(text):
    for fields in ({"org_id": text}, {"account_number": text}, {"org_id": "1", "account_number": text}):
        with pytest.raises(UnauthenticatedError):
            red_hat_identity(claims(**fields), "header")
    with pytest.raises(UnauthenticatedError):
        fedora_identity(text)


def test_ids_of_the_maximum_length_are_accepted():
    assert red_hat_identity(claims(org_id="x" * 1000, account_number="7" * 1000), "header").tenant == "x" * 1000
    assert red_hat_identity(claims(account_number="7" * 1000), "header").tenant == "account:" + "7" * 1000
    assert fedora_identity("x" * 1000).tenant == "x" * 1000


@pytest.mark.parametrize("email", ["e" * 321, "a\n@example.com", "\ud800@example.com"], ids=ascii)
def test_an_email_address_that_cannot_be_stored_is_left_out(email):
    identity = red_hat_identity(claims(org_id="1", email=email), "header")
    assert (identity.tenant, identity.email) == ("1", "")


def test_an_email_address_of_the_maximum_length_is_kept():
    assert red_hat_identity(claims(org_id="1", email="e" * 320), "header").email == "e" * 320


@pytest.mark.parametrize(
    ("fields", "username"),
    [
        ({"user": {"username": "alice"}}, "alice"),
        ({"service_account": {"username": "service-account-1"}}, "service-account-1"),
        ({"user": {"username": ""}, "service_account": {"username": "robot"}}, "robot"),
        ({"user": {"username": "é" * 128}}, ""),
        ({"user": {"username": "a\nb"}}, ""),
        ({"user": {"username": 7}, "service_account": "robot"}, ""),
        ({"user": None}, ""),
    ],
)
def test_the_user_name_is_that_of_the_user_or_service_account(fields, username):
    document = {"identity": {"org_id": "1", "account_number": "", "type": "User", **fields}}
    assert asks(document).username == username


def test_a_fedora_account_is_its_own_user_name():
    assert asks({"user": "alice"}, fedora_accounts=True).username == "alice"
