"""Addresses and networks are read from text, and nothing else is."""

import pytest

from commerce.kernel.network import Networks, is_loopback, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9:80 ", "203.0.113.9"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ('"[::1]"', "::1"),
        (" " * 77 + "::1", "::1"),
    ],
)
def test_an_address_is_read_without_its_port(text: str, address: str) -> None:
    assert str(parse_address(text)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "_hidden",
        "~1.2.3.4",
        " " * 78 + "::1",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "::g",
        "[",
        "é",
        "::1::",
        "1" * 81,
    ],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None
    assert is_loopback(text) is False


@pytest.mark.parametrize(
    ("text", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False), ("::", False)],
)
def test_loopback_is_this_machine(text: str, loopback: bool) -> None:
    assert is_loopback(text) is loopback


def test_networks_hold_addresses_and_are_read_back_from_their_text() -> None:
    networks = Networks.parse("10.1.0.0/16, 192.0.2.1 ,2001:db8::/32")
    for text, held in (
        *(("10.1.255.1", True), ("10.2.0.1", False), ("192.0.2.1", True), ("192.0.2.2", False)),
        *(("2001:db8::9", True), ("2001:db9::9", False), ("::ffff:10.1.0.1", True)),
    ):
        assert (parse_address(text) in networks) is held, text
    assert None not in networks
    assert Networks.parse(str(networks)) == networks
    assert hash(Networks.parse(str(networks))) == hash(networks)
    assert networks != Networks("10.1.0.0/16")
    assert networks
    assert not Networks()


@pytest.mark.parametrize("text", ["", "10.1.2.3/16", "localhost", "10.0.0.0/33", "10.0.0.1,", "*"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|host bits"):
        Networks.parse(text)
