"""Messages to the open pages, as server-sent events; the first page that is open may edit."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

_WAIT_S = 15.0  # a comment is sent after this time without a message, so that closed pages are noticed
_QUEUED = 1000  # messages that a page may be behind


class Hub:
    """Sends messages to all open pages, from any thread.

    The page that opened first edits; the others read only, until it is closed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: dict[int, tuple[str, asyncio.Queue, asyncio.AbstractEventLoop]] = {}
        self._count = 0
        self._closed = False

    @property
    def writer(self) -> str | None:
        """Session of the page that may edit; None if no page is open."""
        with self._lock:
            return next((session for session, _, _ in self._pages.values()), None)

    def publish(self, kind: str, **values: Any) -> None:
        """Send a message to all pages; `kind` becomes its entry `type`."""
        message = {"type": kind, **values}
        with self._lock:
            for _, queue, loop in self._pages.values():
                loop.call_soon_threadsafe(_put, queue, message)

    async def listen(self, session: str) -> AsyncIterator[str]:
        """Yield the messages for a page, as text of server-sent events."""
        queue: asyncio.Queue = asyncio.Queue(_QUEUED)
        with self._lock:
            self._count += 1
            number = self._count
            self._pages[number] = (session, queue, asyncio.get_running_loop())
        try:
            yield _text({"type": "hello", "writer": self.writer})
            while not self._closed:
                try:
                    yield _text(await asyncio.wait_for(queue.get(), _WAIT_S))
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            with self._lock:
                del self._pages[number]
            self.publish("writer", writer=self.writer)

    def close(self) -> None:
        """Say goodbye to all pages and end their streams."""
        self._closed = True
        self.publish("bye")


def _put(queue: asyncio.Queue, message: dict[str, Any]) -> None:
    if not queue.full():  # a page that does not read will ask for everything when it reloads
        queue.put_nowait(message)


def _text(message: dict[str, Any]) -> str:
    return f"data: {json.dumps(message)}\n\n"
