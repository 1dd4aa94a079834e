"""Stories: what happens in a world, step by step, as it is told when something is wrong."""

from __future__ import annotations

from typing import Any, NamedTuple


class Step(NamedTuple):
    """One thing that happens. `of` names an earlier step whose object it is about."""

    number: int
    kind: str
    account: int = 0
    livemode: bool = False
    process: int = 0
    of: int | None = None
    args: dict[str, Any] = {}

    def __str__(self) -> str:
        words = [f"{self.number:4}", f"p{self.process}", self.kind]
        if self.kind not in WORLDLY:
            words.append(f"by account {self.account} {'live' if self.livemode else 'test'}")
        if self.of is not None:
            words.append(f"of step {self.of}")
        words += [f"{name}={value}" for name, value in self.args.items()]
        return "  ".join(words)


WORLDLY = frozenset({"wait", "pass", "jump", "skew", "crash", "fault", "work", "seal"})
"""Steps that nobody asks for."""


class Story(NamedTuple):
    """A world and what happens in it."""

    seed: int
    levels: tuple[str | None, ...]
    """Each account's verification level; None: as accounts begin."""
    children: tuple[int, ...]
    """Accounts connected to others, numbered after these: to which each is connected."""
    processes: int
    lanes: int
    weight_max: int
    weather: int
    """From this comes how long everybody takes for each step: who overtakes whom."""
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        levels = ", ".join(level or "as given" for level in self.levels)
        head = (
            f"seed {self.seed}: {self.processes} processes of {self.lanes} lanes,"
            f" batches of {self.weight_max}, accounts {levels}"
        )
        for child, parent in enumerate(self.children, len(self.levels)):
            head += f", account {child} connected to {parent}"
        return "\n".join([head, *map(str, self.steps)])

    def without(self, dropped: set[int]) -> Story:
        """The same story without some of its steps."""
        kept = tuple(step for step in self.steps if step.number not in dropped)
        return self._replace(steps=kept)
