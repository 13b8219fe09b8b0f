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

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
"""What tests saw in the browser, for whoever wants to see it; git ignores it."""

PATIENCE = 60.0
"""Seconds after which what has not happened never will."""


class Page:
    """A page of the browser.

    Attributes
    ----------
    requests
        What it has asked for since `watch`, as URLs; pictures that lie in a page are none.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._ids = itertools.count(1)
        self.requests: list[str] = []

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

    def type(self, text: str) -> None:
        """Type into the field that has the focus."""
        self._call("Input.insertText", text=text)

    def watch(self) -> None:
        """Keep what is asked for from now on."""
        self._call("Network.enable")

    def press(self, key: str) -> None:
        """Press a key that has a name, such as Tab."""
        codes = {"Tab": 9, " ": 32, "End": 35, "Home": 36, "ArrowRight": 39}
        for kind in ("keyDown", "keyUp"):
            text = key if kind == "keyDown" and len(key) == 1 else ""
            code = {"windowsVirtualKeyCode": codes[key], "code": "Space" if key == " " else key}
            self._call("Input.dispatchKeyEvent", type=kind, key=key, text=text, **code)

    def theme(self, name: str) -> None:
        """Prefer a theme, ``"light"`` or ``"dark"``."""
        self.prefer("prefers-color-scheme", name)

    def prefer(self, feature: str, value: str) -> None:
        """Have a preference of a reader, as a media feature with its value."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": feature, "value": value}])

    def keep(self, name: str) -> None:
        """Keep a picture of all of the page in `SCREENSHOTS`, in the place of the one of an earlier run."""
        SCREENSHOTS.mkdir(exist_ok=True)
        (SCREENSHOTS / f"{name}.png").write_bytes(self.picture())

    def picture(self) -> bytes:
        """Return all of the page, as PNG."""
        height = self.evaluate("document.documentElement.scrollHeight")
        area = {"x": 0, "y": 0, "width": 1280, "height": min(height, 8000), "scale": 1}
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=True, clip=area)
        return base64.b64decode(shot["data"])

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._connection.recv(PATIENCE))
            if answer.get("method") == "Network.requestWillBeSent":
                url = answer["params"]["request"]["url"]
                self.requests += [] if url.startswith("data:") else [url]
            if answer.get("id") == number:
                if "navigated or closed" in answer.get("error", {}).get("message", ""):
                    # Another page came meanwhile: what was asked is asked of that.
                    return self._call(method, **parameters)
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
