"""A world for the engine: processes on one store, accounts with money, ways to stop and to fail."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from commerce.areas.identity import account, api_key
from commerce.areas.identity.account import Account, main_wallet
from commerce.areas.stablecoin import issuance, movement, transfer
from commerce.books import chart
from commerce.engine.answers import Answer, IdempotencyKey
from commerce.engine.caller import Caller
from commerce.engine.command import Command
from commerce.engine.engine import Engine
from commerce.engine.overlay import Directory, Needs
from commerce.engine.tx import Means, Tx
from commerce.http.auth import KeyRing
from commerce.http.pipeline import _command
from commerce.kernel.clock import FixedClock
from commerce.kernel.currency import SSUSD
from commerce.kernel.errors import ApiError
from commerce.kernel.ids import IdFactory
from commerce.kernel.master_key import MasterKey
from commerce.ledger.account import BALANCE, LedgerAccount
from commerce.ledger.entry import Booking, Posting
from commerce.resource.parameter import Amount, Dollars
from commerce.resource.reading import Reader
from commerce.store.session import Store

NOW = 1_795_435_200
BALANCE_AT = BALANCE.names.index("balance")
FEE = movement.NETWORK_FEE.minor
_names = itertools.count(1)

Verb = Callable[[Tx], object]


def name() -> str:
    """A name not used before, greater than those before it."""
    return f"n{next(_names):06}"


class Party(NamedTuple):
    """An account in test mode."""

    id: str
    key: str | None = None
    """The id of the API key it calls with, if any."""
    secret: str = ""

    @property
    def wallet(self) -> str:
        return main_wallet(self.id, livemode=False)

    @property
    def caller(self) -> Caller:
        return Caller(self.id, livemode=False, request_id="req_1", key=self.key)

    @property
    def available(self) -> LedgerAccount:
        return chart.available(self.id, livemode=False, address=self.wallet)


class World:
    """One process: an engine on a store, under a clock that moves when told to."""

    def __init__(
        self,
        store: Store,
        clock: FixedClock | None = None,
        *,
        lanes: int = 1,
        weight_max: int = 512,
    ) -> None:
        self.store = store
        self.clock = clock or FixedClock(NOW * 1000)
        ids = IdFactory(self.clock.now_ms, secrets.randbits)
        master_key = MasterKey.parse("07" * 32)
        means = Means(Directory(), self.now, ids.new, master_key, "https://api.example.com")
        self.engine = Engine(store, means, lanes=lanes, weight_max=weight_max)
        self.tally = self.engine.tally
        reader = Reader(store)
        self.ring = KeyRing(
            api_key.well_formed,
            api_key.hash_of,
            lambda hash_: api_key.principal(reader, hash_),
            api_key.refuse_dead,
            api_key.need_caller,
            api_key.check_caller,
        )

    def now(self) -> int:
        """The time, Unix seconds."""
        return self.clock.now_ms() // 1000

    async def operate(self, verb: Callable[[Tx, Any], Any], params: Any, account: str = "") -> Any:
        """Run a verb as the operator, on behalf of an account; gives what it made."""
        made: list[Any] = []

        def run(tx: Tx) -> Answer:
            made.append(verb(tx, params))
            return Answer(200, b"")

        caller = Caller(account, livemode=False, operator=True)
        await self.engine.submit(Command(caller, run, lambda _: None))
        return made[-1]

    async def open(self, funds: str | None = None, *, key: bool = False) -> Party:
        """A new account, with money in its wallet and a key to call with."""
        params = account.CreateAccount(capabilities=["stablecoin_issuance"])
        made: Account = await self.operate(account.create, params)
        party = Party(made.id)
        if funds is not None:
            await self.fund(party, funds)
        if key:
            asked = api_key.CreateApiKey(type="secret")
            opened = await self.operate(api_key.create, asked, made.id)
            party = Party(made.id, opened.id, opened.secret)
        return party

    async def fund(self, party: Party, amount: str) -> None:
        """Mint to a wallet."""
        params = issuance.CreateIssuance(
            recipient=party.wallet, amount=Dollars.parse(amount, SSUSD), reference_id=name()
        )
        await self.operate(issuance.issue, params, party.id)

    def call(
        self, verb: Any, caller: Caller, params: Any, key: str | None, fingerprint: bytes = b"f"
    ) -> Command:
        """A verb of the API, as the pipeline makes a command of it."""
        idempotency = None if key is None else IdempotencyKey(key, fingerprint)
        return _command(verb.__operation__, caller, params, idempotency, self.ring)

    def transfer(
        self, sender: Party, recipient: Party, amount: str, key: str | None = None
    ) -> Command:
        """A transfer, as a client asks for one; another amount is another request."""
        params = transfer.CreateTransfer(
            recipient=recipient.wallet, amount=Amount.parse(amount, SSUSD)
        )
        return self.call(transfer.transfer, sender.caller, params, key, amount.encode())

    async def submit(self, *commands: Command) -> list[Answer | BaseException]:
        """Submit commands that arrive together; gives what each was answered or refused."""
        return await asyncio.gather(
            *[self.engine.submit(command) for command in commands], return_exceptions=True
        )

    async def available(self, party: Party) -> int:
        """What is committed in a wallet, in millionths."""
        return await self.balance(party.available)

    async def balance(self, account: LedgerAccount, lane: int = 0) -> int:
        """What is committed on an account, in its smallest unit."""
        rows = await self.store.find(BALANCE.key, [account.shard(lane)])
        return int(rows[0][BALANCE_AT]) if rows else 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[World]:
        """Run the engine, without listening to what others announce."""
        self.engine.start()
        try:
            yield self
        finally:
            await self.engine.close()


# Verbs of the tests' own


def command(  # noqa: PLR0913 - called by keyword
    verb: Verb,
    *,
    needs: Callable[[Needs], None] = lambda _: None,
    account: str = "acct_1",
    key: str | None = None,
    fingerprint: bytes = b"f",
    weight: int = 1,
) -> Command:
    """A verb whose answer is what it returns."""

    def run(tx: Tx) -> Answer:
        return Answer(200, str(verb(tx)).encode())

    idempotency = None if key is None else IdempotencyKey(key, fingerprint)
    return Command(Caller(account, livemode=False), run, needs, idempotency, weight)


def purse(code: str, *, guarded: bool = False, sharded: bool = False) -> LedgerAccount:
    """An account of the ledger."""
    return LedgerAccount("acct_1", False, code, SSUSD, guarded=guarded, sharded=sharded)


def booking(debit: LedgerAccount, credit: LedgerAccount, amount: int = 1) -> Booking:
    """Money from the one to the other."""
    postings = (Posting(debit, credit, amount),)
    return Booking("moved", "transfer", name(), SSUSD, amount, postings)


def needing(*accounts: LedgerAccount) -> Callable[[Needs], None]:
    """Says that these balances are needed."""

    def needs(needs: Needs) -> None:
        for each in accounts:
            needs.balance(each)

    return needs


def moving(debit: LedgerAccount, credit: LedgerAccount, amount: int = 1, **given: Any) -> Command:
    """A command that books one posting."""
    return command(
        lambda tx: tx.post(booking(debit, credit, amount)).id,
        needs=needing(debit, credit),
        **given,
    )


# What is seen


def code(answer: Answer | BaseException) -> str:
    """The code of a refusal, raised or remembered; the status where it was no refusal."""
    if isinstance(answer, ApiError):
        return answer.code
    assert isinstance(answer, Answer), answer
    if answer.status < 400:
        return str(answer.status)
    return answer.body.decode().partition('"code":"')[2].partition('"')[0]


def codes(answers: list[Answer | BaseException]) -> list[str]:
    """The same of several."""
    return [code(answer) for answer in answers]


# The world stopped, and made to fail


class Steps:
    """An interrupt that counts the steps, holds some and lets some fail."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self._failures: dict[str, list[Exception]] = {}
        self._gates: dict[str, asyncio.Event] = {}
        self._held: list[asyncio.Event] = []
        self._arrived: dict[str, asyncio.Event] = {}

    async def __call__(self, step: str) -> None:
        """Be interrupted before a step."""
        self.taken.append(step)
        if gate := self._gates.pop(step, None):
            self._arrived[step].set()
            await gate.wait()
        if failures := self._failures.get(step):
            raise failures.pop(0)

    def fail(self, step: str, *errors: Exception) -> None:
        """Let the next times of a step fail so, one after another."""
        self._failures[step] = list(errors)

    def hold(self, step: str) -> Held:
        """Stop whoever comes to this step next."""
        gate, arrived = asyncio.Event(), asyncio.Event()
        self._gates[step], self._arrived[step] = gate, arrived
        self._held.append(gate)
        return Held(gate, arrived)

    def free(self) -> None:
        """Let everyone go, and hold nobody any more."""
        for gate in self._held:
            gate.set()
        self._gates.clear()

    def count(self) -> Counter[str]:
        """How often each step was taken."""
        return Counter(self.taken)


class Held:
    """Somebody who is held at a step."""

    def __init__(self, gate: asyncio.Event, arrived: asyncio.Event) -> None:
        self._gate = gate
        self._arrived = arrived

    async def arrived(self) -> None:
        """Wait until somebody is held."""
        await self._arrived.wait()

    def release(self) -> None:
        """Let them go on."""
        self._gate.set()


async def settle() -> None:
    """Let everyone go on as far as they get."""
    for _ in range(50):
        await asyncio.sleep(0)
