"""Where a request comes from: the peer, or, behind a listed proxy, the address that the proxy passes on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from gridkeeper.trust.refusals import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gridkeeper.settings import Network

Address = IPv4Address | IPv6Address
MOST_HOPS = 20
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.%\w]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+")


@dataclass(frozen=True)
class Client:
    """Where a request comes from.

    address:   for logs, archive and audit.
    proxied:   whether a listed proxy handed it over, so that its headers are believed.
    trustable: the address that an address list may be asked for; None where nobody vouches for one.
    """

    address: str
    proxied: bool
    trustable: Address | None


def client_of(peer: str, forwarded: Sequence[str], proxies: Sequence[Network]) -> Client:
    """Say where a request comes from.

    peer:      the other end of the connection.
    forwarded: the values of `X-Forwarded-For`, in order; believed only where the peer is a listed proxy.
    Returns:   behind proxies, the right-most address that is no listed proxy: what stands further left was written by
               strangers. A proxy that passes on no address vouches for nobody.
    """
    address = read_address(peer)
    if address is None or not listed(address, proxies):
        return Client(str(address) if address else shown(peer) or "unknown", False, address)
    hops = [hop for line in forwarded for hop in line.split(",")]
    for text in reversed(hops[-MOST_HOPS:]):
        hop = read_address(text)
        if hop is None:
            break
        if not listed(hop, proxies):
            return Client(str(hop), True, hop)
        address = hop
    return Client(str(address), True, None)


def read_address(text: str) -> Address | None:
    """An address with or without a port; an IPv4 address in IPv6 clothes is the IPv4 address. None: it is no address."""
    text = text.strip()
    match = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address((match[1] or match[2]) if match else text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        return IPv6Address(int(address))  # without the zone, which only this machine knows
    return address


def listed(address: Address, networks: Iterable[Network]) -> bool:
    """Say whether an address lies in one of the networks."""
    return any(address in network for network in networks)
