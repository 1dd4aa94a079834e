"""What an engine counts, and how long the phases of its batches take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from commerce.meter.meters import Counter, Meters

if TYPE_CHECKING:
    from commerce.engine.command import Work

Phase = Literal["begin", "load", "run", "write", "commit"]
PHASES: tuple[Phase, ...] = ("begin", "load", "run", "write", "commit")
SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.5, 10)
COMMANDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
WEIGHTS = (1, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


class Counted:
    """A number of a tally, kept by a counter whose name it has."""

    def __init__(self, doc: str) -> None:
        self.doc = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, tally: Tally, owner: type) -> int:
        return tally.counters[self._name].value

    def __set__(self, tally: Tally, number: int) -> None:
        counter = tally.counters[self._name]
        counter.add(number - counter.value)


class Tally:
    """What an engine has counted since it began, and those whose place it took before it."""

    batches = Counted("Batches that were finished.")
    commands = Counted("Commands in batches that were finished.")
    rounds = Counted("Extra rounds of loading: verbs that touched what they had not named.")
    restarts = Counted("Batches loaded again to keep the order of locks.")
    conflicts = Counted("Batches undone because the database chose another.")
    retries = Counted("Tries at a batch after its first, for whatever reason.")
    replays = Counted("Commands answered with the first answer under their idempotency key.")
    singles = Counted("Batches that failed for a reason no verb gave, and were run one by one.")

    def __init__(self, meters: Meters) -> None:
        self.counters: dict[str, Counter] = {}
        for name, counted in vars(Tally).items():
            if isinstance(counted, Counted):
                self.counters[name] = meters.counter(f"commerce_engine_{name}_total", counted.doc)
        self.waiting = meters.gauge(
            "commerce_engine_waiting_commands", "Commands that wait for a lane to take them."
        )
        self._commands = meters.histograms(
            "commerce_batch_commands", "Commands in a batch.", COMMANDS, 1
        )[()]
        self._weight = meters.histograms(
            "commerce_batch_weight", "About how many rows a batch writes.", WEIGHTS, 1
        )[()]
        self._phases = meters.histograms(
            "commerce_batch_phase_seconds",
            "Time that each phase of one try at a batch took.",
            SECONDS,
            phase=PHASES,
        )

    def as_dict(self) -> dict[str, int]:
        """The numbers by name."""
        return {name: counter.value for name, counter in self.counters.items()}

    def finished(self, works: list[Work], rounds: int, tries: int) -> None:
        """Count a batch."""
        counters = self.counters
        counters["batches"].add()
        counters["commands"].add(len(works))
        counters["rounds"].add(rounds)
        counters["retries"].add(max(0, tries - 1))
        self._commands.observe(len(works))
        self._weight.observe(sum(work.command.weight for work in works))

    def tried(self, phases: Phases) -> None:
        """Count the time of one try at a batch."""
        sums: dict[Phase, int] = {}
        for phase, began, ended in phases.spans:
            sums[phase] = sums.get(phase, 0) + ended - began
        for phase, nanoseconds in sums.items():
            self._phases[phase,].observe(nanoseconds)


class Span(NamedTuple):
    """A stretch of a phase, by `time.perf_counter_ns`."""

    phase: Phase
    began: int
    ended: int


class Phases:
    """A stopwatch for one try at a batch."""

    __slots__ = ("_began", "_phase", "spans")

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._phase: Phase | None = None
        self._began = 0

    def enter(self, phase: Phase | None) -> None:
        """End the phase that runs, and begin with another, or with none."""
        now = time.perf_counter_ns()
        if self._phase is not None:
            self.spans.append(Span(self._phase, self._began, now))
        self._phase, self._began = phase, now


class Try(NamedTuple):
    """One try at a batch, as it is told to who traces."""

    works: list[Work]
    phases: Phases
    outcome: str
    """`kept`, or the name of the error that ended it."""
