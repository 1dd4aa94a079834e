"""What an answer says of limits, and the limits of addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.http.limits import address as address_limit
from commerce.http.limits.account import PLANS, Fields, Limits, Policy
from commerce.http.limits.address import Addresses, network
from commerce.http.request import Request
from commerce.kernel.errors import ApiError
from commerce.store.rate import DAY, NANOSECONDS

NOON = 20_000 * DAY + DAY // 2


async def no_body() -> dict[str, object]:
    raise AssertionError("no body is read")


def request(peer: str | None) -> Request:
    return Request("req_1", "GET", "/v1/account", b"", {}, no_body, peer=peer)


def read(fields: Fields) -> dict[str, str]:
    assert len(dict(fields)) == len(fields)
    return {name.decode(): value.decode() for name, value in fields}


def test_the_fields_of_the_free_plan_are_those_of_the_contract() -> None:
    fields = read(Policy(PLANS["free"]).fields(8 * NANOSECONDS // 10, NOON, 900))
    assert fields == {
        "x-ratelimit-limit": "20",
        "x-ratelimit-remaining": "12",
        "x-ratelimit-reset": str(NOON // NANOSECONDS + 1),
        "ratelimit-policy": '"burst";q=20;w=2, "daily";q=1000;w=86400',
        "ratelimit": '"burst";r=12;t=1',
    }


def test_without_a_daily_limit_there_is_no_daily_policy() -> None:
    fields = read(Policy(PLANS["enterprise"]).fields(0, NOON, None))
    assert fields["ratelimit-policy"] == '"burst";q=40000;w=2'
    assert fields["ratelimit"] == '"burst";r=40000;t=0'


def test_where_less_is_left_of_the_day_the_fields_tell_of_the_day() -> None:
    fields = read(Policy(PLANS["free"]).fields(0, NOON, 3))
    assert fields["x-ratelimit-remaining"] == "3"
    assert fields["ratelimit"] == '"daily";r=3;t=43200'
    assert fields["x-ratelimit-reset"] == str((NOON + DAY // 2) // NANOSECONDS)


limits = st.builds(
    Limits, st.integers(1, 1_000_000), st.integers(1, 10_000_000), st.none() | st.integers(1, 10**9)
)


@given(limits, st.data())
def test_the_fields_are_true_to_the_bucket(limits: Limits, data: st.DataObject) -> None:
    policy = Policy(limits)
    taken = data.draw(st.integers(0, limits.burst))
    part = data.draw(st.integers(0, policy.nanoseconds - 1)) if taken else 0
    owed = taken * policy.nanoseconds - part
    now = data.draw(st.integers(NOON, NOON + DAY - 1))
    fields = read(policy.fields(owed, now, None))
    assert fields["x-ratelimit-limit"] == str(limits.burst)
    assert fields["x-ratelimit-remaining"] == str(limits.burst - taken)
    reset = int(fields["x-ratelimit-reset"])
    assert (reset - 1) * NANOSECONDS < now + owed <= reset * NANOSECONDS
    seconds = -(-owed // NANOSECONDS)
    assert fields["ratelimit"] == f'"burst";r={limits.burst - taken};t={seconds}'
    assert policy.nanoseconds * limits.rate >= NANOSECONDS
    assert policy.lease * 100 <= limits.burst
    assert policy.lease == 0 or limits.rate >= 100


def test_an_address_is_held_to_its_rate_and_others_are_not_held_to_it() -> None:
    addresses = Addresses(1)
    for _ in range(2):
        addresses.check("192.0.2.1")
        addresses.take(request("192.0.2.1"))
    asked = request("192.0.2.1")
    with pytest.raises(ApiError) as refused:
        addresses.take(asked)
    assert (refused.value.code, refused.value.headers) == (
        "rate_limit_exceeded",
        {"Retry-After": "1"},
    )
    assert read(asked.limits)["x-ratelimit-remaining"] == "0"
    with pytest.raises(ApiError):
        addresses.check("192.0.2.1")
    addresses.take(request("192.0.2.2"))
    addresses.take(request(None))
    addresses.check(None)


def test_only_so_many_addresses_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_limit, "REMEMBERED_MAX", 100)
    addresses = Addresses(1)
    for number in range(1_000):
        addresses.take(request(f"10.0.{number // 250}.{number % 250}"))
        assert len(addresses._full_at) <= 100
    addresses.take(request("10.0.3.249"))
    with pytest.raises(ApiError):
        addresses.take(request("10.0.3.249"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("a socket", "another socket", False),
    ],
)
def test_an_ipv6_network_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (network(one) == network(other)) is same


async def test_leases_are_for_rates_of_a_hundred_a_second_and_more() -> None:
    leases = {name: Policy(limits).lease for name, limits in PLANS.items()}
    assert leases == {"free": 0, "starter": 2, "growth": 20, "enterprise": 400}
    assert Policy(Limits(99, 1_000, None)).lease == 0
