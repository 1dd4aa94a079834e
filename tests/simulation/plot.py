"""Plots: what clients ask, what breaks and how time goes, made up from one seed."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.simulation.story import Step, Story
from tests.simulation.trouble import seal, trouble

ISSUER, OPERATOR = 0, 1
"""The first two accounts: one that mints, and one that operates the reserves."""
LEVELS = (None, "basic", "verified", "premium")


class Plot:
    """Makes steps up."""

    def __init__(self, seed: int, rng: Random, accounts: int, processes: int) -> None:
        self.rng = rng
        # What came into plots later is drawn from others, so that seeds keep what they had.
        self.more = Random(f"{seed}, and more")
        self.blocks = Random(f"{seed}, and blocks")
        """Where blocks are closed, and what goes wrong there."""
        self.acting = Random(f"{seed}, and acting")
        """Who acts on behalf of whom."""
        parents = range(OPERATOR, accounts)
        self.parents = tuple(self.acting.choices(parents, k=self.acting.choice((0, 1, 2, 3))))
        """To which account each connected one is connected."""
        self.accounts = accounts
        self.processes = processes
        self.steps: list[Step] = []
        self.made: dict[tuple[str, bool], list[Step]] = {}

    def add(self, kind: str, *, of: int | None = None, **given: Any) -> Step:
        """Add a step at the end."""
        account = given.pop("account", 0)
        livemode = given.pop("livemode", False)
        if kind in ACTED and self.parents:
            account = self._connect(account, given)
        process = given.pop("process", None)
        if process is None:
            process = self.rng.randrange(self.processes)
        step = Step(len(self.steps), kind, account, livemode, process, of, given)
        self.steps.append(step)
        self.made.setdefault((kind, livemode), []).append(step)
        return step

    def _connect(self, account: int, given: dict[str, Any]) -> int:
        """Now and then have it done on behalf of a connected account, or to one; gives for whom.

        A key acts for those that are connected to its account; now and then somebody tries to act
        for others.
        """
        rng, children = self.acting, range(self.accounts, self.accounts + len(self.parents))
        if "to" in given and rng.random() < 0.1:
            given["to"] = rng.choice(children)
        if rng.random() < 0.75:
            return account
        if "with_key" not in given:
            if rng.random() < 0.1:
                given["by"] = rng.randrange(self.accounts)
            return rng.choice(children)
        own = [child for child in children if self.parents[child - self.accounts] == account]
        return rng.choice(own) if own else account

    def some(self, livemode: bool, *kinds: str) -> Step | None:
        """A step of one of these kinds, a late one rather than an early one."""
        found = [step for kind in kinds for step in self.made.get((kind, livemode), ())]
        if not found:
            return None
        found.sort()
        return found[-1 - int(self.rng.random() ** 2 * len(found))]

    def customer(self) -> int:
        return self.rng.randrange(OPERATOR, self.accounts)

    def money(self, least: int, most: int) -> str:
        """An amount of so many cents, mostly; now and then of millionths."""
        cents = self.rng.randint(least, most)
        tail = f"{self.rng.randrange(10_000):04}" if self.rng.random() < 0.1 else ""
        return f"{cents // 100}.{cents % 100:02}{tail}"

    def dollars(self, least: int, most: int) -> str:
        """An amount of so many cents, as a bank has it; now and then, wrongly, of millionths."""
        amount = self.money(least, most)
        return amount if self.more.random() < 0.2 else amount[: amount.index(".") + 3]

    def amount(self) -> str:
        """What somebody wants to move: mostly little, now and then more than there is."""
        return self.money(*self.rng.choice(((1, 10), (1, 500), (50, 20_000), (100, 600_000))))

    def recipient(self, account: int) -> str | int:
        """An account, now and then oneself, or a wallet that nobody here owns in this mode."""
        odds = self.rng.random()
        if odds < 0.03:
            return "stranger"
        if odds < 0.05:
            return "elsewhere" if self.more.random() < 0.5 else "nonsense"
        other = self.rng.randrange(self.accounts)
        return other if other != account or odds < 0.08 else (other + 1) % self.accounts


def story(seed: int) -> Story:
    """The story of a seed: the same for the same seed, for ever the same."""
    rng = Random(seed)
    accounts = rng.randint(4, 8)
    processes = rng.choice((1, 2, 2, 3))
    levels = tuple(rng.choice(LEVELS) for _ in range(accounts))
    lanes, weight_max = rng.choice((1, 1, 2)), rng.choice((30, 200, 512))
    plot = Plot(seed, rng, accounts, processes)
    _endow(plot)
    calm = rng.random() < 0.2
    for _ in range(rng.randint(6, 14)):
        if not calm:
            trouble(plot)
        for _ in range(rng.choice((1, 6, 16, 40))):
            _ask(plot)
            if plot.blocks.random() < 0.1:
                seal(plot, calm=calm)
        _pause(plot)
    if plot.more.random() < 0.05:
        _flood(plot)
    if plot.acting.random() < 0.08:
        _pay_in_twice(plot)
    weather = rng.getrandbits(64)
    return Story(
        seed, levels, plot.parents, processes, lanes, weight_max, weather, tuple(plot.steps)
    )


def _endow(plot: Plot) -> None:
    """Give everybody something to begin with."""
    issuer = {"account": ISSUER, "process": 0}
    sized = plot.rng.choice(((10_000, 50_000), (10_000, 2_000_000)))
    deposit = plot.add("deposit", livemode=True, amount="5000000.00", **issuer)
    plot.add("wait", process=0)
    plot.add("verify", account=OPERATOR, livemode=True, process=0, of=deposit.number)
    plot.add("wait", process=0)
    for account in range(plot.accounts):
        amount = plot.money(*sized)
        plot.add("issue", to=account, amount=amount, **issuer)
        plot.add("issue", to=account, amount=amount, livemode=True, of=deposit.number, **issuer)
    for child in range(plot.accounts, plot.accounts + len(plot.parents)):
        amount = f"{plot.acting.randint(*sized) // 100}.00"
        plot.add("issue", to=child, amount=amount, **issuer)
        plot.add("issue", to=child, amount=amount, livemode=True, of=deposit.number, **issuer)
    plot.add("wait", process=0)


def _flood(plot: Plot) -> None:
    """Have more test dollars made than may be made in a day."""
    given: dict[str, Any] = {"account": ISSUER, "process": 0}
    made = [plot.add("deposit", amount="100000000.00", **given) for _ in range(11)]
    plot.add("wait", process=0)
    for deposit in made:
        plot.add("verify", of=deposit.number, **given)


def _pay_in_twice(plot: Plot) -> None:
    """Have one payment to the bank stand in two deposits, of which one may be verified."""
    given: dict[str, Any] = {"account": ISSUER, "bank": "WIRE 3", "amount": "100.00"}
    made = [plot.add("deposit", process=0, **given) for _ in range(2)]
    plot.add("wait", process=0)
    for deposit in made:
        plot.add("verify", account=ISSUER, process=0, of=deposit.number)


def _ask(plot: Plot) -> None:
    """Have somebody ask for something, now and then twice or under a key already used."""
    rng = plot.rng
    livemode = rng.random() < 0.4
    kinds, weights = zip(*ASKED.items(), strict=True)
    step = rng.choices(kinds, weights)[0](plot, livemode)
    if step is None:
        step = _transfer(plot, livemode)
    how: dict[str, Any] = {}
    if rng.random() < 0.1:
        how["keyless"] = True
    elif rng.random() < 0.05:
        how["lost"] = rng.randint(1, 2)
    elif rng.random() < 0.02:
        how["leaves"] = rng.randint(1, 12)
    if how:
        plot.steps[-1] = step._replace(args={**step.args, **how})
    if "keyless" not in how:
        _repeat(plot, step)


def _repeat(plot: Plot, step: Step) -> None:
    rng = plot.rng
    for _ in range(rng.choice((0,) * 12 + (1, 1, 3))):
        plot.add("again", of=step.number, account=step.account, livemode=step.livemode)
    if rng.random() < 0.03 and step.kind == "transfer":
        given = {"account": step.account, "livemode": step.livemode}
        plot.add("reuse", of=step.number, amount=plot.amount(), **given)
    if rng.random() < 0.05:
        earlier = plot.steps[rng.randrange(len(plot.steps))]
        if earlier.kind in ASKING and "keyless" not in earlier.args:
            given = {"account": earlier.account, "livemode": earlier.livemode}
            plot.add("again", of=earlier.number, **given)


def _transfer(plot: Plot, livemode: bool) -> Step:
    rng = plot.rng
    account = plot.customer()
    args: dict[str, Any] = {"to": plot.recipient(account), "amount": plot.amount()}
    if rng.random() < 0.2:
        args["seconds"] = rng.choice((-5, 1, 2, 10, 60, 3600))
    if rng.random() < 0.2:
        args["memo"] = f"memo {rng.randrange(100)}"
    if rng.random() < 0.03:
        args["sender"] = rng.randrange(plot.accounts)
    key = plot.some(livemode, "key") if rng.random() < 0.3 else None
    if key is not None:
        return plot.add(
            "transfer", account=key.account, livemode=livemode, with_key=key.number, **args
        )
    return plot.add("transfer", account=account, livemode=livemode, **args)


def _batch(plot: Plot, livemode: bool) -> Step:
    rng = plot.rng
    account = plot.customer()
    rows = [(plot.recipient(account), plot.amount()) for _ in range(rng.choice((1, 2, 3, 5, 12)))]
    given: dict[str, Any] = {"rows": rows}
    if rng.random() < 0.2:
        given["seconds"] = rng.choice((1, 5, 60))
    return plot.add("batch", account=account, livemode=livemode, **given)


def _cancel_transfer(plot: Plot, livemode: bool) -> Step | None:
    found = [s for s in plot.made.get(("transfer", livemode), ()) if "seconds" in s.args]
    if not found:
        return None
    step = plot.rng.choice(found[-12:])
    return plot.add("cancel_transfer", account=step.account, livemode=livemode, of=step.number)


def _issue(plot: Plot, livemode: bool) -> Step | None:
    rng = plot.rng
    amount = plot.money(*rng.choice(((10_000, 30_000), (10_000, 500_000), (1, 20_000))))
    given: dict[str, Any] = {"to": plot.recipient(ISSUER), "amount": amount}
    deposit = plot.some(livemode, "deposit") if livemode or rng.random() < 0.3 else None
    account = ISSUER if rng.random() < 0.95 else plot.customer()
    if rng.random() < 0.1:
        given["reference"] = rng.randrange(3)
    of = None if deposit is None else deposit.number
    if plot.more.random() < 0.1:
        given["type"] = plot.more.choice(("bank_wire", "ach"))
    return plot.add("issue", account=account, livemode=livemode, of=of, **given)


def _deposit(plot: Plot, livemode: bool) -> Step:
    given: dict[str, Any] = {"amount": plot.dollars(10_000, 200_000)}
    if plot.more.random() < 0.6:
        given["bank"] = plot.more.choice(("WIRE 1", "wire  1", "Wire1", "wire 2"))
    return plot.add("deposit", account=ISSUER, livemode=livemode, **given)


def _verify(plot: Plot, livemode: bool) -> Step | None:
    deposit = plot.some(livemode, "deposit")
    if deposit is None:
        return None
    account = OPERATOR if plot.rng.random() < 0.9 else ISSUER
    given = _unnamed(plot, livemode)
    return plot.add("verify", account=account, livemode=livemode, of=deposit.number, **given)


def _unnamed(plot: Plot, livemode: bool) -> dict[str, Any]:
    """Now and then an operator does not say whose it is."""
    return {"unnamed": True} if livemode and plot.more.random() < 0.1 else {}


def _redeem(plot: Plot, livemode: bool) -> Step:
    rng = plot.rng
    given: dict[str, Any] = {"amount": plot.dollars(*rng.choice(((50, 3000), (100, 300_000))))}
    if rng.random() < 0.5:
        given["held"] = True
    if rng.random() < 0.1:
        given["reference"] = rng.randrange(3)
    return plot.add("redeem", account=plot.customer(), livemode=livemode, **given)


def _settle(plot: Plot, livemode: bool) -> Step | None:
    redemption = plot.some(livemode, "redeem")
    if redemption is None:
        return None
    verb = plot.rng.choice(("process", "complete", "complete", "fail", "cancel"))
    account = redemption.account if verb == "cancel" else OPERATOR
    given = {} if verb == "cancel" else _unnamed(plot, livemode)
    return plot.add(verb, account=account, livemode=livemode, of=redemption.number, **given)


def _key(plot: Plot, livemode: bool) -> Step:
    rng = plot.rng
    limits = {
        name: plot.money(100, most)
        for name, most in (("per_transaction", 20_000), ("daily", 40_000), ("lifetime", 90_000))
        if rng.random() < 0.6
    }
    given: dict[str, Any] = {"limits": limits} if limits else {}
    if not limits or rng.random() < 0.2:
        given["recipients"] = sorted(rng.sample(range(plot.accounts), 2))
    return plot.add("key", account=plot.customer(), livemode=livemode, **given)


def _end_key(plot: Plot, livemode: bool) -> Step | None:
    key = plot.some(livemode, "key")
    if key is None:
        return None
    verb = plot.rng.choice(("roll_key", "revoke_key"))
    return plot.add(verb, account=key.account, livemode=livemode, of=key.number)


def _open(plot: Plot, livemode: bool) -> Step:
    name = f"shop {plot.rng.randrange(100)}"
    return plot.add("open", account=plot.customer(), livemode=livemode, name=name)


def _rename(plot: Plot, livemode: bool) -> Step:
    name = f"name {plot.rng.randrange(100)}"
    return plot.add("rename", account=plot.customer(), livemode=livemode, name=name)


def _block(plot: Plot, livemode: bool) -> Step:
    whom = plot.rng.randrange(plot.accounts)
    return plot.add("block", livemode=livemode, whom=whom, blocked=plot.rng.random() < 0.4)


def _level(plot: Plot, livemode: bool) -> Step:
    level = plot.rng.choice(LEVELS[1:])
    return plot.add("level", livemode=livemode, whom=plot.customer(), level=level)


def _look(plot: Plot, livemode: bool) -> Step:
    return plot.add("look", account=plot.customer(), livemode=livemode)


ASKED = {
    _transfer: 60,
    _batch: 4,
    _cancel_transfer: 4,
    _issue: 4,
    _deposit: 1,
    _verify: 1.5,
    _redeem: 5,
    _settle: 5,
    _key: 1.5,
    _end_key: 0.6,
    _open: 1,
    _rename: 1,
    _block: 0.8,
    _level: 0.4,
    _look: 1,
}
"""What is asked for, and how often."""
ACTED = frozenset({"transfer", "batch", "redeem", "key", "open", "rename", "look"})
"""What is done on behalf of connected accounts, too."""
ASKING = frozenset(
    {
        "transfer",
        "batch",
        "cancel_transfer",
        "issue",
        "deposit",
        "verify",
        "redeem",
        "process",
        "complete",
        "fail",
        "cancel",
        "key",
        "roll_key",
        "revoke_key",
        "open",
        "rename",
    }
)
"""What clients ask for by the API, under a key of idempotency."""


def _pause(plot: Plot) -> None:
    rng = plot.rng
    if rng.random() < 0.6:
        for _ in range(rng.randint(1, 2)):
            plot.add("work")
    odds = rng.random()
    if odds < 0.3:
        plot.add("pass", process=0, seconds=rng.choice((0.001, 0.2, 3, 20)))
    elif odds < 0.8:
        plot.add("wait", process=0)
