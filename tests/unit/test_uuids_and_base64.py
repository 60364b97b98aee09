"""UUIDs as text, and data in base64."""

import pytest

from domain.base64_data import decode_base64, decode_base64_text
from domain.uuids import is_uuid


@pytest.mark.parametrize("text", ["4fa85f64-5717-4562-b3fc-2c963f66afa6", "4FA85F64-5717-4562-B3FC-2C963F66AFA6"])
def test_a_uuid_has_hexadecimal_digits_of_either_case_in_five_groups(text):
    assert is_uuid(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4fa85f6457174562b3fc2c963f66afa6",
        "{4fa85f64-5717-4562-b3fc-2c963f66afa6}",
        "4fa85f64-5717-4562-b3fc-2c963f66afa6\n",
        "4fa85f645717-4562-b3fc-2c963f66-afa6",
        "4fa85f64-5717-4562-b3fc-2c963f66afag",
        "４fa85f64-5717-4562-b3fc-2c963f66afa6",  # noqa: RUF001 - a digit, but not of ASCII
    ],
)
def test_other_forms_are_no_uuid(text):
    assert not is_uuid(text)


def test_base64_is_decoded_from_text_and_from_bytes():
    assert decode_base64("aGk=") == decode_base64(b"aGk=") == b"hi"


@pytest.mark.parametrize("data", ["aGk", "aGk=\n", "a-_=", "aGk=ä"])
def test_what_is_no_strict_base64_is_refused(data):
    with pytest.raises(ValueError):  # noqa: PT011 - the type is what callers rely on
        decode_base64(data)


def test_text_in_base64_may_have_line_breaks():
    assert decode_base64_text("aG\r\nk=\n") == "hi"


@pytest.mark.parametrize("data", ["/w==", "aG k=", "ä"])
def test_text_in_base64_is_utf8_without_other_characters(data):
    with pytest.raises(ValueError):  # noqa: PT011 - the type is what callers rely on
        decode_base64_text(data)
