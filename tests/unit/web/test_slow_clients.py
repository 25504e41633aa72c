"""Which connections are ended when a body does not come, decided on made-up sockets and a clock that a test moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from config.errors import BodyTooSlow
from web.draining import drain
from web.slow_clients import SlowClients, WatchedInput

TIMEOUT_S = 10.0


class Socket:
    """A connection as the kernel would show it."""

    def __init__(self, inode: int, peer: str = "10.0.0.1", *, owes: bool = True, sent: int = 0) -> None:
        self.inode, self.peer, self.owes, self.sent = inode, peer, owes, sent
        self.is_ended = False

    def end(self) -> None:
        self.is_ended = True

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        """A real one closes its descriptor here."""


class Site:
    """The watcher, a clock, and threads that are numbers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self._thread = 0
        self.clients = SlowClients(TIMEOUT_S, lambda: self.now)
        monkeypatch.setattr("web.slow_clients.get_ident", lambda: self._thread)

    def request(self, thread: int, peer: str = "10.0.0.1", *, waits: bool = True) -> None:
        """A request that begins now; one that waits for its body, or one that works."""
        self._thread = thread
        self.clients.enter({"REMOTE_ADDR": peer, "wsgi.input": None})
        if waits:
            self.clients.wait(peer)

    def pass_by(self, seconds: float, *sockets: Socket) -> int:
        """Time passes with a look each second; how many connections ended."""
        ended = 0
        for _ in range(int(seconds)):
            self.now += 1
            ended += self.clients.look(lambda: [one for one in sockets if not one.is_ended])  # type: ignore[misc]
        return ended


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    return Site(monkeypatch)


def test_a_stalled_client_is_ended_after_its_time_and_an_answered_one_is_not(site: Site) -> None:
    site.request(1)
    stalled, answered = Socket(1), Socket(2, owes=False, sent=900)

    assert site.pass_by(10, stalled, answered) == 0
    assert site.pass_by(6, stalled, answered) == 1
    assert (stalled.is_ended, answered.is_ended) == (True, False)


def test_nobody_is_looked_at_while_no_body_is_waited_for(site: Site) -> None:
    def never() -> Any:
        raise AssertionError("looked")

    site.request(1, waits=False)
    site.now = 1000.0
    assert site.clients.look(never) == 0


def test_another_address_is_left_alone(site: Site) -> None:
    site.request(1, "10.0.0.1")
    stalled, other = Socket(1, "10.0.0.1"), Socket(2, "10.0.0.2")

    site.pass_by(30, stalled, other)

    assert (stalled.is_ended, other.is_ended) == (True, False)


def test_a_connection_that_came_later_has_its_time_as_well(site: Site) -> None:
    site.request(1)
    stalled, later = Socket(1), Socket(2)
    site.pass_by(9, stalled)

    site.pass_by(7, stalled, later)

    assert (stalled.is_ended, later.is_ended) == (True, False)


def test_a_connection_that_gets_answers_is_never_one_that_owes_for_long(site: Site) -> None:
    site.request(1)
    busy = Socket(2)
    for _ in range(40):
        busy.sent += 100
        site.pass_by(1, busy)

    assert not busy.is_ended


def test_where_an_old_request_of_the_same_address_works_none_is_ended(site: Site) -> None:
    site.request(1)
    site.request(2, waits=False)
    stalled, working = Socket(1), Socket(2)

    assert site.pass_by(40, stalled, working) == 0
    site.clients.leave()
    assert site.pass_by(1, stalled) == 1


def test_one_that_looks_idle_is_ended_when_the_wait_goes_on(site: Site) -> None:
    site.request(1)
    sneaky = Socket(1, owes=False, sent=200)

    assert site.pass_by(19, sneaky) == 0
    assert site.pass_by(2, sneaky) == 1


class Source:
    """A body that takes its time."""

    def __init__(self, site: Site, seconds: float, piece: bytes) -> None:
        self._site, self._seconds, self._piece = site, seconds, piece

    def read(self, _: int) -> bytes:
        self._site.now += self._seconds
        return self._piece


def test_a_body_that_was_cut_off_says_so_and_one_that_came_in_time_does_not(site: Site) -> None:
    with pytest.raises(BodyTooSlow):
        WatchedInput(Source(site, 12, b"{"), "10.0.0.1", site.clients).read(5)

    assert WatchedInput(Source(site, 9, b"{"), "10.0.0.1", site.clients).read(5) == b"{"
    assert WatchedInput(Source(site, 12, b"12345"), "10.0.0.1", site.clients).read(5) == b"12345"
    assert drain(WatchedInput(Source(site, 12, b"{"), "10.0.0.1", site.clients)) == 0


def test_behind_a_proxy_the_proxy_is_who_is_connected(site: Site) -> None:
    environ = {
        "REMOTE_ADDR": "6.6.6.6",
        "werkzeug.proxy_fix.orig": {"REMOTE_ADDR": "10.0.0.1"},
        "wsgi.input": Source(site, 16, b""),
    }
    site.clients.enter(environ)
    site.clients.wait("10.0.0.1")
    proxy, client = Socket(1, "10.0.0.1"), Socket(2, "6.6.6.6")

    site.pass_by(20, proxy, client)

    assert (proxy.is_ended, client.is_ended) == (True, False)
