"""Who has no key: a page of another origin in a real browser, and another user of the machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from ritz.flows.server import key as keys
from ritz.flows.server.api import own_key
from tests.browser import Page, browsing
from tests.command import RITZ, SMALL, ritz, started
from tests.patience import until
from tests.require import require
from tests.served import Server, free_port


@pytest.fixture(scope="module")
def served() -> Iterator[Server]:
    # Not below a folder of pytest's, which keeps others out: what lies here must do so itself.
    folder = Path(tempfile.mkdtemp(prefix="ritz-strangers-"))
    folder.chmod(0o755)
    environment = os.environ | {"PREFECT_HOME": str(folder / "prefect"), "XDG_STATE_HOME": str(folder / "state")}
    port = free_port()
    with (
        pytest.MonkeyPatch.context() as patch,
        (folder / "log.txt").open("w") as log,
        started(
            *(RITZ, "serve", "--recipe", SMALL, "--port", str(port), "--store", str(folder / "store")),
            stdout=log,
            stderr=log,
            env=environment,
        ) as process,
    ):
        patch.setenv("XDG_STATE_HOME", environment["XDG_STATE_HOME"])
        server = Server(port, folder / "store", folder / "log.txt")
        until(lambda: process.poll() is not None or own_key(port))
        assert process.poll() is None, (folder / "log.txt").read_text()
        until(lambda: server.ask("POST", "deployments/filter", {}))
        yield server
    shutil.rmtree(folder)


class _Elsewhere(BaseHTTPRequestHandler):
    """A site that has nothing to do with the server: an empty page, and data that anybody may read."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(b"<p>elsewhere</p>")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        thread = threading.Thread(target=partial(server.serve_forever, 0.05))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    require("chromium")
    with browsing(tmp_path_factory.mktemp("chromium")) as page:
        yield page


READ = "fetch({url!r}, {options}).then(answer => answer.text()).then(text => 'read ' + text, error => 'nothing')"
"""What a page does to read something."""

WEBSOCKET = """
new Promise(end => {{
    const socket = new WebSocket({url!r}, ["prefect"]);
    socket.onopen = () => socket.send(JSON.stringify({{type: "auth", token: null}}));
    socket.onmessage = message => end("read " + message.data);
    socket.onerror = socket.onclose = () => end("nothing");
}})
"""

FORM = """
new Promise(end => {{
    const [form, frame, field] = ["form", "iframe", "input"].map(name => document.createElement(name));
    frame.name = form.target = "answer";
    form.method = "POST";
    form.enctype = "text/plain";
    form.action = {url!r};
    field.name = {body!r}; field.value = '"}}';
    frame.onload = () => setTimeout(() => end("sent"), 200);
    document.body.append(form); form.append(field);
    document.body.append(frame);
    form.submit();
}})
"""


def test_a_page_of_another_origin_reads_nothing(served: Server, elsewhere: str, page: Page) -> None:
    page.visit(elsewhere)
    # What may be read is read from here: the browser is no reason for what follows.
    assert page.evaluate(READ.format(url=f"{elsewhere}/", options="{}")) == "read <p>elsewhere</p>"
    api = f"{served.origin}/api"
    filters = '{method: "POST", headers: {"content-type": "application/json"}, body: "{}"}'
    plain = '{method: "POST", headers: {"content-type": "text/plain"}, body: "{}"}'
    reading = [
        READ.format(url=url, options=options)
        for url, options in (
            (f"{api}/admin/version", "{}"),
            (f"{api}/admin/settings", '{credentials: "include"}'),
            (f"{api}/csrf-token?client=me", "{}"),
            (f"{api}/flow_runs/filter", filters),
            (f"{api}/logs/filter", plain),
            (f"{api}/health", "{}"),
            (f"{served.origin}/ui-settings", "{}"),
            (f"{served.origin}/openapi.json", "{}"),
            (f"{served.origin}/ritz/proof?nonce", "{}"),
        )
    ]
    sockets = [WEBSOCKET.format(url=f"ws://127.0.0.1:{served.port}/api/{path}") for path in ("events/out", "logs/out")]
    found = page.evaluate(f"Promise.all([{', '.join(reading)}])")
    assert found == ["nothing"] * len(reading)
    for socket in sockets:
        answer = page.evaluate(socket)
        # The socket for logs says that it wants a key before it closes.
        assert answer == "nothing" or json.loads(answer.removeprefix("read "))["type"] == "auth_failure", answer


