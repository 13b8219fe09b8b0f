"""An S3 server for the tests: moto, as a process of its own (run as ``python -m tests.bucket``)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KEY, SECRET = "TESTACCESSKEY0123456", "tests/Only+Secret/0123456789abcdefghijkl"
"""The credentials that the server takes."""


@contextmanager
def serving(home: Path) -> Iterator[dict[str, str]]:
    """Start the server on a free port of the loopback interface; gives the environment in which it is the S3.

    Nothing of the developer's own AWS set-up is left in it.
    """
    for name in ("config", "credentials"):
        (home / name).touch()
    command = [sys.executable, "-m", "tests.bucket"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), *_path()]))}
    with (
        (home / "server.log").open("w") as log,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port, (home / "server.log").read_text()
            yield settings(f"http://127.0.0.1:{port}", home)
        finally:
            process.kill()


def settings(endpoint: str, home: Path, key: str = KEY) -> dict[str, str]:
    """Return the variables that name a server and the credentials for it."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "eu-central-1",
        "AWS_CONFIG_FILE": str(home / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _path() -> list[str]:
    return [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []


class Strict:
    """What moto lacks: other access keys are refused, and a condition is tested and its object written in one step."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._writing = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if f"Credential={KEY}/" not in environ.get("HTTP_AUTHORIZATION", ""):
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            said = "The AWS Access Key Id you provided does not exist in our records."
            return [f"<Error><Code>InvalidAccessKeyId</Code><Message>{said}</Message></Error>".encode()]
        if environ["PATH_INFO"].startswith("/careless/"):
            # As servers do that know no conditions.
            environ.pop("HTTP_IF_NONE_MATCH", None)
        if environ["REQUEST_METHOD"] != "PUT":
            return self._application(environ, start_response)
        with self._writing:
            return list(self._application(environ, start_response))


def main() -> None:
    from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    application = Strict(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    print(server.server_port, flush=True)
    parent = os.getppid()

    def leave_with_parent() -> None:
        while os.getppid() == parent:
            threading.Event().wait(1)
        os._exit(0)

    threading.Thread(target=leave_with_parent, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
