"""Debian's Chromium without a window, controlled over its debugging pipe without a port or a library."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.waiting import PATIENCE

# The descriptors that --remote-debugging-pipe reads commands from and writes answers to.
_COMMANDS, _ANSWERS = 3, 4
_END = b"\0"


def chromium() -> str | None:
    """The path of Chromium; None on a machine without it."""
    return shutil.which("chromium")


class Browser:
    """A browser with its own profile in the folder `profile`; `new_page` opens its page.

    `requested` are the URLs that the page requested, `complaints` the messages of console and policies.
    """

    def __init__(self, executable: str, profile: Path) -> None:
        self._executable = executable
        self._profile = profile
        self._unread = b""
        self._ids = 0
        self._session: str | None = None
        self._context: str | None = None
        self.requested: list[str] = []
        self.complaints: list[str] = []

    def __enter__(self) -> Self:
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        chosen = [
            "--headless=new",
            "--no-sandbox",  # as root there is none
            "--remote-debugging-pipe",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-proxy-server",
            f"--user-data-dir={self._profile}",
        ]
        # bash puts the pipes where Chromium expects them.
        redirected = f'exec "$@" {_COMMANDS}<&{commands} {_ANSWERS}>&{answers}'
        self._process = subprocess.Popen(
            ["bash", "-c", redirected, "bash", self._executable, *chosen],
            pass_fds=(commands, answers),
            env={"PATH": os.environ["PATH"], "HOME": str(self._profile)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(commands)
        os.close(answers)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._session = None
        try:
            self.call("Browser.close")
            self._process.wait(PATIENCE)
        except (OSError, TimeoutError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        finally:
            os.close(self._commands)
            os.close(self._answers)

    def call(self, method: str, **parameters: Any) -> Any:
        """Send a command of the DevTools protocol, and return its result."""
        self._ids += 1
        command = {"id": self._ids, "method": method, "params": parameters}
        if self._session is not None:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + _END)
        deadline = time.monotonic() + PATIENCE
        while True:
            message = self._message(deadline)
            if message.get("id") != self._ids:
                self._note(message)
            elif "error" in message:
                raise AssertionError(f"{method}: {message['error']}")
            else:
                return message["result"]

    def new_page(self) -> None:
        """Open an empty page without any state of the previous one, which is closed."""
        self._session = None
        if self._context is not None:
            self.call("Target.disposeBrowserContext", browserContextId=self._context)
        self._context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=self._context)["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Emulation.setDeviceMetricsOverride", width=1200, height=1000, deviceScaleFactor=1, mobile=False)
        self.requested.clear()
        self.complaints.clear()
        for domain in ("Page", "Network", "Runtime", "Log", "Audits"):
            self.call(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Load this URL."""
        assert "errorText" not in self.call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """Evaluate an expression in the page, and return its value; waits for a promise."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> Any:
        """Wait until an expression is not false, null or empty, and return its value."""
        deadline = time.monotonic() + PATIENCE
        while not (value := self.run(condition)):
            assert time.monotonic() < deadline, f"never true: {condition}\n{self.run('document.body.innerText')}"
            time.sleep(0.05)
        return value

    def click(self, selector: str) -> None:
        """Click the first element that matches as soon as it exists, at its current position."""
        self.wait_for(f"document.querySelector({json.dumps(selector)}) !== null")
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def type(self, selector: str, text: str) -> None:
        """Type into the first element that matches as soon as it exists."""
        self.wait_for(f"document.querySelector({json.dumps(selector)}) !== null")
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def screenshot(self) -> bytes:
        """The content of the window as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def _message(self, deadline: float) -> dict[str, Any]:
        while _END not in self._unread:
            readable, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                raise TimeoutError("the browser does not answer")
            read = os.read(self._answers, 1 << 20)
            if not read:
                raise ConnectionError("the browser has ended")
            self._unread += read
        first, _, self._unread = self._unread.partition(_END)
        message: dict[str, Any] = json.loads(first)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                if not parameters["request"]["url"].startswith("data:"):
                    self.requested.append(parameters["request"]["url"])
            case "Log.entryAdded" if parameters["entry"]["level"] in {"warning", "error"}:
                self.complaints.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
            case "Runtime.consoleAPICalled" if parameters["type"] in {"warning", "error", "assert"}:
                said = [each.get("value", each.get("description")) for each in parameters["args"]]
                self.complaints.append(str(said))
            case "Runtime.exceptionThrown":
                self.complaints.append(str(parameters["exceptionDetails"]))
            case "Audits.issueAdded" if parameters["issue"]["code"] == "ContentSecurityPolicyIssue":
                self.complaints.append(str(parameters["issue"]["details"]))
