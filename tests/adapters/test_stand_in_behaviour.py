"""The stand-in composer: its faults on request, its tokens, and its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support.stand_in import Client, a_request
from tests.support.waiting import BRIEFLY, PATIENCE, SOON


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_the_stand_in_can_be_slow_after_storing_a_compose(call: Client) -> None:
    call.composer.steer(post_latency=SOON)
    with pytest.raises(requests.Timeout):
        call("POST", "/compose", json=a_request(), timeout=BRIEFLY)
    assert until(lambda: call.composer.behaviour()["composes"] == 1)


def test_the_stand_in_can_be_slow_for_every_operation(call: Client) -> None:
    call.composer.steer(latency=0.2)
    started = time.monotonic()
    call("GET", "/openapi")
    assert time.monotonic() - started >= 0.2


def test_the_stand_in_can_hang_until_a_reset(call: Client) -> None:
    call.composer.steer(hang=True)
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(call, "GET", "/openapi")
        assert until(lambda: call.composer.counters().get("GET /openapi") == 1)
        assert not answer.done()
        call.composer.reset()
        assert answer.result().status_code == 200


def test_the_stand_in_can_hang_for_some_methods_only(call: Client) -> None:
    compose_id = call.queued()
    call.composer.steer(hang_methods=["DELETE"])
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(call, "DELETE", f"/composes/{compose_id}")
        assert until(lambda: call.composer.counters().get("DELETE /composes/{id}") == 1)
        assert call("GET", f"/composes/{compose_id}").status_code == 200
        assert not answer.done()
        call.composer.steer(hang_methods=None)
        assert answer.result().status_code == 200


@pytest.mark.parametrize(("moment", "stored"), [("before", 0), ("after", 1)])
def test_the_stand_in_can_drop_the_connection(call: Client, moment: str, stored: int) -> None:
    call.composer.steer(post_drop=moment)
    with pytest.raises(requests.ConnectionError):
        call.post()
    assert call.composer.behaviour()["composes"] == stored


def test_the_stand_in_can_refuse_with_any_error(call: Client) -> None:
    call.composer.steer(post_error={"status": 400, "id": 24, "reason": "no", "details": "never"})
    answer = call.post()
    assert answer.status_code == 400
    assert answer.json() | {"id": "24", "reason": "no", "details": "never"} == answer.json()
    assert call.composer.behaviour()["composes"] == 0


def test_the_stand_in_can_answer_like_a_proxy(call: Client) -> None:
    compose_id = call.queued()
    raw = {"status": 502, "body": "<html>bad gateway</html>", "content_type": "text/html"}
    call.composer.steer(post_raw=raw, status_raw=raw)
    for answer in (call.post(), call("GET", f"/composes/{compose_id}")):
        assert (answer.status_code, answer.text) == (502, "<html>bad gateway</html>")


def test_the_stand_in_can_give_a_new_build_the_id_of_another_one(call: Client) -> None:
    first = call.queued()
    call.composer.steer(post_id=first)
    assert call.queued() == first
    assert call.composer.behaviour()["composes"] == 2
    call.composer.steer(post_id=None)
    assert call.queued() != first


def test_every_operation_can_give_any_answer(call: Client) -> None:
    compose_id = call.queued()
    raw = {"status": 200, "body": "[[]]", "content_type": "application/json"}
    call.composer.steer(raw={"GET /composes/{id}/metadata": raw, "POST /search/packages": raw})
    assert call.metadata(compose_id) == [[]]
    assert call("POST", "/search/packages").text == "[[]]"
    assert call("GET", f"/composes/{compose_id}").json()["id"] == compose_id
    call.composer.steer(raw=None)
    assert call.metadata(compose_id)["id"] == compose_id


def test_the_stand_in_can_lose_its_composes(call: Client) -> None:
    compose_id = call.queued()
    call.composer.steer(forget=True)
    assert call("GET", f"/composes/{compose_id}").status_code == 404
    assert call("DELETE", f"/composes/{compose_id}").status_code == 404
    call.composer.steer(forget=None)
    assert call("GET", f"/composes/{compose_id}").status_code == 200


def test_the_stand_in_can_answer_any_status(call: Client) -> None:
    compose_id = call.queued()
    told = {"status": "failure", "error": {"id": 9, "reason": "r", "details": {"id": 20, "reason": "inner"}}}
    call.composer.steer(image_status=told)
    assert call.image_status(compose_id) == told
    assert call("GET", f"/composes/{compose_id}").json()["status"] == "failure"
    call.composer.steer(status="unheard-of")
    assert call("GET", f"/composes/{compose_id}").json()["status"] == "unheard-of"


def test_the_stand_in_can_fail_its_openapi_document(call: Client) -> None:
    compose_id = call.queued()
    call.composer.steer(openapi_status=500, delete_error={"status": 500})
    assert call("GET", "/openapi").status_code == 500
    assert call("DELETE", f"/composes/{compose_id}").status_code == 500


@pytest.mark.parametrize(("moment", "status"), [("before", 200), ("after", 404)])
def test_the_stand_in_can_break_off_a_deletion(call: Client, moment: str, status: int) -> None:
    compose_id = call.queued()
    call.composer.steer(delete_drop=moment)
    with pytest.raises(requests.ConnectionError):
        call("DELETE", f"/composes/{compose_id}")
    assert call("GET", f"/composes/{compose_id}").status_code == status


def test_the_stand_in_can_answer_a_deletion_late(call: Client) -> None:
    compose_id = call.queued()
    call.composer.steer(delete_latency=PATIENCE)
    with pytest.raises(requests.Timeout):
        call("DELETE", f"/composes/{compose_id}", timeout=BRIEFLY)
    assert call("GET", f"/composes/{compose_id}").status_code == 404


def test_an_unknown_behaviour_is_refused(composer: StandInComposer) -> None:
    with pytest.raises(ValueError, match="post_latencies"):
        composer.steer(post_latencies=1)


def test_behaviour_is_merged_and_reset(composer: StandInComposer) -> None:
    composer.steer(latency=0.01)
    assert composer.steer(forget=True)["latency"] == 0.01
    composer.reset()
    assert composer.behaviour()["forget"] is False


def test_calls_are_counted_and_recorded(call: Client) -> None:
    headers = {"X-Strc-Trace-ID": "trace", "x-rh-insights-request-id": "request", "x-rh-identity": "e30="}
    call("GET", f"/composes/{uuid4()}", headers=headers)
    call("GET", f"/composes/{uuid4()}")
    behaviour = call.composer.behaviour()
    assert behaviour["counters"] == {"GET /composes/{id}": 2}
    first, second = behaviour["recent"]
    assert (first["trace_id"], first["request_id"], first["identity"]) == ("trace", "request", True)
    assert (second["trace_id"], second["request_id"], second["identity"]) == (None, None, False)


def test_calls_are_recorded_with_their_duration(call: Client) -> None:
    call.composer.steer(latency=0.1)
    before = time.monotonic()
    call("GET", "/openapi")
    (slow,) = call.composer.behaviour()["recent"]
    assert before <= slow["began"] <= slow["ended"] - 0.09
    assert slow["ended"] <= time.monotonic()


def test_a_token_is_accepted_until_it_is_revoked(call: Client) -> None:
    call.composer.steer(require_token=True)
    assert call("GET", "/openapi").status_code == 401
    granted = call.token().json()
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 900)
    headers = {"Authorization": f"Bearer {granted['access_token']}"}
    assert call("GET", "/openapi", headers=headers).status_code == 200
    call.composer.steer(revoke_tokens=True)
    assert call("GET", "/openapi", headers=headers).status_code == 401
    assert call.composer.counters()["POST /token"] == 1


def test_a_token_expires(call: Client) -> None:
    call.composer.steer(require_token=True, token_expires_in=0)
    headers = {"Authorization": f"Bearer {call.token().json()['access_token']}"}
    assert call("GET", "/openapi", headers=headers).status_code == 401


def test_a_token_request_without_credentials_is_refused(call: Client) -> None:
    assert call.token(client_secret="").status_code == 401
    assert call.token(grant_type="password").status_code == 400
    call.composer.steer(token_status=503)
    assert call.token().status_code == 503


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_stand_in_ends_at_once_even_while_calls_hang(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "adapters.embedded.composer", "--state=:memory:"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        assert line.startswith('{"event":"stand-in composer listening","url":"http://127.0.0.1:')
        url = line.split('"')[-2]
        requests.put(f"{url}/stand-in/behaviour", json={"hang": True}, timeout=PATIENCE)
        with ThreadPoolExecutor(1) as thread:
            hanging = thread.submit(requests.post, f"{url}/api/image-builder-composer/v2/compose", timeout=PATIENCE)
            counted = {"POST /compose": 1}
            assert until(
                lambda: requests.get(f"{url}/stand-in/behaviour", timeout=PATIENCE).json()["counters"] == counted
            )
            started = time.monotonic()
            process.send_signal(number)
            assert process.wait(PATIENCE) == 0
            assert time.monotonic() - started < SOON
            assert isinstance(hanging.exception(), requests.ConnectionError)
        assert process.stderr.read() == ""


def test_the_stand_in_ends_when_its_parent_is_killed() -> None:
    parent = """
