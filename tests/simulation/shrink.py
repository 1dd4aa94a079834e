"""Shrinking: the shortest story that still fails, found by leaving steps out."""

from __future__ import annotations

from tests.simulation.story import Story
from tests.simulation.world import World, play

PLAYED_MAX = 600
"""How many shorter stories are tried at most."""


def shortest(story: Story, world: World) -> World:
    """The world of a story as short as may be that fails, begun with the world of one that did."""
    played = {step.number for step in world.story.steps[: len(_taken(world))]}
    world = _fails(story, {step.number for step in story.steps} - played) or world
    size, left = max(len(world.story.steps) // 2, 1), PLAYED_MAX
    while size:
        at, before = 0, len(world.story.steps)
        while at < len(world.story.steps) and left:
            left -= 1
            dropped = {step.number for step in world.story.steps[at : at + size]}
            shorter = _fails(world.story, dropped)
            if shorter is None:
                at += size
            else:
                world = shorter
        again = size == 1 and len(world.story.steps) < before and left
        size = 1 if again else size // 2
    return world


def _taken(world: World) -> list[object]:
    """The steps that were taken until something was found to be wrong."""
    steps = set(map(id, world.story.steps))
    return [line for line in world.told if id(line) in steps]


def _fails(story: Story, dropped: set[int]) -> World | None:
    """The world of a story without some steps, if that fails too."""
    world = play(story.without(dropped))
    return world if world.auditor.findings else None


def report(world: World) -> str:
    """A failing world, for whoever is to mend what is wrong."""
    short = shortest(world.story, world)
    findings = "\n".join(f"  {finding}" for finding in short.auditor.findings[:5])
    lines = "\n".join(map(str, short.told))
    return f"{short.story}\n\nwhich happens so:\n{lines}\n\nand is wrong:\n{findings}"
