"""The connections that clients have to this process, as Linux sees them; elsewhere there are none to see."""

from __future__ import annotations

import os
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

_DESCRIPTORS: Final = Path("/proc/self/fd")
_TCP_INFO_BYTES: Final = 136
# struct tcp_info of linux/tcp.h: milliseconds since data was sent and received last; bytes that the client confirmed.
_SENT_MS_AGO: Final = 44
_RECEIVED_MS_AGO: Final = 52
_BYTES_ACKED: Final = 120


class ClientSocket:
    """A descriptor of our own for a connection, closed on leaving; the server's stays its own.

    `sent`: bytes that the client has confirmed. `owes`: the client spoke last, so we wait for it, or it for us.
    """

    def __init__(self, own: socket.socket, inode: int) -> None:
        info = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        (sent_ms_ago,) = struct.unpack_from("=I", info, _SENT_MS_AGO)
        (received_ms_ago,) = struct.unpack_from("=I", info, _RECEIVED_MS_AGO)
        (self.sent,) = struct.unpack_from("=Q", info, _BYTES_ACKED)
        self.inode = inode
        self.peer = own.getpeername()[0].removeprefix("::ffff:")
        # A connection that nothing was ever sent on counts its age as the time since; the clock ticks in 1 to 4 ms.
        self.owes = received_ms_ago < sent_ms_ago or (self.sent == 0 and received_ms_ago == sent_ms_ago)
        self._own = own

    def end(self) -> None:
        """Shut the receiving half: who reads it reads its end, and can still answer."""
        with suppress(OSError):  # the client may have left by now
            self._own.shutdown(socket.SHUT_RD)

    def __enter__(self) -> ClientSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._own.close()


def client_sockets() -> list[ClientSocket]:
    """Every connection that was accepted on a port which this process listens on. Close each."""
    if not sys.platform.startswith("linux"):
        return []
    ours = [found for found in map(_socket_at, os.listdir(_DESCRIPTORS)) if found is not None]
    listening = {_port(own) for own, _ in ours if own.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)}
    return [found for own, inode in ours if (found := _as_client(own, inode, listening)) is not None]


def _socket_at(descriptor: str) -> tuple[socket.socket, int] | None:
    """A copy of a descriptor that is an internet socket."""
    try:
        if not os.readlink(_DESCRIPTORS / descriptor).startswith("socket:"):
            return None
        own = socket.socket(fileno=os.dup(int(descriptor)))
    except OSError:
        return None  # closed since it was listed
    if own.family in (socket.AF_INET, socket.AF_INET6) and own.type == socket.SOCK_STREAM:
        return own, os.fstat(own.fileno()).st_ino
    own.close()
    return None


def _as_client(own: socket.socket, inode: int, listening: set[int]) -> ClientSocket | None:
    try:
        if _port(own) in listening and not own.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return ClientSocket(own, inode)
    except OSError:
        pass  # the client left in this moment
    own.close()
    return None


def _port(own: socket.socket) -> int:
    port: int = own.getsockname()[1]
    return port
