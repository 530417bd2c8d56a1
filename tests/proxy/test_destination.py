"""What a CONNECT may name, and which addresses a tunnel must not reach."""

import ipaddress

import pytest

from codex_manager.proxy.destination import BadDestinationError, Destination, forbidden, parse_destination


@pytest.mark.parametrize(
    ("authority", "host", "port"),
    [
        (b"example.com:443", "example.com", 443),
        (b"EXAMPLE.com:8443", "example.com", 8443),
        (b"example.com.:443", "example.com", 443),
        (b"xn--bcher-kva.example:443", "xn--bcher-kva.example", 443),
        (b"my_host-1.internal:1", "my_host-1.internal", 1),
        (b"8.8.8.8:65535", "8.8.8.8", 65535),
        (b"[2606:4700:0:0::1111]:443", "2606:4700::1111", 443),
        (b"[::FFFF:8.8.8.8]:443", str(ipaddress.ip_address("::ffff:8.8.8.8")), 443),  # 3.13 writes it with dots
    ],
)
def test_a_destination_has_one_form(authority, host, port):
    assert parse_destination(authority) == Destination(host, port)


@pytest.mark.parametrize(
    "authority",
    [
        b"", b"example.com", b"example.com:", b":443", b"example.com:0", b"example.com:65536", b"example.com:+443",
        b"example.com:443:443", b"user@example.com:443", b"http://example.com:443", b"example.com:443/", b"exa mple.com:443",
        b"2130706433:443", b"0x7f000001:443", b"0x7f.1:443", b"127.1:443", b"0177.0.0.1:443", b"127.0.0.01:443", b"1.2.3:443",
        b"127.0.0.1.:443", b"..:443", b"-:443", b"a..b:443", "１２７.0.0.1:443".encode(), "bücher.example:443".encode(),
        "127。0。0。1:443".encode(), b"::1:443", b"[::1:443", b"[fe80::1%eth0]:443", b"[::1]", b"[]:443", b"[127.0.0.1]:443",
        b"example.com%00.evil:443", b"example.com\x00:443", b"a" * 254 + b":443", b"\xff\xfe:443",
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_no_destination(authority):
    with pytest.raises(BadDestinationError) as caught:
        parse_destination(authority)
    assert "\n" not in str(caught.value)


PUBLIC = (
    "8.8.8.8",
    "1.1.1.1",
    "100.128.0.1",
    "172.32.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
)
FORBIDDEN = {
    "127.0.0.1": "this machine itself",
    "127.255.255.254": "this machine itself",
    "::1": "this machine itself",
    "::ffff:127.0.0.1": "this machine itself",
    "::ffff:0:127.0.0.1": "this machine itself",
    "64:ff9b::7f00:1": "this machine itself",
    "2002:7f00:1::": "this machine itself",
    "0.0.0.0": "the unspecified address",
    "0.1.2.3": "the unspecified address",
    "::": "the unspecified address",
    "::ffff:0.0.0.0": "the unspecified address",
    "10.0.0.1": "a private or reserved address",
    "172.16.0.1": "a private or reserved address",
    "172.31.255.255": "a private or reserved address",
    "192.168.0.1": "a private or reserved address",
    "::ffff:192.168.0.1": "a private or reserved address",
    "100.64.0.1": "a private or reserved address",
    "192.0.2.1": "a private or reserved address",
    "198.18.0.1": "a private or reserved address",
    "192.88.99.1": "a private or reserved address",
    "240.0.0.1": "a private or reserved address",
    "255.255.255.255": "a private or reserved address",
    "fc00::1": "a private or reserved address",
    "fd12:3456::1": "a private or reserved address",
    "fec0::1": "a private or reserved address",
    "100::1": "a private or reserved address",
    "2001::1": "a private or reserved address",
    "2001:db8::1": "a private or reserved address",
    "::8.8.8.8": "a private or reserved address",
    "5f00::1": "a private or reserved address",
    "169.254.0.1": "a link-local address",
    "fe80::1": "a link-local address",
    "fe80::1%eth0": "a link-local address",
    "224.0.0.1": "a multicast address",
    "ff02::1": "a multicast address",
    "169.254.169.254": "a cloud's metadata service",
    "::ffff:169.254.169.254": "a cloud's metadata service",
    "fd00:ec2::254": "a cloud's metadata service",
    "100.100.100.200": "a cloud's metadata service",
    "168.63.129.16": "a cloud's metadata service",
    "no address": "no IP address",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address):
    assert forbidden(address) is None


@pytest.mark.parametrize(("address", "reason"), FORBIDDEN.items())
def test_everything_else_is_forbidden_by_its_name(address, reason):
    assert forbidden(address) == reason


ALLOWED = tuple(
    ipaddress.ip_network(text) for text in ("127.0.0.0/8", "10.0.0.0/8", "169.254.0.0/16", "fd00::/8", "::1")
)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.9.8.7", "169.254.7.7", "fd12::1", "::1", "::ffff:10.0.0.1"])
def test_what_the_user_allows_passes(address):
    assert forbidden(address, ALLOWED) is None


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "0.0.0.0", "192.168.0.1", "172.16.0.1", "fe80::1"]
)
def test_metadata_services_stay_forbidden_and_so_does_what_is_not_listed(address):
    assert forbidden(address, ALLOWED) is not None
