"""How many connections a process holds: in all, and from one address."""

from __future__ import annotations

import resource
from contextlib import suppress

from commerce.http.limits.address import network
from commerce.kernel.network import Networks, parse_address

FILES_BESIDE = 64
"""Open files that are no connections of clients: the log, modules, what the system keeps."""


class Door:
    """Lets connections in while there is room, and from each address while it has not too many.

    An address has half of the room at most, so that nobody alone keeps everyone else out. What a
    trusted proxy connects comes from many, and is bounded in all only.
    """

    def __init__(self, room: int, each: int, proxies: Networks | None = None) -> None:
        self._room = room
        self._each = max(1, min(each, room // 2))
        self._proxies = proxies or Networks()
        self._inside = 0
        self._from: dict[bytes, int] = {}

    def enter(self, peer: str | None) -> bool:
        """Let a connection in; False when there is no room for it."""
        key = self._key(peer)
        here = 0 if key is None else self._from.get(key, 0)
        if self._inside >= self._room or here >= self._each:
            return False
        self._inside += 1
        if key is not None:
            self._from[key] = here + 1
        return True

    def leave(self, peer: str | None) -> None:
        """A connection that was let in has ended."""
        self._inside -= 1
        key = self._key(peer)
        if key is None:
            return
        self._from[key] -= 1
        if not self._from[key]:
            del self._from[key]

    def _key(self, peer: str | None) -> bytes | None:
        if peer is None or (self._proxies and parse_address(peer) in self._proxies):
            return None
        return network(peer)


def room(connections: int, files_beside: int = 0) -> int:
    """How many connections this process may hold, of so many that are wished for.

    It asks the system for as many open files as that takes, which may grant less. What is left
    over for the process' own files must be, or nobody could connect to anything any more.
    """
    beside = FILES_BESIDE + files_beside
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + beside
    if soft == resource.RLIM_INFINITY:
        return connections
    if soft < wanted:
        more = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
            soft = more
    return max(1, min(connections, soft - beside))
