"""Clients' addresses, as limits count them."""

from ipaddress import IPv6Address, ip_address

IPV6_HOST_BITS = 64


def network_of(address: str, *, ipv6_host_bits: int = IPV6_HOST_BITS) -> str:
    """Return the network that counts as one client: its IPv4 address, or the /64 of its IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address  # a Unix domain socket has no IP address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    prefix = int(parsed) >> ipv6_host_bits << ipv6_host_bits
    return str(IPv6Address(prefix))
