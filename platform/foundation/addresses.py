"""Clients' addresses, as far as they tell one client from another."""

from ipaddress import IPv6Address, ip_address

IPV6_HOST_BITS = 64


def network_of(address: str) -> str:
    """Return what stands for a client: its IPv4 address, or the /64 of its IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address  # no IP: a Unix domain socket
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> IPV6_HOST_BITS << IPV6_HOST_BITS))