import time
from adapters.embedded.composer.process import StandInComposer
print(StandInComposer().url, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        assert requests.get(f"{url}/stand-in/behaviour", timeout=PATIENCE).status_code == 200
        process.kill()

    def is_gone() -> bool:
        try:
            requests.get(url, timeout=PATIENCE)
        except requests.ConnectionError:
            return True
        return False

    assert until(is_gone)


def test_the_stand_in_ends_if_its_parent_ended_before_the_check() -> None:
    command = [sys.executable, "-m", "adapters.embedded.composer", "--state=:memory:", f"--parent-death={os.getppid()}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.stderr == "stand-in composer: the process that started this one has ended\n"
    assert ended.stdout == ""


def test_a_signal_before_the_server_handles_signals_ends_the_stand_in() -> None:
    program = """
import signal, sys, uvicorn
from adapters.embedded.composer.__main__ import main

class Config(uvicorn.Config):
    def __init__(self, *arguments, **options):
        signal.raise_signal(signal.SIGTERM)
        super().__init__(*arguments, **options)

uvicorn.Config = Config
sys.argv[1:] = ["--state=:memory:"]
main()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_port_in_use_is_an_error_at_once(composer: StandInComposer, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="stand-in composer"):
        StandInComposer(port=int(composer.url.rsplit(":", 1)[1]))
    assert "in use" in capfd.readouterr().err
