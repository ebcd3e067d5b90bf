"""Serve a project to the browser of this machine, until Ctrl-C."""

import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ..checks import require
from ..errors import InputError
from .project import LOCK, Project, close_project, open_project, open_tour, read_server, write_server

HOST = "127.0.0.1"
_TOKEN_BYTES = 24


def serve(
    places: Sequence[Path],
    folder: Path | None = None,
    *,
    port: int | None = None,
    user: str | None = None,
    mpp: float | None = None,
    aim: str | None = None,
    browser: bool = True,
    announce: Callable[[str], None] = lambda address: None,
) -> None:
    """Open a project and serve it; return when the server was stopped.

    Parameters
    ----------
    places, folder, user, mpp, aim
        See `hsn.app.project.open_project`. Without places and folder, a sample slide is opened, with a tour.
    port : int, optional
        Default: that of the last time, or a random one.
    browser : bool
        Whether to open the page. Default: True.
    announce : callable, optional
        Called with the address, which holds the token.

    Raises
    ------
    InputError
        "starlette-missing", "port-taken", "app-running", or a code of `open_project`.
    """
    for package in ("starlette", "uvicorn"):
        require(package, extra="app")
    try:
        nothing = not places and folder is None
        project = (
            open_tour(user=user) if nothing else open_project(places, folder, mpp=mpp, aim=aim, user=user)
        )
    except InputError as error:
        if error.code == "run-locked":
            raise _running(places, folder, error) from None
        raise
    try:
        _serve(project, port, browser=browser, announce=announce)
    finally:
        close_project(project)


def _serve(project: Project, port: int | None, *, browser: bool, announce: Callable[[str], None]) -> None:
    import uvicorn

    last = read_server(project.folder)
    listener = _listen(port, last.get("port"))
    port = listener.getsockname()[1]
    token = last.get("token") or secrets.token_urlsafe(_TOKEN_BYTES)
    write_server(project.folder, port, token)
    address = address_of(port, token)
    config = uvicorn.Config(
        build(project, token=token, port=port), log_level="critical", access_log=False, timeout_graceful_shutdown=3,
        server_header=False,
    )  # fmt: skip
    announce(address)
    if browser:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    uvicorn.Server(config).run(sockets=[listener])


def build(project: Project, *, token: str, port: int) -> Any:
    """Return the ASGI application of a project."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException

    from .guard import Guard
    from .routes import Routes, answer_bug, answer_error

    routes = Routes(project, token=token, port=port)

    @asynccontextmanager
    async def lifespan(app: Any) -> Any:
        yield
        routes.close()

    app = Starlette(
        routes=routes.routes(), lifespan=lifespan,
        exception_handlers={InputError: answer_error, HTTPException: answer_error, Exception: answer_bug},
    )  # fmt: skip
    app.state.routes = routes
    return Guard(app, token=token, port=port)


def address_of(port: int, token: str) -> str:
    """Return the address that opens the page.

    Examples
    --------
    >>> address_of(8000, "secret")
    'http://127.0.0.1:8000/?token=secret'
    """
    return f"http://{HOST}:{port}/?token={token}"


def _listen(port: int | None, last: int | None) -> socket.socket:
    """Return a listening socket on this machine's own address only."""
    for choice in [port] if port is not None else [last, 0] if last else [0]:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, choice))
            listener.listen(128)  # the page may be opened before the server accepts
            return listener
        except OSError as error:
            listener.close()
            if choice == port:
                raise InputError("port-taken", f"port {port} must be free", got=error.strerror,
                                 hint="leave --port out") from None  # fmt: skip
    raise AssertionError("port 0 is always free")


def _running(places: Sequence[Path], folder: Path | None, error: InputError) -> InputError:
    """Return the error for a project that another server has open, with its address."""
    from .project import TOUR, _folder_of

    chosen = _folder_of(places or [Path(TOUR)], folder)
    server = read_server(chosen)
    if not server:
        return error
    return InputError(
        "app-running", f"{chosen} must not be open in another `hsn app`", got="one that runs",
        hint=f"open {address_of(server['port'], server['token'])}, or delete {chosen / LOCK} if it has ended",
    )  # fmt: skip
