"""Trouble: what breaks in a plot, where blocks are closed, and how clocks go wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.plot import Plot

FAULTS: tuple[tuple[str, str], ...] = (
    *((at, "lost") for at in ("begin", "find", "load", "write", "commit", "committed")),
    *((at, "dies") for at in ("begin", "load", "write", "commit", "committed")),
    *((at, "stalls") for at in ("load", "write", "commit", "committed")),
    *((at, why) for at in ("load", "write") for why in ("conflict", "timeout")),
    ("read", "lost"),
    ("forget", "lost"),
    *(("outcome", "lost"),) * 3,
    ("session", "lost"),
)
"""What may go wrong before which step of the store."""


def trouble(plot: Plot) -> None:
    """Let something break, now or soon: before what is asked next is done."""
    rng = plot.rng
    for _ in range(rng.choice((0, 1, 1, 2))):
        where, what = rng.choice(FAULTS)
        given: dict[str, Any] = {"at": where, "what": what, "nth": rng.choice((1, 1, 2, 4))}
        if what == "stalls":
            given["seconds"] = rng.choice((0.01, 1, 7))
        if where == "session":
            # One is opened where the last was lost.
            plot.add("fault", process=0, at="begin", what="lost", nth=1)
            given |= {"process": 0, "nth": 1}
        fault = plot.add("fault", **given)
        if where == "outcome":
            # It is asked about where a COMMIT is lost.
            plot.steps[-1] = fault._replace(args={**given, "times": rng.choice((1, 50))})
            at = rng.choice(("commit", "committed"))
            plot.add("fault", process=fault.process, at=at, what="lost", nth=rng.choice((1, 2)))
    if rng.random() < 0.1:
        plot.add("crash")
    if rng.random() < 0.1:
        plot.add("jump", process=0, seconds=rng.choice(_JUMPS))
    if rng.random() < 0.05:
        plot.add("skew", seconds=rng.choice((-20, -3, 0, 3, 20)))


SEALING: tuple[tuple[str, str], ...] = (
    *(("horizon", what) for what in ("lost", "dies", "stalls")),
    *((at, what) for at in ("write", "commit", "committed") for what in ("lost", "dies")),
    ("commit", "stalls"),
    ("write", "conflict"),
)
"""What may go wrong where a block is closed, and before which step of the store."""


def seal(plot: Plot, *, calm: bool) -> None:
    """Have one process close blocks, now and then another one as well, or none to the end."""
    rng = plot.blocks
    for _ in range(rng.choice((1, 1, 1, 2))):
        process = rng.randrange(plot.processes)
        if not calm and rng.random() < 0.25:
            where, what = rng.choice(SEALING)
            given: dict[str, Any] = {"at": where, "what": what, "nth": rng.choice((1, 1, 2))}
            if what == "stalls":
                given["seconds"] = rng.choice((0.01, 1, 7))
            plot.add("fault", process=process, **given)
        plot.add("seal", process=process)


_JUMPS = (-30, -2, 5, 60, 3700, 86_400, 90_000, -3600, -86_400, 40 * 86_400)
"""By how many seconds everybody's clock may be found to be wrong."""
