"""Shares: parts sum exactly, whatever is split, captured and given back in however many pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from commerce.areas.payments import share
from commerce.kernel.rounding import split

AMOUNTS = st.integers(1, 10**18)
PARTS = st.lists(st.integers(1, 10**17), min_size=1, max_size=50)


@given(AMOUNTS, st.data())
def test_the_platforms_share_of_a_capture_is_its_share_of_the_amount(
    amount: int, data: st.DataObject
) -> None:
    fee = data.draw(st.integers(0, amount))
    captured = data.draw(st.integers(1, amount))
    got = share.of_fee(captured, amount, fee)
    assert abs(got * amount - captured * fee) < amount
    assert share.of_fee(amount, amount, fee) == fee


@given(PARTS, st.data())
def test_fees_come_off_each_part_and_leave_none_below_zero(
    parts: list[int], data: st.DataObject
) -> None:
    off = data.draw(st.integers(0, sum(parts)))
    left = share.nets(parts, off)
    assert sum(left) == sum(parts) - off
    for part, net in zip(parts, left, strict=True):
        assert 0 <= net <= part
        assert abs((part - net) * sum(parts) - off * part) < sum(parts)


@given(PARTS, st.data())
def test_however_a_payment_is_given_back_each_gives_what_it_owes(
    parts: list[int], data: st.DataObject
) -> None:
    total = sum(parts)
    fee = data.draw(st.integers(0, total))
    owed = share.owed(parts, fee)
    assert (sum(owed), owed[-1]) == (total, fee)
    given_back, left = [0] * len(owed), total
    for _ in range(data.draw(st.integers(0, 6))):
        piece = data.draw(st.integers(1, left)) if left else 0
        if piece:
            step = share.back(piece, owed, given_back)
            assert sum(step) == piece
            assert min(step) >= 0
            given_back = [had + more for had, more in zip(given_back, step, strict=True)]
            left -= piece
            assert all(had <= all_ for had, all_ in zip(given_back, owed, strict=True))
    if left:
        step = share.back(left, owed, given_back)
        given_back = [had + more for had, more in zip(given_back, step, strict=True)]
    assert given_back == owed


@given(PARTS, st.data())
def test_a_refund_is_proportional_to_within_one_unit(parts: list[int], data: st.DataObject) -> None:
    total = sum(parts)
    piece = data.draw(st.integers(1, total))
    for got, owed in zip(share.back(piece, parts, [0] * len(parts)), parts, strict=True):
        assert abs(got * total - piece * owed) < total
    assert share.back(total, parts, [0] * len(parts)) == split(total, parts) == parts