def test_a_page_of_another_origin_starts_nothing(served: Server, elsewhere: str, page: Page) -> None:
    deployment = served.ask("GET", "deployments/name/ritz/small")
    before = served.ask("POST", "flow_runs/filter", {})
    page.visit(elsewhere)
    run = f"{served.origin}/api/deployments/{deployment['id']}/create_flow_run"
    # As it was possible once: the caller's scheduler gets the owner's pickles.
    body = {"parameters": {"profile": "attach:tcp://127.0.0.1:9", "store": "/tmp/theirs"}}
    asked = json.dumps(json.dumps(body))
    for mode in ("cors", "no-cors"):
        for kind in ("application/json", "text/plain"):
            options = f'{{method: "POST", mode: "{mode}", headers: {{"content-type": "{kind}"}}, body: {asked}}}'
            assert page.evaluate(READ.format(url=run, options=options)) in ("nothing", "read ")
    assert page.evaluate(FORM.format(url=run, body='{"parameters": {}, "a": "')) == "sent"
    event = {
        "occurred": "2026-01-01T00:00:00Z",
        "event": "theirs",
        "resource": {"prefect.resource.id": "theirs"},
        "id": str(os.urandom(16).hex()),
    }
    script = f"""
    new Promise(end => {{
        const socket = new WebSocket("ws://127.0.0.1:{served.port}/api/events/in");
        socket.onopen = () => {{ socket.send({json.dumps(json.dumps(event))}); setTimeout(() => end("sent"), 500); }};
        socket.onerror = () => end("refused");
    }})
    """
    assert page.evaluate(script) == "refused"
    assert served.ask("POST", "flow_runs/filter", {}) == before
    changed = served.ask("GET", "deployments/name/ritz/small")
    assert changed["parameters"] == deployment["parameters"]


def test_the_pages_of_the_server_work_with_its_key(served: Server, page: Page) -> None:
    page.visit(f"{served.origin}/")
    page.until("location.pathname.includes('login') && !!document.querySelector('input')")
    page.evaluate("document.querySelector('input').focus()")
    page.type(served.key())
    page.evaluate("document.querySelector('button[type=submit], form button').click()")
    page.until("!location.pathname.includes('login')")
    page.visit(f"{served.origin}/deployments")
    page.until("document.body.innerText.includes('small')")


def test_a_name_that_was_made_to_point_here_is_refused(served: Server) -> None:
    for host in ("evil.example", f"evil.example:{served.port}", "127.0.0.1.evil.example"):
        with pytest.raises(HTTPError) as caught:
            urlopen(Request(f"{served.origin}/api/health", headers={"Host": host}), timeout=30)
        assert caught.value.code == 400
        caught.value.close()


@pytest.mark.parametrize("key", ["ritz:", "ritz:guessed", "", ":"])
def test_another_key_is_refused(served: Server, key: str) -> None:
    with pytest.raises(HTTPError) as caught:
        served.ask("GET", "admin/version", key=key or "\n")
    assert caught.value.code == 401
    caught.value.close()


def test_the_owner_s_commands_need_no_setting(served: Server) -> None:
    done = ritz("trigger", "darcy", "--port", str(served.port))
    assert done.returncode == 2
    assert "does not serve recipe 'darcy'" in done.stderr


STRANGER = """
import encodings.idna, json, os, sys, urllib.error, urllib.request
os.setgroups([]); os.setgid(65534); os.setuid(65534)
port, paths = sys.argv[1], sys.argv[2:]
found = {}
for path in paths:
    try:
        found[path] = os.listdir(path) if os.path.isdir(path) else len(open(path, "rb").read())
    except PermissionError:
        found[path] = None
def ask(path, body=None, headers={}):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/{path}", body, headers)
    try:
        return urllib.request.urlopen(request, timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code
codes = [ask(path) for path in ("admin/version", "deployments/name/ritz/small", "csrf-token?client=a")]
codes.append(ask("flows/count", b"{}"))
seen = []
for process in filter(str.isdigit, os.listdir("/proc")):
    for file in ("cmdline", "environ"):
        try:
            seen.append(open(f"/proc/{process}/{file}", "rb").read().decode(errors="replace"))
        except OSError:
            pass
print(json.dumps([found, codes, "".join(seen)]))
"""


def test_another_user_of_the_machine_gets_nothing(served: Server) -> None:
    require("root")
    place = keys.path(served.port)
    log, home = served.log, served.store.with_name("prefect")
    paths = [log, place, place.parent, home, *home.glob("prefect.db*"), home / "memo_store.toml"]
    assert home / "prefect.db" in paths
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, str(served.port), *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found, codes, seen = json.loads(done.stdout)
    assert found == dict.fromkeys(map(str, paths)) | {str(log): log.stat().st_size}
    # A POST hears first that it has no token, which it cannot get.
    assert codes == [401, 401, 401, 403]
    # Everybody's command lines can be read.
    assert "ritz.flows.server.process" in seen
    assert served.key() not in seen
    assert served.key() not in log.read_text()
    for path in (place, *home.glob("prefect.db*")):
        assert path.stat().st_mode & 0o777 == 0o600
    for folder in (place.parent, home):
        assert folder.stat().st_mode & 0o777 == 0o700
