"""The process of the stand-in platform: its file, its first line, its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import requests

from adapters.embedded.platform.process import StandInPlatform
from tests.support.waiting import PATIENCE


def test_the_file_of_added_documents_is_private(tmp_path: Path) -> None:
    made, of_before = tmp_path / "made" / "platform.json", tmp_path / "before.json"
    of_before.write_text("{}")
    for path in (of_before, left := tmp_path / "before.json.new"):
        path.touch()
        path.chmod(0o644)
    with StandInPlatform(of_before) as running, StandInPlatform(made) as other:
        assert [path.stat().st_mode & 0o7777 for path in (of_before, left)] == [0o600, 0o600]
        for each in (running, other):
            each.steer(sources={"1": None})
    assert [path.stat().st_mode & 0o7777 for path in (of_before, made)] == [0o600, 0o600]
    assert made.parent.stat().st_mode & 0o7777 == 0o700
    assert not left.exists()


def test_the_stand_in_prints_its_url_and_ends_cleanly() -> None:
    command = [sys.executable, "-m", "adapters.embedded.platform", "--state=:memory:", "--host=127.0.0.1", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stderr
        announced = json.loads(running.stdout.readline())
        assert announced["event"] == "stand-in platform listening"
        requests.put(f"{announced['url']}/stand-in/behaviour", json={"provisioning": {"hang": True}}, timeout=PATIENCE)
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE) == 0
        assert running.stderr.read() == ""
