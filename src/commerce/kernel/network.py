"""Network addresses: single ones and whole networks, read from text and compared."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

IpAddress = IPv4Address | IPv6Address


LENGTH_MAX = 80
"""The longest address there is has a zone and a port behind it."""


def parse_address(text: str) -> IpAddress | None:
    """Read an address, its port left out; None for what is none.

    An IPv4 address that is written as an IPv6 one is the IPv4 address.
    """
    # The length goes first, so that the cache below holds no long text.
    return _parsed(text) if len(text) <= LENGTH_MAX else None


@lru_cache(65_536)
def _parsed(text: str) -> IpAddress | None:
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_loopback(text: str) -> bool:
    """Whether an address is this machine's own, which no network leads to."""
    address = parse_address(text)
    return address is not None and address.is_loopback


class Networks:
    """Addresses, single and by networks."""

    __slots__ = ("_networks",)

    def __init__(self, *networks: str) -> None:
        """Take addresses and CIDR networks; raises ValueError for anything else."""
        self._networks = [ip_network(each) for each in networks]

    @classmethod
    def parse(cls, text: str) -> Networks:
        """Read a list with commas between."""
        return cls(*(each.strip() for each in text.split(",")))

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, IPv4Address | IPv6Address):
            return False
        return any(address in network for network in self._networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Networks) and self._networks == other._networks

    def __hash__(self) -> int:
        return hash(tuple(self._networks))

    def __str__(self) -> str:
        return ",".join(map(str, self._networks))
