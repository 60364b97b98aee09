"""Identities of callers."""

import base64
import json

import pytest

from domain.errors import ForbiddenError, UnauthenticatedError
from domain.identity import RedHatClaims, fedora_identity, red_hat_identity
from image_builder.http.auth import authenticator
from tests.support.builders import encoded

MISSING = object()


def a_document(*, entitlements=None, **identity):
    given = {"org_id": "000001", "account_number": "7", "type": "User", "user": {"email": "u@example.com"}, **identity}
    document = {"identity": {name: value for name, value in given.items() if value is not MISSING}}
    return document if entitlements is None else {**document, "entitlements": entitlements}


def asks(document, *, fedora_accounts=False):
    """The identity of whoever sends the document; bytes are the header's value itself."""
    value = document if isinstance(document, bytes) else encoded(document).encode()
    name = b"x-fedora-identity" if fedora_accounts else b"x-rh-identity"
    return authenticator(fedora_accounts=fedora_accounts)([(b"accept", b"*/*"), (name, value)])


def claims(**fields):
    nothing = {"org_id": "", "account_number": "", "kind": "User", "email": "", "username": "", "entitlements": {}}
    return RedHatClaims(**{**nothing, **fields})


def test_a_user_is_known_by_the_organization():
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
def test_the_tenant_is_the_organization_or_else_the_account(fields, tenant):
    assert asks(a_document(**fields)).tenant == tenant


def test_an_account_s_tenant_is_no_organization_s():
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
def test_a_caller_without_an_address_is_known_all_the_same(fields):
    identity = asks(a_document(**{"user": MISSING, **fields}))
    assert identity.tenant == "000001"
    assert identity.email == ""


@pytest.mark.parametrize("account_number", [MISSING, None, ""])
def test_no_account_number_is_an_empty_one(account_number):
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
def test_entitled_is_who_has_rhel_or_else_an_account(entitlements, account_number, entitled):
    assert asks(a_document(entitlements=entitlements, account_number=account_number)).entitled is entitled


def test_entitlements_that_are_null_say_nothing():
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
def test_a_header_that_is_not_base64_of_json_is_nobody(header, fedora_accounts):
    with pytest.raises(UnauthenticatedError):
        asks(header, fedora_accounts=fedora_accounts)


@pytest.mark.parametrize("document", [None, True, 5, 1.5, "text", [], [{"identity": {"org_id": "1"}}], {}])
@pytest.mark.parametrize("fedora_accounts", [True, False])
def test_json_that_is_no_identity_document_is_nobody(document, fedora_accounts):
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
def test_a_document_of_wrong_types_is_nobody(document):
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
def test_an_identity_without_a_tenant_is_nobody(fields):
    with pytest.raises(UnauthenticatedError):
        asks(a_document(**fields))


@pytest.mark.parametrize("fedora_accounts", [True, False])
def test_a_request_without_the_header_is_nobody_s(fedora_accounts):
    with pytest.raises(UnauthenticatedError):
        authenticator(fedora_accounts=fedora_accounts)([(b"accept", b"*/*")])


@pytest.mark.parametrize(("name", "fedora_accounts"), [(b"x-rh-identity", False), (b"x-fedora-identity", True)])
def test_two_headers_are_nobody(name, fedora_accounts):
    document = {**a_document(), "user": "u"}
    header = (name, encoded(document).encode())
    with pytest.raises(UnauthenticatedError):
        authenticator(fedora_accounts=fedora_accounts)([header, header])


@pytest.mark.parametrize(("name", "fedora_accounts"), [(b"x-rh-identity", True), (b"x-fedora-identity", False)])
def test_only_the_header_in_force_is_read(name, fedora_accounts):
    header = (name, encoded({**a_document(), "user": "u"}).encode())
    with pytest.raises(UnauthenticatedError):
        authenticator(fedora_accounts=fedora_accounts)([header])


def test_a_fedora_user_is_the_tenant_and_never_entitled():
    identity = asks({"user": "chris", "entitlements": {"rhel": {"is_entitled": True}}}, fedora_accounts=True)
    assert (identity.tenant, identity.entitled) == ("chris", False)


def test_a_fedora_user_has_neither_account_nor_address_nor_a_red_hat_identity():
    identity = asks({"user": "chris"}, fedora_accounts=True)
    assert (identity.account_number, identity.email, identity.header) == ("", "", None)


@pytest.mark.parametrize("user", [None, 5, True, ["chris"], {"name": "chris"}, "", "  "])
def test_a_fedora_header_without_a_user_s_name_is_nobody(user):
    with pytest.raises(UnauthenticatedError):
        asks({"user": user}, fedora_accounts=True)


def test_one_caller_after_another_is_told_apart():
    authenticate = authenticator(fedora_accounts=False)
    tenants = [
        authenticate([(b"x-rh-identity", encoded(a_document(org_id=org_id)).encode())]).tenant
        for org_id in ("1", "2", "1", "3")
    ]
    assert tenants == ["1", "2", "1", "3"]


@pytest.mark.parametrize("text", [b'{"identity": {"org_id": "a\\u0000b"}}', b'{"identity": {"org_id": "\\ud800"}}'])
def test_text_no_database_can_hold_is_nobody(text):
    with pytest.raises(UnauthenticatedError):
        asks(base64.b64encode(text))


def test_claims_alone_make_an_identity():
    identity = red_hat_identity(claims(org_id="1", account_number="7", email="e"), "header")
    assert (identity.tenant, identity.entitled, identity.header) == ("1", True, "header")


def test_a_fedora_name_alone_makes_an_identity():
    assert fedora_identity("chris").tenant == "chris"


IMPOSSIBLE = ["x" * 1001, "é" * 501, "0123456789abcdef" * 576, "a\0b", "a\nb", "a\x1b[0m", "\ud800"]


@pytest.mark.parametrize("text", IMPOSSIBLE, ids=ascii)
def test_an_id_that_no_index_holds_or_nobody_can_print_is_nobody_s(text):
    for fields in ({"org_id": text}, {"account_number": text}, {"org_id": "1", "account_number": text}):
        with pytest.raises(UnauthenticatedError):
            red_hat_identity(claims(**fields), "header")
    with pytest.raises(UnauthenticatedError):
        fedora_identity(text)


def test_the_longest_ids_are_somebody_s():
    assert red_hat_identity(claims(org_id="x" * 1000, account_number="7" * 1000), "header").tenant == "x" * 1000
    assert red_hat_identity(claims(account_number="7" * 1000), "header").tenant == "account:" + "7" * 1000
    assert fedora_identity("x" * 1000).tenant == "x" * 1000


@pytest.mark.parametrize("email", ["e" * 321, "a\n@example.com", "\ud800@example.com"], ids=ascii)
def test_an_address_that_cannot_be_kept_is_left_out(email):
    identity = red_hat_identity(claims(org_id="1", email=email), "header")
    assert (identity.tenant, identity.email) == ("1", "")


def test_the_longest_address_is_kept():
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
