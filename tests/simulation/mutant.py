"""Mutants: what the engine and the ledger would be with one thing wrong in them each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from commerce.areas.identity import api_key, spending
from commerce.areas.stablecoin import deposit, movement, scheduled, transaction, transfer, wallet
from commerce.books import chart, stablecoin
from commerce.engine import batch, engine, lane, money, tx
from commerce.engine.answers import ANSWER
from commerce.engine.batch import Batch, Ran
from commerce.engine.engine import Engine
from commerce.engine.lane import Lane
from commerce.engine.money import Bookkeeper
from commerce.engine.overlay import Held, Needs, Overlay, WorkingSet
from commerce.engine.tx import Tx
from commerce.kernel.clock import day
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.master_key import MasterKey
from commerce.kernel.money import Money
from commerce.ledger import cap
from commerce.ledger.account import BALANCE
from commerce.ledger.cap import CAP
from commerce.ledger.entry import Posting
from commerce.store.session import CommitUnknown
from commerce.store.table import Writing
from tests.simulation.mutation import acting, chain

Patch = Callable[[pytest.MonkeyPatch], None]


# Money


def a_cap_is_not_checked(patch: pytest.MonkeyPatch) -> None:
    """Whatever passes is counted, and nothing is too much."""

    def count(limit: cap.Cap, *rest: Any) -> Any:
        return cap.count(limit._replace(daily=None, monthly=None, total=None), *rest)

    patch.setattr(money, "count", count)


def a_slow_clock_begins_the_day_anew(patch: pytest.MonkeyPatch) -> None:
    """A day that has begun elsewhere is begun again by who is behind."""

    def count(limit: cap.Cap, row: Any, amount: int, now: int) -> Any:
        if row is not None and row[3] > day(now):
            row = (*row[:3], day(now), 0, *row[5:])
        return cap.count(limit, row, amount, now)

    patch.setattr(money, "count", count)


def a_floor_is_not_guarded(patch: pytest.MonkeyPatch) -> None:
    """A wallet may fall below zero."""
    guarded = chart.available

    def available(*whose: Any) -> Any:
        return guarded(*whose)._replace(guarded=False)

    patch.setattr(chart, "available", available)
    patch.setattr(transfer, "_require_funds", lambda *_: None)


def a_posting_is_on_the_wrong_side(patch: pytest.MonkeyPatch) -> None:
    """The recipient pays the network's fee."""
    right = stablecoin.transferred

    def transferred(*args: Any, payee: Any, **given: Any) -> Any:
        booking = right(*args, payee=payee, **given)
        amount, (_, fees, fee) = booking.postings
        return booking._replace(postings=(amount, Posting(payee, fees, fee)))

    patch.setattr(stablecoin, "transferred", transferred)


def the_fee_is_not_taken(patch: pytest.MonkeyPatch) -> None:
    """A transfer costs nothing."""
    right = stablecoin.transferred

    def transferred(*args: Any, **given: Any) -> Any:
        booking = right(*args, **given)
        return booking._replace(postings=booking.postings[:1])

    patch.setattr(stablecoin, "transferred", transferred)


def the_balance_after_is_wrong(patch: pytest.MonkeyPatch) -> None:
    """A transfer says what was left before its fee."""

    def amount(minor: int, currency: str) -> Money:
        return Money(minor + movement.NETWORK_FEE.minor, currency)

    patch.setattr(movement, "Money", amount)


def the_supply_is_not_lowered(patch: pytest.MonkeyPatch) -> None:
    """What is burned stays in the supply's meter."""
    use = Bookkeeper.use

    def only_up(self: Bookkeeper, limit: cap.Cap, amount: int) -> int:
        return use(self, limit, max(amount, 0))

    patch.setattr(Bookkeeper, "use", only_up)


def a_cancelled_transfer_stays_locked(patch: pytest.MonkeyPatch) -> None:
    """Cancelling gives nothing back."""

    def release(tx: Tx, transfer: Any) -> Money:
        held = chart.available(tx.caller.account, transfer.livemode, transfer.sender)
        return Money(tx.balance(held), SSUSD)

    patch.setattr(scheduled, "_release", release)


def a_scheduled_transfer_is_made_twice(patch: pytest.MonkeyPatch) -> None:
    """A job does not end, and what it does is booked each time."""
    task = scheduled.execute.__task__  # type: ignore[attr-defined]
    times: list[str] = []

    def execute(tx: Tx, params: Any) -> None:
        made = tx.lock(movement.Transfer, params.id)
        if made.status != "confirmed":
            task.run(tx, params)
            return
        times.append(made.id)
        sender, recipient = tx.address(made.sender), tx.address(made.recipient)
        booking = stablecoin.transferred(
            made.id,
            made.amount,
            made.fees.network_fee,
            payer=wallet.available(sender),
            payee=wallet.available(recipient),
            sender=made.sender,
            recipient=made.recipient,
        )
        tx.post(booking._replace(name=f"transferred {len(times)}"))

    patch.setattr(scheduled.execute, "__task__", task._replace(run=execute))
    patch.setattr(Tx, "change_job", lambda *_, **__: None)


