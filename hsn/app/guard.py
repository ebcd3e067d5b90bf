"""Answer only requests of the page that the user opened: the right host, origin and token.

The order matters. A foreign `Host` means DNS rebinding, and it is checked always, because requests of the same origin
have no `Origin`. Only then the token is compared.
"""

import hmac
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_CHANGING = ("POST", "PUT", "PATCH", "DELETE")


class Guard:
    """ASGI middleware that refuses foreign requests with 403.

    Parameters
    ----------
    app : ASGI application
    token : str
        Secret of this server.
    port : int
        Port of this server.
    """

    def __init__(self, app: Any, *, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._cookie = cookie_name(port)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no web sockets

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_ENCODED]
            await send(message)

        reason = self._reason_to_refuse(Request(scope))
        answer = self._app if reason is None else Response(f"refused: {reason}\n", 403)
        await answer(scope, receive, send_with_headers)

    def _reason_to_refuse(self, request: Request) -> str | None:
        """Return why a request is refused, or None."""
        hosts, origins = (request.headers.getlist(name) for name in ("host", "origin"))
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return "host"
        if any(origin.removeprefix("http://") not in self._hosts for origin in origins):
            return "origin"
        # The token of the address goes first: cookies know no ports, so the cookie may be that of an earlier server.
        given = request.query_params.get("token") or request.cookies.get(self._cookie, "")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return "token"
        json = request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
        if request.method in _CHANGING and request.method != "DELETE" and not json:
            return "content type"
        return None


_ENCODED = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


def cookie_name(port: int) -> str:
    """Return the name of the cookie that holds the token.

    Examples
    --------
    >>> cookie_name(8000)
    'hsn-8000'
    """
    return f"hsn-{port}"
