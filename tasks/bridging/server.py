"""An HTTP server of models by the protocol of UM-Bridge, for whom its socket lets in."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from ritz.tasks.bridging.forward import Config, Forward, NoAnswer
from ritz.tasks.bridging.parameters import Vectors
from ritz.tasks.errors import InputError

if TYPE_CHECKING:
    from aiohttp import web


class Served:
    """A model as the package `umbridge` asks for it."""

    def __init__(self, forward: Forward) -> None:
        self.forward, self.name = forward, forward.name

    def get_input_sizes(self, config: Config) -> list[int]:
        """Return the lengths of the vectors that are sent."""
        return self.forward.input_sizes(config)

    def get_output_sizes(self, config: Config) -> list[int]:
        """Return the lengths of the vectors that are returned."""
        return self.forward.output_sizes(config)

    def __call__(self, parameters: Vectors, config: Config) -> list[list[float]]:
        """Answer one sample."""
        return self.forward(parameters, config)

    def gradient(
        self, out_wrt: int, in_wrt: int, parameters: Vectors, sens: Sequence[float], config: Config
    ) -> list[float]:
        """Return the gradient of one vector that is returned, times ``sens``, by one that is sent."""
        return self.forward.gradient(out_wrt, in_wrt, parameters, sens, config)

    def apply_jacobian(
        self, out_wrt: int, in_wrt: int, parameters: Vectors, vec: Sequence[float], config: Config
    ) -> list[float]:
        """Return the change of one vector that is returned along ``vec``, a change of one that is sent."""
        return self.forward.along(out_wrt, in_wrt, parameters, vec, config)

    def supports_evaluate(self) -> bool:
        """Return that it answers."""
        return True

    def supports_gradient(self) -> bool:
        """Return whether it has a gradient."""
        return self.forward.differentiable()

    def supports_apply_jacobian(self) -> bool:
        """Return whether it has products with its Jacobian."""
        return self.forward.differentiable()

    def supports_apply_hessian(self) -> bool:
        """Return that it has no Hessian."""
        return False


def check_installed() -> None:
    """Refuse where the package is missing.

    Raises
    ------
    InputError
        With the extra to install.
    """
    from importlib.util import find_spec

    if find_spec("umbridge") is None:
        raise InputError(
            "ritz bridge needs umbridge, which is not installed; expected the extra `bridge`: pip install "
            "'ritz[bridge]'"
        )


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens; with port 0 the system chooses one.

    Raises
    ------
    InputError
        If it cannot.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        # Python's text goes on with the address.
        reason = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
        raise InputError(
            f"--host {host} --port {port}: {reason}; expected an address of this machine and a free port"
        ) from None


def address(at: socket.socket) -> str:
    """Return the URL of a socket."""
    host, port = at.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(forwards: Sequence[Forward], at: socket.socket) -> None:
    """Answer calls, one after the other, until the process is told to end."""
    from types import SimpleNamespace

    import umbridge.um as package
    from aiohttp import web

    def run(app: web.Application, port: int) -> None:
        del port
        app.middlewares.append(web.middleware(_refusing))
        web.run_app(app, sock=at, print=None, access_log=None)

    # The package hands its application to `web.run_app` with nothing but a port, and would listen on all addresses.
    package.web = SimpleNamespace(**{**vars(web), "run_app": run})
    try:
        package.serve_models([Served(one) for one in forwards])
    finally:
        package.web = web


async def _refusing(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
    """Tell the client what is wrong, in the form in which it expects that; else it gets a page without a reason."""
    from aiohttp import web

    try:
        return await handler(request)
    except InputError as error:
        kind, status, said = "InvalidInput", 400, str(error)
    except NoAnswer as error:
        kind, status, said = "ModelError", 500, str(error)
    return web.json_response({"error": {"type": kind, "message": said}}, status=status)
