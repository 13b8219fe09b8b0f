"""A real browser for the tests: Chromium without a window, driven through its own protocol."""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from websockets.sync.client import connect

PATIENCE = 60.0
"""Seconds after which what has not happened never will."""


class Page:
    """A page of the browser."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._ids = itertools.count(1)

    def visit(self, url: str) -> None:
        """Load a page, and wait until it is there."""
        self._call("Page.navigate", url=url)
        self.until(f"location.href.startsWith({json.dumps(url)}) && document.readyState == 'complete'")

    def evaluate(self, script: str) -> Any:
        """Return the value of a script, once it is there where it is a promise."""
        answer = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, script: str) -> Any:
        """Wait until a script has a value that is true, and return it."""
        deadline = time.monotonic() + PATIENCE
        while not (value := self.evaluate(script)):
            assert time.monotonic() < deadline, (script, self.evaluate("document.body.innerText"))
            time.sleep(0.1)
        return value

    def picture(self) -> bytes:
        """Return a screenshot, as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot")["data"])

    def type(self, text: str) -> None:
        """Type into the field that has the focus."""
        self._call("Input.insertText", text=text)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._connection.recv(PATIENCE))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result


@contextmanager
def browsing(folder: Path) -> Iterator[Page]:
    """Run Chromium with a profile in ``folder``; gives its one page."""
    options = ["--headless=new", "--no-sandbox", "--no-proxy-server", "--remote-debugging-port=0"]
    # Pages leave out what is not in sight.
    options.append("--window-size=1400,1600")
    command = ["chromium", *options, f"--user-data-dir={folder}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            ports = _until(lambda: (folder / "DevToolsActivePort").read_text().split())
            pages = f"http://127.0.0.1:{ports[0]}/json/new?about:blank"
            with urlopen(Request(pages, method="PUT"), timeout=PATIENCE) as answer:
                address = json.load(answer)["webSocketDebuggerUrl"]
            with connect(address, max_size=None, proxy=None) as connection:
                yield Page(connection)
        finally:
            process.kill()


def _until(look: Callable[[], list[str]]) -> list[str]:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if found := look():
                return found
        except FileNotFoundError:
            assert time.monotonic() < deadline
        time.sleep(0.05)
