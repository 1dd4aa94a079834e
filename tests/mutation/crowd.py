"""A plugin of pytest that runs, for each mutant, the tests that reach it: each in a fork."""

from __future__ import annotations

import gc
import json
import os
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import coverage
import pytest
from _pytest.runner import runtestprotocol

import commerce
from commerce.store.embedded import EmbeddedPostgres
from tests.mutation.mutant import Mutant
from tests.process import reachable_folder

SOURCE = Path(commerce.__path__[0])
SECONDS_MAX = 300.0
"""A fork that has not ended by then is ended."""
PROGRAMS = {"serve", "data_dir"}
"""Fixtures of tests that start programs, in which there would be no mutant."""


class Fate(NamedTuple):
    """What became of a mutant."""

    mutant: str
    line: int
    killed_by: str | None
    """The test that failed; None where it survived."""
    tests: int
    """How many tests were run."""
    seconds: float


class Reached(NamedTuple):
    """What the tests do without a mutant."""

    lines: dict[str, dict[str, list[str]]]
    """The tests that reach each line of each module."""
    seconds: dict[str, float]
    """How long each takes."""


class Running(NamedTuple):
    """A mutant in its fork."""

    mutant: Mutant
    chosen: list[pytest.Item]
    pid: int
    began: float


class Crowd:
    """Takes the place of pytest's own loop over its tests."""

    def __init__(
        self, mutants: list[Mutant], jobs: int, seconds: float, told: Callable[[Fate], None]
    ) -> None:
        """Take how many forks there may be at once, and who is told what became of each.

        `seconds` is how long a mutant's tests are run without PostgreSQL, and how long with it.
        """
        self.mutants = mutants
        self.jobs = jobs
        self.seconds = seconds
        self.told = told
        self.reached: Reached
        self._items: dict[str, pytest.Item] = {}
        self._functions: dict[tuple[str, str, int], list[FunctionType]] = {}
        self._sound: dict[tuple[str, ...], bool] = {}
        """Whether tests that share a database pass without a mutant, the last one of them."""
        self._postgres: EmbeddedPostgres

    def pytest_configure(self) -> None:
        """Have hypothesis neither remember failures nor look for smaller ones."""
        # Not before pytest has got ready to rewrite its assertions.
        from hypothesis import Phase, settings  # noqa: PLC0415

        phases = [Phase.explicit, Phase.generate]
        settings.register_profile("mutants", database=None, deadline=None, phases=phases)
        settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Any:
        """Give all forks one PostgreSQL; each test has a database of its own there."""
        if fixturedef.argname != "postgres":
            return None
        fixturedef.cached_result = (self._postgres, fixturedef.cache_key(request), None)
        return self._postgres

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run no test but in forks."""
        usable = [item for item in session.items if not PROGRAMS & _fixtures(item)]
        self._items = {item.nodeid: item for item in usable}
        folder = reachable_folder()
        self._postgres = EmbeddedPostgres.start(folder / "data", durable=False)
        try:
            self._all()
        finally:
            self._postgres.stop()
            shutil.rmtree(folder)
        return True

    def _all(self) -> None:
        pid, pipe = _fork(partial(self._reach, os.dup(sys.stderr.fileno())))
        with os.fdopen(pipe) as told:
            text = told.read()
        os.waitpid(pid, 0)
        self.reached = Reached(*json.loads(text))
        for each in gc.get_objects():
            if type(each) is FunctionType and each.__code__.co_filename.startswith(str(SOURCE)):
                self._functions.setdefault(_place(each.__code__), []).append(each)
        waiting = [(mutant, self._chosen(mutant)) for mutant in reversed(self.mutants)]
        running: dict[int, Running] = {}
        while waiting or running:
            while waiting and len(running) < self.jobs:
                mutant, chosen = waiting.pop()
                pid, pipe = _fork(partial(self._try, mutant, chosen))
                running[pipe] = Running(mutant, chosen, pid, time.monotonic())
            waiting += self._collect(running)

    def _collect(self, running: dict[int, Running]) -> list[tuple[Mutant, list[pytest.Item]]]:
        """Wait until a fork has ended, or had to be; gives what is to be tried again.

        Tests that share a database may need one before them that does not reach the mutant: what
        fails without it as well has noticed nothing, and is left out.
        """
        again = []
        ready, _, _ = select.select(list(running), [], [], 1.0)
        for pipe, (mutant, chosen, pid, began) in list(running.items()):
            seconds = time.monotonic() - began
            if pipe not in ready and seconds < SECONDS_MAX:
                continue
            if pipe not in ready:
                os.kill(pid, signal.SIGKILL)
            with os.fdopen(pipe, "rb") as told:
                text = told.read()
            os.waitpid(pid, 0)
            del running[pipe]
            assert text or seconds >= SECONDS_MAX, f"{mutant.name} cannot be made"
            by, tests = json.loads(text) if text else ("none of them, without end", 0)
            item = self._items.get(by)
            if item is not None and not self._is_sound(chosen, item):
                again.append((mutant, [each for each in chosen if each is not item]))
                continue
            self.told(Fate(mutant.name, mutant.lines[0], by, tests, round(seconds, 2)))
        return again

    def _is_sound(self, chosen: list[pytest.Item], item: pytest.Item) -> bool:
        """Whether a test passes without a mutant, after those before it of the same kind."""
        group = [each for each in chosen if _needs_database(each)]
        if item not in group:
            return True
        before = group[: group.index(item) + 1]
        names = tuple(each.nodeid for each in before)
        if names not in self._sound:
            pid, pipe = _fork(lambda _: "passes" if not _last_fails(before) else "fails")
            with os.fdopen(pipe) as told:
                self._sound[names] = told.read() == "passes"
            os.waitpid(pid, 0)
        return self._sound[names]

    def _chosen(self, mutant: Mutant) -> list[pytest.Item]:
        """The tests that reach a mutant: the quick ones first, those with a database last."""
        lines = self.reached.lines.get(mutant.module, {})
        first, last = mutant.lines
        names = {name for line in range(first, last + 1) for name in lines.get(str(line), ())}
        items = [self._items[name] for name in self._items if name in names]
        alone = [item for item in items if not _needs_database(item)]
        alone.sort(key=lambda item: self.reached.seconds[item.nodeid])
        return alone + [item for item in items if _needs_database(item)]

    def _reach(self, err: int, _: int) -> str:
        """Run every test once, and see where it comes."""
        cover = coverage.Coverage(data_file=None, source=[str(SOURCE)], config_file=False)
        seconds: dict[str, float] = {}
        failed: list[str] = []
        items = list(self._items.values())
        cover.start()
        for item, after in zip_longest(items, items[1:]):
            cover.switch_context(item.nodeid)
            began = time.monotonic()
            if _fails(item, after):
                failed.append(item.nodeid)
            seconds[item.nodeid] = time.monotonic() - began
        cover.stop()
        found = cover.get_data()
        lines = {
            str(Path(path).relative_to(SOURCE)): {
                str(line): [each for each in names if each and each not in failed]
                for line, names in found.contexts_by_lineno(path).items()
            }
            for path in found.measured_files()
        }
        for name in failed:
            os.write(err, f"left out, since it fails by itself: {name}\n".encode())
        return json.dumps([lines, seconds])

    def _try(self, mutant: Mutant, items: list[pytest.Item], end: int) -> str:
        """Make the mutant here, and run tests until one notices."""
        if not items:
            return json.dumps([None, 0])
        self._become(mutant)
        count = 0
        for database in (False, True):
            group = [item for item in items if _needs_database(item) is database]
            until = time.monotonic() + self.seconds
            for item, after in zip_longest(group, group[1:]):
                count += 1
                signal.signal(signal.SIGALRM, lambda *_, i=item, c=count: _give_up(end, i, c))
                signal.alarm(int(8 + 10 * self.reached.seconds[item.nodeid]))
                failed = _fails(item, after)
                if failed or time.monotonic() > until:
                    item.session._setupstate.teardown_exact(None)
                if failed:
                    return json.dumps([item.nodeid, count])
                if time.monotonic() > until:
                    break
        return json.dumps([None, count])

    def _become(self, mutant: Mutant) -> None:
        """Give the functions that were imported the code of the mutant."""
        path = str(SOURCE / mutant.module)
        replaced = 0
        for each in _codes(compile(mutant.made(), path, "exec", dont_inherit=True)):
            if (each.co_qualname, each.co_firstlineno) == mutant.function:
                for function in self._functions.get(_place(each), ()):
                    # Without its `super()`, a method would not close over its class.
                    closed = each.co_freevars or function.__code__.co_freevars
                    function.__code__ = each.replace(co_freevars=closed)
                    replaced += 1
        assert replaced, f"{mutant.name} is nowhere"


def _give_up(end: int, item: pytest.Item, count: int) -> None:
    """End a fork whose test does not: that is a failure too."""
    os.write(end, json.dumps([f"{item.nodeid}, without end", count]).encode())
    os._exit(0)


def _place(code: CodeType) -> tuple[str, str, int]:
    return (code.co_filename, code.co_qualname, code.co_firstlineno)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)


def _fixtures(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))


def _needs_database(item: pytest.Item) -> bool:
    return "postgres" in _fixtures(item)


def _fails(item: pytest.Item, after: pytest.Item | None) -> bool:
    reports: Iterable[pytest.TestReport] = runtestprotocol(item, log=False, nextitem=after)
    return any(report.failed for report in reports)


def _last_fails(items: list[pytest.Item]) -> bool:
    failed = False
    for item, after in zip_longest(items, items[1:]):
        failed = _fails(item, after)
    return failed


def _fork(work: Callable[[int], str]) -> tuple[int, int]:
    """Do something in a fork; gives its process and the pipe in which its result comes."""
    out, back = os.pipe()
    pid = os.fork()
    if pid:
        os.close(back)
        return pid, out
    err = os.dup(2)
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        text = work(back)
        with os.fdopen(back, "w") as pipe:
            pipe.write(text)
    except BaseException:  # noqa: BLE001 - whatever it is, the fork ends here
        os.write(err, traceback.format_exc().encode())
    finally:
        os._exit(0)
