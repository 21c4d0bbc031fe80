"""The client's address is a proxy's word only where the proxy is trusted."""

import ipaddress

import pytest

from config.env import VARIABLES
from inference.server.proxies import behind_trusted_proxies


async def client_of(trusted: list[str], address: str, forwarded: str) -> str:
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["client"][0])

    scope = {"type": "http", "client": (address, 1), "headers": [(b"x-forwarded-for", forwarded.encode())]}
    await behind_trusted_proxies(app, trusted)(scope, None, None)
    return seen[0]


@pytest.mark.parametrize(
    ("trusted", "address", "forwarded", "client"),
    [
        ([], "127.0.0.1", "203.0.113.9", "127.0.0.1"),
        (["10.0.0.0/8"], "192.0.2.7", "203.0.113.9", "192.0.2.7"),
        (["10.0.0.0/8"], "10.0.0.2", "203.0.113.9", "203.0.113.9"),
        (["10.0.0.0/8"], "10.0.0.2", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        (["10.0.0.0/8"], "10.0.0.2", "1.1.1.1, 203.0.113.9, 10.0.0.3", "203.0.113.9"),
    ],
)
async def test_forwarded_addresses_are_believed_from_trusted_proxies_alone(
    trusted, address, forwarded, client
):
    assert await client_of(trusted, address, forwarded) == client


@pytest.mark.parametrize(
    "everybody",
    [
        "*",
        "0.0.0.0/0",
        "::/0",
        "10.0.0.0/8,proxy",
        "0.0.0.0/1,128.0.0.0/1",
        "::ffff:0:0/96",
        "::/8",
        "2000::/3",
    ],
)
def test_nobody_trusts_everybody(everybody):
    with pytest.raises(ValueError, match=r"is not an address|covers too much"):
        VARIABLES["TRUSTED_PROXIES"].parse(everybody)


def test_private_networks_are_trusted():
    private = ["10.0.0.0/8", "fc00::/7", "::ffff:a00:0/104", "192.0.2.7/32"]
    read = VARIABLES["TRUSTED_PROXIES"].parse(", ".join(private))
    assert [ipaddress.ip_network(text) for text in read] == [ipaddress.ip_network(text) for text in private]
