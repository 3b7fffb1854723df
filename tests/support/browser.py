"""A headless Chromium for tests: pages are opened, looked at and used as people do.

Spoken to is chromedriver, in the W3C's WebDriver protocol (JSON over HTTP), of which tests need so
little that a client library would be more to keep than this.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.places import ROOT

PROGRAMS = ("chromium", "chromedriver")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # which root cannot have
    "--disable-dev-shm-usage",  # which containers have little of
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_TIMEOUT_S = 60.0
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key under which the protocol names an element."""


class Browser:
    """One window. Its methods raise urllib's HTTPError where the browser refuses."""

    def __init__(self, address: str, profile: Path) -> None:
        self._address = address
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        chrome = {"args": [*_OPTIONS, f"--user-data-dir={profile}"]}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": chrome,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        self._session = "/session"
        answer = self._post("", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{answer['sessionId']}"

    def open(self, page: Path, *, width: int, scheme: str, part: str = "") -> None:
        """At that width, for a reader who prefers that colour scheme; ``part``: by a link to the
        element with that id."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._devtools("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._devtools("Emulation.setEmulatedMedia", {"features": [feature]})
        self._post("/url", {"url": "about:blank"})  # else a link within the page would not load it
        self._post("/url", {"url": f"{page.as_uri()}#{part}" if part else page.as_uri()})

    def run(self, script: str, *arguments: object) -> Any:
        """What the body of a function returns."""
        return self._post("/execute/sync", {"script": script, "args": list(arguments)})

    def hover(self, selector: str) -> None:
        """Moves the mouse over the first such element."""
        move = {
            "type": "pointerMove",
            "duration": 0,
            "x": 0,
            "y": 0,
            "origin": self._find(selector),
        }
        mouse = {"type": "pointer", "id": "mouse", "actions": [move]}
        self._post("/actions", {"actions": [mouse]})

    def click(self, selector: str) -> None:
        """On the first such element."""
        self._post(f"/element/{self._find(selector)[_ELEMENT]}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Into the first such element."""
        self._post(f"/element/{self._find(selector)[_ELEMENT]}/value", {"text": text})

    def press(self, key: str) -> None:
        """One key, on whatever has the focus."""
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._post("/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]})

    def complaints(self) -> list[str]:
        """What the console has said since the last call."""
        return [entry["message"] for entry in self._post("/se/log", {"type": "browser"})]

    def screenshot(self, path: Path) -> None:
        """The whole page."""
        shot = self._devtools(
            "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True}
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """Ends it."""
        self._send("DELETE", "", None)

    def _find(self, selector: str) -> Any:
        return self._post("/element", {"using": "css selector", "value": selector})

    def _devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        return self._post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._send("POST", path, body)

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        request = urllib.request.Request(
            f"{self._address}{self._session}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
            return json.load(answer)["value"]


@contextmanager
def browser() -> Iterator[Browser]:
    """A new one with an empty profile; afterwards neither it nor its driver is left."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert driver.stdout is not None
            said = (re.search(r"successfully on port (\d+)", line) for line in driver.stdout)
            port = next(match[1] for match in said if match)
            one = Browser(f"http://127.0.0.1:{port}", Path(profile))
            try:
                yield one
            finally:
                one.close()
        finally:
            driver.terminate()
            driver.communicate(timeout=_TIMEOUT_S)


SCREENSHOTS = ROOT / "build" / "screenshots"
