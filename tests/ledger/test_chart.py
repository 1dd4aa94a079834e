"""The chart of accounts: whose each account is, on which side it counts, and what guards it."""

from __future__ import annotations

import pytest

from commerce.books import chart
from commerce.kernel.currency import SSUSD
from commerce.ledger.account import NETWORK, LedgerAccount


def test_the_wallets_of_a_holder_are_theirs_and_never_below_zero() -> None:
    made = (
        chart.available("acct_1", True, "addr"),
        chart.pending("acct_1", True, "addr"),
        chart.locked("acct_1", True, "addr"),
    )
    for account, part in zip(made, ("available", "pending", "locked"), strict=True):
        assert account == LedgerAccount(
            "acct_1",
            livemode=True,
            code=f"wallet:addr:{part}",
            currency=SSUSD,
            debit_normal=False,
            guarded=True,
            sharded=False,
        )


@pytest.mark.parametrize("livemode", [True, False])
def test_the_accounts_of_the_network_are_guarded_or_in_parts(livemode: bool) -> None:
    made = {
        account.code: (account.debit_normal, account.guarded, account.sharded)
        for account in (
            chart.reserves_cash(livemode),
            chart.reserves_unissued(livemode, "dep_1"),
            chart.redemptions_payable(livemode),
            chart.fees_network(livemode),
        )
        if account[:2] == (NETWORK, livemode) and account.currency == SSUSD
    }
    assert made == {
        "reserves:cash": (True, False, True),
        "reserves:unissued:dep_1": (False, True, False),
        "redemptions:payable": (False, True, False),
        "fees:network": (False, False, True),
    }
