"""axe-core, which finds what keeps people from reading a page: the package of npm, run in the browser of the tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ritz.storage.backends.lock import locked
from tests.browser import Page

VERSION = "4.14.1"

RULES = ("wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice")

RUN = """
axe.run(document, %s).then(done => done.violations.map(one => (
    {rule: one.id, impact: one.impact, where: one.nodes.map(node => node.target.join(" "))})))
"""


def source() -> str | None:
    """Return axe-core as one script, None where it is not there and npm cannot fetch it.

    It is fetched once, into a folder of the user's cache.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ritz-tests" / f"axe-core-{VERSION}"
    script = cache / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists() and shutil.which("npm") is not None:
        with locked(str(cache / "lock"), "axe-core of the tests", wait=120):
            command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", f"axe-core@{VERSION}"]
            subprocess.run([*command, "--prefix", str(cache)], capture_output=True, timeout=100, check=False)
    return script.read_text(encoding="utf-8") if script.exists() else None


def faults(page: Page) -> list[dict[str, Any]]:
    """Return the serious and the critical faults of a page as it is shown now."""
    script = source()
    assert script is not None
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.evaluate(script)
    found = page.evaluate(RUN % json.dumps({"runOnly": RULES, "resultTypes": ["violations"]}))
    return [one for one in found if one["impact"] in ("serious", "critical")]
