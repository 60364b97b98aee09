"""One JSON object a line, with what its readers ask for, and without secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from image_builder.telemetry.secrets import MASK, is_secret, mask_secrets_in_text
from tests.support import output
from tests.support.builders import identity
from tests.support.service import PROJECT
from tests.support.waiting import PATIENCE

SECRET = "tr0ub4dor&3"
SETUP = """
import logging, sys, threading, warnings
import structlog
from image_builder.telemetry import logs, secrets
from ports.trace import Trace, current_trace
logs.configure("INFO")
log = structlog.get_logger()
"""


def lines(program: str, status: int = 0) -> list[dict[str, Any]]:
    """What a program of its own logs; it may not write anything else to its standard output."""
    ended = subprocess.run(
        [sys.executable, "-c", SETUP + program],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == status, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_a_line_has_its_time_level_and_event() -> None:
    (line,) = lines("log.info('event', nothing=None)")
    assert sorted(line) == ["event", "level", "time"]


def test_lines_of_a_request_hold_its_id_and_what_is_known_of_it() -> None:
    (line,) = lines(
        "current_trace.set(Trace('r', 't')); logs.bind(operation_id='getQuota', org_id='o'); log.warning('event')"
    )
    assert (line["request_id"], line["operation_id"], line["org_id"]) == ("r", "getQuota", "o")


def test_libraries_lines_and_warnings_are_lines_too() -> None:
    said = lines(
        """
logging.getLogger("library").warning("one %s", "argument")
logging.getLogger("library").info("not this one")
logging.getLogger("library").log(35, "a level of its own")
logging.getLogger("library").error("wrong %s %s", 1)
logging.getLogger("uvicorn.error").info("Started server process [%d]", 1)
warnings.warn("old")
"""
    )
    assert [line["event"].partition("\n")[0] for line in said] == [
        "one argument",
        "a level of its own",
        "wrong %s %s",
        "Started server process [1]",
        "<string>:14: UserWarning: old",
    ]


def test_an_error_that_nobody_caught_is_a_line() -> None:
    (line,) = lines("1 / 0", status=1)
    assert line["level"] == "critical"
    assert "ZeroDivisionError" in line["exception"]


def test_an_error_in_a_thread_is_a_line() -> None:
    (line,) = lines("t = threading.Thread(target=lambda: 1 / 0, name='ours'); t.start(); t.join()")
    assert (line["level"], line["thread"]) == ("error", "ours")
    assert "ZeroDivisionError" in line["exception"]


def test_an_error_of_a_finalizer_is_a_line() -> None:
    (line,) = lines("class C:\n  def __del__(self): 1 / 0\nC()")
    assert "ZeroDivisionError" in line["exception"]


def test_what_is_no_text_is_a_line_all_the_same() -> None:
    (line,) = lines(r"log.info('\ud800', value='\udfff', binary=b'\xff', keys={1: object})")
    assert line["event"] == r"\ud800"


def test_output_that_nobody_takes_is_no_error() -> None:
    assert lines("sys.stdout.close(); log.info('event')") == []


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "PGPASSWORD",
        "client_secret",
        "access_token",
        "Authorization",
        "x-rh-identity",
        "activation-key",
        "activation_keys",
        "set-cookie",
        "GLITCHTIP_DSN",
    ],
)
def test_a_field_of_a_telling_name_is_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["request_id", "operation_id", "org_id", "keys", "path", "duration_ms", "tokens_used"])
def test_other_fields_are_not_secret(name: str) -> None:
    assert not is_secret(name)


def test_secret_fields_are_masked_on_all_levels() -> None:
    (line,) = lines("log.info('event', password='a', deep={'users': [{'password': 'b', 'name': 'c'}]}, passwords=3)")
    assert line["password"] == MASK
    assert line["deep"] == {"users": [{"password": MASK, "name": "c"}]}
    assert line["passwords"] == 3


@pytest.mark.parametrize("secret", ["p@ss wörd/1", 'with"quote', "with\\backslash", "two\nlines"])
def test_the_settings_secrets_are_masked_wherever_they_stand(secret: str) -> None:
    (line,) = lines(
        f"secrets.register_secrets([{secret!r}]); log.info('before ' + {secret!r} + ' after', text=[{secret!r}])"
    )
    assert (line["event"], line["text"]) == (f"before {MASK} after", [MASK])


@pytest.mark.parametrize("text", ["{'client_secret': 'tr0ub4dor'}", "grant_type=x&client_secret=tr0ub4dor&y=z"])
def test_a_secret_of_the_settings_that_is_a_common_word_lets_no_other_pass(text: str) -> None:
    (line,) = lines(f"secrets.register_secrets(['secret']); log.info('event', text={text!r})")
    assert "tr0ub4dor" not in line["text"]


LEAKING = {
    "a document": f'{{"password": "{SECRET}", "name": "n"}}',
    "a document with blanks in it": '{"password": "correct horse battery"}',
    "a document within a line": json.dumps(f'{{"activation-key": "{SECRET}"}}'),
    "a document as Python shows it": f"{{'client_secret': '{SECRET}'}}",
    "a form": f"grant_type=client_credentials&client_secret={SECRET[:8]}",
    "an address": f"redis://user:{SECRET[:8]}@cache.example.com:6379/0",
    "a header": "Authorization: Bearer abc.def-ghi",
    "a header of two": f"('authorization', 'Bearer {SECRET}')",
    "an identity": f"x-rh-identity: {identity('leak')}",
    "a hash": "user has $6$rounds=5000$salt$abcdefghijklmnop",
    "a row": f"violates check\nDETAIL:  Failing row contains (1, {SECRET}).",
}
LEFT = (SECRET[:8], "correct", "horse", "battery", "abc.def", identity("leak")[:24], "abcdefgh", "Failing")


@pytest.mark.parametrize("text", LEAKING.values(), ids=LEAKING.keys())
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    assert [left for left in LEFT if left in mask_secrets_in_text(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        '{"event":"request","operation_id":"getComposes","status":200,"request_id":"0123456789abcdef"}',
        "GET http://composer.example.com/api/v2/composes?limit=1",
        '{"variables":["SPLUNK_HEC_TOKEN","CW_AWS_REGION"]}',
        "the token is refused; the password is wrong; a basic error",
    ],
)
def test_what_does_not_look_like_one_stays(text: str) -> None:
    assert mask_secrets_in_text(text) == text


def test_the_search_at_the_end_of_the_tests_finds_secrets() -> None:
    pattern = output.secrets_pattern(["correct horse", "correct"])
    text = f"a line\nit is correct horse\nx {identity('any')}\nthe last".encode()
    assert sorted(output.leaks(pattern, text)) == ["it is correct horse", f"x {identity('any')}"]


def test_a_run_of_tests_whose_output_holds_a_secret_fails(tmp_path: Path) -> None:
    (tmp_path / "test_leaking.py").write_text(
        """
