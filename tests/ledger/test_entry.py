"""Postings cannot be unbalanced, nor can what they are netted into."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce.ledger.account import LedgerAccount
from commerce.ledger.entry import (
    AMOUNT_MAX,
    Booking,
    Posting,
    Unbalanced,
    canonical,
    net,
    postings_json,
    transaction_hash,
)


def account(code: str, currency: str = "ssusd", *, livemode: bool = False) -> LedgerAccount:
    return LedgerAccount("acct_1", livemode, code, currency)


def booking(*postings: Posting) -> Booking:
    return Booking("moved", "transfer", "tr_1", "ssusd", 1, postings)


accounts = st.sampled_from([account(code) for code in "abcd"])
postings = st.builds(Posting, accounts, accounts, st.integers(1, 10**18))


@given(st.lists(postings, max_size=8))
def test_what_a_booking_nets_to_sums_to_zero(postings: list[Posting]) -> None:
    assert sum(net(booking(*postings)).values()) == 0


@given(st.lists(postings, max_size=8))
def test_each_account_gets_its_debits_less_its_credits(postings: list[Posting]) -> None:
    amounts = net(booking(*postings))
    touched = {side for posting in postings for side in (posting.debit, posting.credit)}
    assert set(amounts) == touched
    for one in touched:
        debited = sum(posting.amount for posting in postings if posting.debit == one)
        credited = sum(posting.amount for posting in postings if posting.credit == one)
        assert amounts[one] == debited - credited


@given(st.lists(postings, max_size=6), st.data())
def test_the_order_of_postings_changes_no_amount(
    postings: list[Posting], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(postings))
    assert net(booking(*shuffled)) == net(booking(*postings))


@pytest.mark.parametrize("amount", [0, -1, AMOUNT_MAX + 1])
def test_an_amount_that_is_none_is_refused(amount: int) -> None:
    with pytest.raises(Unbalanced):
        net(booking(Posting(account("a"), account("b"), amount)))


def test_the_greatest_amount_is_one() -> None:
    posting = Posting(account("a"), account("b"), AMOUNT_MAX)
    assert net(booking(posting)) == {account("a"): AMOUNT_MAX, account("b"): -AMOUNT_MAX}


@pytest.mark.parametrize("other", [account("b", "usd"), account("b", livemode=True)])
def test_a_posting_between_two_books_is_refused(other: LedgerAccount) -> None:
    with pytest.raises(Unbalanced):
        net(booking(Posting(account("a"), account("b"), 1), Posting(account("a"), other, 1)))


def test_the_canonical_form_is_fixed() -> None:
    one = booking(Posting(account("a"), account("b"), 5))
    form = canonical("acct_1", "txn_1", 7, one, postings_json(one))
    assert form == (
        b'["commerce.transaction.1","acct_1","txn_1",7,"transfer","tr_1","moved",1,"ssusd",'
        b"null,null,null,"
        b'[["acct_1","a","acct_1","b","ssusd",5]]]'
    )
    assert transaction_hash(form) == hashlib.sha256(form).digest()


@given(st.lists(postings, min_size=1, max_size=4))
def test_the_canonical_form_says_all_that_was_booked(postings: list[Posting]) -> None:
    one = booking(*postings)
    form = msgspec.json.decode(canonical("acct_1", "txn_1", 7, one, postings_json(one)))
    assert [each[-1] for each in form[-1]] == [posting.amount for posting in postings]
    assert [each[1] for each in form[-1]] == [posting.debit.code for posting in postings]
    assert [each[3] for each in form[-1]] == [posting.credit.code for posting in postings]


def test_only_a_sharded_account_is_kept_in_parts() -> None:
    whole, parts = account("a"), account("a")._replace(sharded=True)
    assert whole.shard(3) == ("acct_1", False, "a", "ssusd")
    assert parts.shard(3) == ("acct_1", False, "a#3", "ssusd")