def a_key_is_not_metered(patch: pytest.MonkeyPatch) -> None:
    """The limits of API keys limit nothing."""
    patch.setattr(spending, "use", lambda *_, **__: None)


def blocked_wallets_are_paid(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether an address is blocked."""
    patch.setattr(transfer, "_refuse_blocked", lambda *_: None)


def a_redemption_is_owed_to_nobody(patch: pytest.MonkeyPatch) -> None:
    """What is burned is said to be paid at once, and is still to be paid."""

    def burned(made: str, amount: Money, *, wallet: Any, sender: str) -> Any:
        cash = chart.reserves_cash(wallet.livemode)
        posting = Posting(wallet, cash, amount.minor)
        return stablecoin._booking("burned", "redeem", made, amount, posting, sender=sender)

    patch.setattr(stablecoin, "burned", burned)


def test_dollars_have_no_end(patch: pytest.MonkeyPatch) -> None:
    """Nobody counts the test dollars that an account makes."""
    patch.setattr(deposit, "_use_test_dollars", lambda *_: None)


def a_payment_is_verified_in_two_deposits(patch: pytest.MonkeyPatch) -> None:
    """One payment to the bank stands behind more than it brought."""
    patch.setattr(deposit, "_claim_payment", lambda *_: None)


def addresses_of_the_other_mode_are_paid(patch: pytest.MonkeyPatch) -> None:
    """An address that is somebody's in the other mode is taken for a stranger's."""
    patch.setattr(wallet, "_is_of_other_mode", lambda *_: False)


def an_expired_key_opens_by_a_slow_clock(patch: pytest.MonkeyPatch) -> None:
    """What was written down of a key does not count, only the time that it is somewhere."""
    refuse = api_key.refuse_dead

    def by_time(status: str, *rest: Any) -> None:
        refuse("active" if status == "expired" else status, *rest)

    patch.setattr(api_key, "refuse_dead", by_time)


# The engine


def an_overlay_is_lost(patch: pytest.MonkeyPatch) -> None:
    """The next verb of a batch does not see what the one before has counted."""
    keep = Overlay.keep

    def forgetful(self: Overlay) -> None:
        rows = self.working.rows.get(CAP.key, {})
        before = dict(rows)
        keep(self)
        rows.update(before)

    patch.setattr(Overlay, "keep", forgetful)


def a_refused_overlay_is_kept(patch: pytest.MonkeyPatch) -> None:
    """What a refused verb had done until then stays."""

    def verb(self: Batch, work: Any, working: WorkingSet, now: int) -> Any:
        overlay = Overlay(working)
        lane, mark, caller = self.session.lane, self.session.mark, work.command.caller
        view = Tx(overlay, caller, now=now, means=self.means, lane=lane, mark=mark)
        try:
            answer = work.command.run(view)
        except ApiError as error:
            overlay.keep()
            return self._refuse(work, working, error)
        overlay.keep()
        self._remember(work, working, answer)
        return answer

    patch.setattr(Batch, "_verb", verb)


def locks_are_taken_in_any_order(patch: pytest.MonkeyPatch) -> None:
    """A miss is locked whatever is held already."""
    patch.setattr(batch, "_below", lambda *_: False)


def balances_are_not_locked(patch: pytest.MonkeyPatch) -> None:
    """What is read is taken for locked."""

    def balance(self: Needs, account: Any) -> None:
        self.row(BALANCE.key, account.shard(self.lane))

    patch.setattr(Needs, "balance", balance)
    patch.setattr(WorkingSet, "holds", lambda *_: True)


def answers_are_kept_outside_the_commit(patch: pytest.MonkeyPatch) -> None:
    """An answer is written once its effect is committed, in another transaction."""
    attempt, whole = Lane._attempt, batch.writing
    waiting: list[Any] = []

    def without_answers(working: WorkingSet) -> Writing:
        written = whole(working)
        waiting.extend(written.inserts.get(ANSWER, ()))
        rest = {table: rows for table, rows in written.inserts.items() if table is not ANSWER}
        return written._replace(inserts=rest)

    async def and_then_answers(self: Lane, works: Batch, session: Any) -> Any:
        left = await attempt(self, works, session)
        rows = waiting[:]
        waiting.clear()
        if rows:
            second = await self._begin()
            await second.write(Writing({ANSWER: rows}, {}, ()))
            await second.commit()
        return left

    patch.setattr(lane, "writing", without_answers)
    patch.setattr(Lane, "_attempt", and_then_answers)


def who_asks_is_answered_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """An answer does not wait until its effect is kept."""
    run = Batch.run

    async def hasty(self: Batch, session: Any) -> Ran:
        ran = await run(self, session)
        self.answer(ran, lambda *_: None)
        return ran

    patch.setattr(Batch, "run", hasty)


def an_unknown_commit_is_run_again(patch: pytest.MonkeyPatch) -> None:
    """A lost COMMIT is taken for one that failed."""

    async def never(self: Lane, *_: Any) -> bool:
        await self.close()
        return False

    patch.setattr(Lane, "_was_kept", never)


def an_unknown_commit_is_taken_for_kept(patch: pytest.MonkeyPatch) -> None:
    """A lost COMMIT is taken for one that succeeded."""

    async def always(self: Lane, *_: Any) -> bool:
        await self.close()
        return True

    patch.setattr(Lane, "_was_kept", always)


def a_lost_commit_is_swallowed(patch: pytest.MonkeyPatch) -> None:
    """Nobody can say whether it was kept, and it is run again all the same."""
    ask = Lane._was_kept

    async def guess(self: Lane, *given: Any) -> bool:
        try:
            return await ask(self, *given)
        except CommitUnknown:
            return False

    patch.setattr(Lane, "_was_kept", guess)


def fingerprints_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    """Every request under a key is taken for the first one."""
    fingerprint = MasterKey.fingerprint

    def same(self: MasterKey, purpose: str, payload: bytes) -> bytes:
        return fingerprint(self, purpose, b"" if purpose == "request" else payload)

    patch.setattr(MasterKey, "fingerprint", same)


def an_answer_is_made_anew(patch: pytest.MonkeyPatch) -> None:
    """What is answered again is not what was answered, byte for byte."""
    bodies = Engine._bodies

    async def spaced(self: Engine, found: Any) -> Any:
        return {
            key: body.replace(b'":', b'": ', 1) for key, body in (await bodies(self, found)).items()
        }

    patch.setattr(Engine, "_bodies", spaced)


def answers_are_forgotten_early(patch: pytest.MonkeyPatch) -> None:
    """An answer is remembered for a minute."""
    patch.setattr(engine, "KEPT_SECONDS", 60)


def the_sequence_is_not_advanced(patch: pytest.MonkeyPatch) -> None:
    """Every event of an object is its first."""

    def first(kind: Any, account: str, _: int, thing: Any) -> Held:
        return Held(kind, account, 1, thing)

    patch.setattr(tx, "Held", first)


def recipients_are_not_told(patch: pytest.MonkeyPatch) -> None:
    """Whoever is paid hears nothing of it."""
    patch.setattr(transaction, "tell_recipient", lambda *_: None)


SEEDS: dict[Patch, int] = {
    a_cap_is_not_checked: 4,
    a_slow_clock_begins_the_day_anew: 2,
    a_floor_is_not_guarded: 0,
    a_posting_is_on_the_wrong_side: 0,
    the_fee_is_not_taken: 0,
    the_balance_after_is_wrong: 0,
    the_supply_is_not_lowered: 0,
    a_cancelled_transfer_stays_locked: 0,
    a_scheduled_transfer_is_made_twice: 0,
    a_key_is_not_metered: 0,
    blocked_wallets_are_paid: 7,
    a_redemption_is_owed_to_nobody: 0,
    test_dollars_have_no_end: 3,
    a_payment_is_verified_in_two_deposits: 134,
    addresses_of_the_other_mode_are_paid: 58,
    an_expired_key_opens_by_a_slow_clock: 58,
    an_overlay_is_lost: 0,
    a_refused_overlay_is_kept: 0,
    locks_are_taken_in_any_order: 3,
    balances_are_not_locked: 0,
    answers_are_kept_outside_the_commit: 0,
    who_asks_is_answered_before_the_commit: 0,
    an_unknown_commit_is_run_again: 2,
    an_unknown_commit_is_taken_for_kept: 9,
    a_lost_commit_is_swallowed: 3,
    fingerprints_are_not_compared: 0,
    an_answer_is_made_anew: 0,
    answers_are_forgotten_early: 20,
    the_sequence_is_not_advanced: 0,
    recipients_are_not_told: 0,
    **chain.SEEDS,
    **acting.SEEDS,
}
"""Each mutant, and a seed whose story shows what is wrong with it."""