from tests.support import output

def test_that_passes():
    output.given({"users": [{"password": "a-secret-that-leaks"}]})
    print("a line with a-secret-that-leaks")
"""
    )
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", os.devnull, f"--rootdir={tmp_path}", tmp_path],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout
    assert "secrets in what the programs wrote" in ended.stdout


def test_what_could_steer_a_terminal_is_escaped_and_stays_the_same_text() -> None:
    steering = "\x00\x1b[2J \x7f \x80\x9b2J\x9f \u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069"
    text = f"{steering} é\xa0 \u20ac ☃ \u202f\u2070"
    program = f"log.info({text!r}, **{{{text!r}: {text!r}}})"
    ended = subprocess.run(
        [sys.executable, "-c", SETUP + program], cwd=PROJECT, capture_output=True, timeout=PATIENCE, check=True
    )
    line = ended.stdout.decode()
    assert [character for character in text if character in line and not character.isprintable()] == ["\xa0", "\u202f"]
    assert "é\xa0 \u20ac ☃ \u202f\u2070" in line
    assert json.loads(line)[text] == text


CONSOLE = SETUP.replace('logs.configure("INFO")', 'logs.configure("INFO", "console")')


def console_lines(program: str) -> list[str]:
    """What a program of its own logs with LOG_FORMAT=console, not on a terminal."""
    return subprocess.run(
        [sys.executable, "-c", CONSOLE + program],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    ).stdout.splitlines()


def test_lines_for_people_are_no_json_and_hide_the_same_secrets() -> None:
    (line,) = console_lines(f"log.info('event', password='{SECRET}', count=3, url='http://u:{SECRET}@host/')")
    assert not line.startswith("{")
    assert "event" in line
    assert "count=3" in line
    assert SECRET not in line
    assert line.count(MASK) == 2


@pytest.mark.parametrize("secret", ["p@ss wörd/1", 'with"quote', "with\\backslash", "two\nlines"])
def test_lines_for_people_hide_the_secrets_of_the_settings(secret: str) -> None:
    (line,) = console_lines(
        f"secrets.register_secrets([{secret!r}]); log.info('before ' + {secret!r} + ' after', text=[{secret!r}])"
    )
    assert line.count(MASK) == 2, line


def test_lines_for_people_cannot_control_the_terminal_nor_forge_a_line() -> None:
    (line,) = console_lines("log.info('one\\ntwo', path='/\\x1b[2J\\u202e', more=['\\x1b'])")
    assert "one\\u000atwo" in line
    assert "\\u001b[2J\\u202e" in line
    assert "\x1b" not in line


def test_a_traceback_for_people_has_several_lines() -> None:
    shown = console_lines("try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('event')")
    assert "event" in shown[0]
    assert shown[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("environment", "is_json"), [({}, False), ({"LOG_FORMAT": "json"}, True), ({"LOG_FORMAT": "console"}, False)]
)
def test_on_a_terminal_the_log_is_for_people_unless_json_is_set(environment: dict[str, str], *, is_json: bool) -> None:
    program = SETUP.replace(
        'logs.configure("INFO")', 'import os; logs.configure("INFO", os.environ.get("LOG_FORMAT", ""))'
    )
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb") as terminal:
        subprocess.run(
            [sys.executable, "-c", program + "log.info('event')"],
            cwd=PROJECT,
            env={"PATH": os.environ["PATH"], **environment},
            stdout=theirs,
            timeout=PATIENCE,
            check=True,
        )
        line = terminal.readline()
        os.close(theirs)
    assert line.startswith(b"{") == is_json
    assert b"event" in line
