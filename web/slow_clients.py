"""Ending the connections of clients that stall in their bodies, or feed them byte by byte.

Granian's input knows no time limit, and a thread that waits in it cannot be woken; but the connection is a socket of
this process. `Watched` says which requests are under way, `WatchedInput` which of them wait for a body; `SlowClients`
looks at the sockets when one waits too long, and shuts the receiving half of those that owe it: the waiting read ends,
the thread is free, and the client reads 408.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

import structlog

from config.errors import BodyTooSlow
from web.own_sockets import ClientSocket, client_sockets

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

_log = structlog.get_logger("tollgate.web")
_LOOKS_PER_TIMEOUT: Final = 8
_LONGEST_PAUSE_S: Final = 2.0


class SlowClients:
    """Which threads are in a request, and which wait for its body. Looks at no socket while none waits long."""

    def __init__(self, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeout_s = timeout_s
        self.clock = clock
        self._requests: dict[int, tuple[float, str]] = {}
        self._reads: dict[int, tuple[float, str]] = {}
        self._unchanged: dict[int, tuple[tuple[int, bool], float]] = {}

    def enter(self, environ: dict[str, Any]) -> None:
        """A request begins on this thread; its body is read under watch from here on."""
        peer = _peer_in(environ)
        self._requests[get_ident()] = (self.clock(), peer)
        environ["wsgi.input"] = WatchedInput(environ["wsgi.input"], peer, self)

    def leave(self) -> None:
        """The request of this thread has its answer."""
        self._requests.pop(get_ident(), None)

    def wait(self, peer: str) -> None:
        """This thread waits for a body from here on."""
        self._reads[get_ident()] = (self.clock(), peer)

    def go_on(self) -> float:
        """It waits no more. Returns for how many seconds it did."""
        return self.clock() - self._reads.pop(get_ident())[0]

    def look(self, sockets: Callable[[], list[ClientSocket]] = client_sockets) -> int:
        """Look once, and end what has to end; how many connections that were.

        A connection ends when it has owed something for `timeout_s` and comes from an address whose body has been
        waited for that long. One whose answer went out after its next request had begun to arrive looks idle: where the
        wait goes on for twice as long, the address's idle connections end as well, which costs an honest client a new
        connection. Where another request of that address is as old and is not waiting for its body (a long file that is
        worked on), none of the address is ended: which connection is whose cannot be told.
        """
        now = self.clock()
        waits = {thread: (now - since, peer) for thread, (since, peer) in [*self._reads.items()]}
        longest: dict[str, float] = {}
        for waited_s, peer in waits.values():
            longest[peer] = max(waited_s, longest.get(peer, 0.0))
        if max(longest.values(), default=0.0) <= self.timeout_s / 2:
            self._unchanged.clear()
            return 0
        for thread, (since, peer) in [*self._requests.items()]:
            if now - since >= self.timeout_s and waits.get(thread, (0.0, ""))[0] < self.timeout_s:
                longest.pop(peer, None)
        return self._end(sockets(), longest, now)

    def _end(self, sockets: list[ClientSocket], longest: Mapping[str, float], now: float) -> int:
        found: dict[int, tuple[tuple[int, bool], float]] = {}
        ended = 0
        for one in sockets:
            with one:
                state = (one.sent, one.owes)
                before, since = self._unchanged.get(one.inode, (state, now))
                since = since if before == state else now
                found[one.inode] = (state, since)
                patience_s = self.timeout_s * (1 if one.owes else 2)
                if longest.get(one.peer, 0.0) >= patience_s and now - since >= self.timeout_s:
                    one.end()
                    ended += 1
        self._unchanged = found
        return ended

    def watch(self) -> None:
        """Look again and again, on a thread of its own."""
        threading.Thread(target=self._watch, name="tollgate-slow-clients", daemon=True).start()

    def _watch(self) -> None:
        pause_s = min(self.timeout_s / _LOOKS_PER_TIMEOUT, _LONGEST_PAUSE_S)
        while True:
            time.sleep(pause_s)
            try:
                ended = self.look()
            except OSError as error:
                _log.warning("slow_clients_not_seen", reason=str(error))
                continue
            if ended:
                _log.warning("slow_clients_ended", connections=ended, timeout_s=self.timeout_s)


class Watched:
    """A WSGI application whose requests are under watch."""

    def __init__(self, inner: WSGIApplication, clients: SlowClients) -> None:
        self._inner = inner
        self._clients = clients

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        self._clients.enter(environ)
        try:
            return self._inner(environ, start_response)
        finally:
            self._clients.leave()


class WatchedInput:
    """The body of one request: `read` alone, since nothing else of it is used here."""

    def __init__(self, source: Any, peer: str, clients: SlowClients) -> None:
        self._source = source
        self._peer = peer
        self._clients = clients

    def read(self, size: int = -1) -> bytes:
        """As the server reads. Raises BodyTooSlow when less than was asked for came in the time that a body has."""
        self._clients.wait(self._peer)
        try:
            piece: bytes = self._source.read(size)
        finally:
            waited_s = self._clients.go_on()
        if waited_s >= self._clients.timeout_s and (size < 0 or len(piece) < size):
            raise BodyTooSlow(f"no {'end' if size < 0 else size} bytes of the body came within {waited_s:.0f} s")
        return piece


def _peer_in(environ: dict[str, Any]) -> str:
    """Who is connected: the proxy, when there is one in front."""
    own: dict[str, str] = environ.get("werkzeug.proxy_fix.orig", environ)
    return own.get("REMOTE_ADDR") or ""
