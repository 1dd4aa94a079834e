"""A world: a story played on several processes that share one store, under an auditor's eyes."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import Any

import structlog

from commerce.areas.identity import account, api_key, connected
from commerce.areas.identity.account import Capability, main_wallet
from commerce.kernel.errors import ApiError
from commerce.store.session import CommitUnknown, Conflict, LockTimeout, StoreUnavailable
from tests.simulation import loop
from tests.simulation.audit.auditor import Auditor
from tests.simulation.client import Client
from tests.simulation.fault import Fault
from tests.simulation.process import Process
from tests.simulation.request import ask
from tests.simulation.store import RUNNING, WatchedMemory
from tests.simulation.story import WORLDLY, Step, Story

BEGINS_MS = 1_795_435_200_000
"""Monday, 23 November 2026, 12:00 UTC."""
TURNS_MAX = 60
"""More turns of a worker than this, and its jobs never end."""
CAPABILITIES: tuple[list[Capability], ...] = (["stablecoin_issuance"], ["reserves_operator"])
ASKED_AGAIN = 12
"""How many requests are asked once more when all is quiet."""


class World:
    """Processes, clients and clocks."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.auditor = Auditor()
        self.store = WatchedMemory(self.auditor)
        self.store.interrupt = self._interrupt
        self.auditor.refusals.latest = lambda: self._latest_ms // 1000
        self.told: list[object] = []
        """What happened, for whoever reads it: each prints as a line."""
        self.operations = 0
        self.purged = 0
        """How many answers were deleted because they were too old."""
        self.sealed = 0
        """How many blocks were closed."""
        self.accounts: list[str] = []
        self.clients: dict[int, Client] = {}
        self._loop = asyncio.get_running_loop()
        self._rng = Random(story.weather)
        self._keys: dict[int, tuple[str, str]] = {}
        """The secret and the id of each restricted key that was used, by the step that made it."""
        self._secrets: dict[tuple[str, bool], str] = {}
        self._base_ms = self._latest_ms = BEGINS_MS
        self._skews = [0] * story.processes
        self._busy = 0
        self._idle = asyncio.Event()
        self._requests = 0
        self.ever: list[Process] = []
        """All processes that there were."""
        self.processes = [self._start(number) for number in range(story.processes)]

    # Time

    def _now_ms(self, number: int) -> int:
        now = self._base_ms + self._skews[number] + round(self._loop.time() * 1000)
        self._latest_ms = max(self._latest_ms, now)
        return now

    def now(self) -> int:
        """The time that clients have, Unix seconds."""
        return (self._base_ms + round(self._loop.time() * 1000)) // 1000

    # Processes

    def _start(self, number: int) -> Process:
        process = Process(
            number,
            self.store,
            lambda: self._now_ms(number),
            self._rng.getrandbits,
            lanes=self.story.lanes,
            weight_max=self.story.weight_max,
        )
        self.ever.append(process)
        return process

    def crash(self, process: Process) -> None:
        """End a process at once, and start another in its place."""
        self.auditor.answers.disturbed = True
        process.die()
        if self.processes[process.number] is process:
            self.processes[process.number] = self._start(process.number)

    async def _interrupt(self, step: str) -> None:
        process = RUNNING.get()
        if process is None:
            return
        if process.dead:
            raise asyncio.CancelledError
        fault = next((fault for fault in process.faults if fault.meets(step)), None)
        if fault is not None:
            if fault.spent:
                process.faults.remove(fault)
            await self._fail(process, step, fault)
        for _ in range(int(self._rng.random() ** 2 * 4)):
            await asyncio.sleep(0)
        if process.dead:
            raise asyncio.CancelledError

    async def _fail(self, process: Process, step: str, fault: Fault) -> None:
        self.auditor.answers.disturbed = True
        self.told.append(f"      p{process.number} {fault.what} before '{step}'")
        if fault.what == "dies":
            self.crash(process)
            raise asyncio.CancelledError
        if fault.what == "stalls":
            await asyncio.sleep(fault.seconds)
        elif fault.what == "conflict":
            raise Conflict("another was chosen")
        elif fault.what == "timeout":
            raise LockTimeout("a lock was not given in time")
        elif step in {"commit", "committed"}:
            raise CommitUnknown("the connection was lost")
        else:
            raise StoreUnavailable("the connection was lost")

    # Clients

    def request_id(self) -> str:
        """The id of another request."""
        self._requests += 1
        self.operations += 1
        return f"req_{self._requests:06}"

    def busy(self) -> None:
        """Somebody waits for an answer."""
        self._busy += 1

    def done(self) -> None:
        """Somebody waits no longer."""
        self._busy -= 1
        if not self._busy:
            self._idle.set()

    async def quiet(self) -> None:
        """Wait until nobody waits for an answer."""
        while self._busy:
            self._idle.clear()
            await self._idle.wait()

    def wallet(self, number: int, *, livemode: bool) -> str:
        """The address of an account."""
        return main_wallet(self.accounts[number], livemode)

    def parent(self, number: int) -> int:
        """The account that one is connected to; itself where it stands alone."""
        levels = len(self.story.levels)
        return number if number < levels else self.story.children[number - levels]

    def made(self, number: int) -> str | None:
        """The id of the object that a step made; None if it made none."""
        client = self.clients.get(number)
        return None if client is None else client.made()

    def owner(self, number: int) -> str | None:
        """The account that a step was asked for; None if it was not."""
        client = self.clients.get(number)
        return None if client is None else client.ask.account

    def secret(self, client: Client) -> tuple[str, str | None]:
        """The key a client calls with, and its id if it is a restricted one."""
        made = client.ask.with_key
        if made is None:
            return self._secrets[client.ask.by, client.ask.livemode], None
        if made not in self._keys:
            # Whoever made it may be asking for it again by the time it is used again.
            reply = self.clients[made].reply
            assert reply is not None
            body = json.loads(reply.body)
            self._keys[made] = (body["secret"], body["id"])
        return self._keys[made]

    # The story

    async def play(self) -> World:
        """Play the whole story, until something is found to be wrong."""
        await self._people()
        for step in self.story.steps:
            if self.auditor.findings:
                return self
            self.told.append(step)
            await self._take(step)
        await self._rest()
        return self

    async def _people(self) -> None:
        operate = self.processes[0].operate

        async def one(number: int, level: Any) -> str:
            capabilities = CAPABILITIES[number] if number < len(CAPABILITIES) else []
            params = account.CreateAccount(
                plan="enterprise", verification=level, capabilities=capabilities
            )
            made = await operate(account.create, params, "", livemode=False)
            return str(made.id)

        async def key(id_: str, livemode: bool) -> None:
            params = api_key.CreateApiKey(type="secret")
            made = await operate(api_key.create, params, id_, livemode=livemode)
            self._secrets[id_, livemode] = str(made.secret)

        levels = enumerate(self.story.levels)
        self.accounts = list(await asyncio.gather(*(one(*each) for each in levels)))
        keys = [key(id_, mode) for id_ in self.accounts for mode in (False, True)]
        await asyncio.gather(*keys)
        for parent in self.story.children:
            opened = connected.CreateConnectedAccount()
            made = await operate(connected.create, opened, self.accounts[parent], livemode=False)
            self.accounts.append(str(made.id))

    async def _take(self, step: Step) -> None:
        process = self.processes[step.process]
        args = step.args
        if step.kind not in WORLDLY:
            self._ask(step, process)
        elif step.kind == "wait":
            await self.quiet()
        elif step.kind == "pass":
            await asyncio.sleep(args["seconds"])
        elif step.kind == "jump":
            self._base_ms += args["seconds"] * 1000
        elif step.kind == "skew":
            self._skews[step.process] = args["seconds"] * 1000
        elif step.kind == "crash":
            self.crash(process)
        elif step.kind == "fault":
            process.faults.append(Fault(**args))
        elif step.kind == "seal":
            self._background(process, lambda: self._seal(process))
        else:
            self._work(process)

    def _ask(self, step: Step, process: Process) -> None:
        if step.kind in {"block", "level"}:
            self._operate(step, process)
            return
        if step.kind in {"again", "reuse"}:
            assert step.of is not None
            first = self.clients.get(step.of)
            if first is None or first.key is None:
                return
            asked = first.ask
            if step.kind == "reuse":
                asked = asked._replace(body={**(asked.body or {}), **step.args})
            client = Client(self, step, asked, first.key)
        else:
            found = ask(step, self)
            if found is None or (found.with_key is not None and self.made(found.with_key) is None):
                return
            keyed = "keyless" not in step.args and step.kind != "look"
            client = Client(self, step, found, f"key {step.number}" if keyed else None)
        self.clients[step.number] = client
        client.send(process)

    def _operate(self, step: Step, process: Process) -> None:
        whom, livemode = self.accounts[step.args["whom"]], step.livemode

        async def block() -> None:
            address, blocked = main_wallet(whom, livemode), bool(step.args["blocked"])
            params = account.BlockAddress(address=address, blocked=blocked)
            with self.auditor.wishing(livemode, address, blocked=blocked):
                await process.operate(account.block, params, "", livemode=livemode)

        async def update() -> None:
            params = account.UpdateAccount(account=whom, verification=step.args["level"])
            await process.operate(account.update, params, whom, livemode=livemode)

        self._background(process, block if step.kind == "block" else update)

    def _work(self, process: Process) -> None:
        async def turn() -> None:
            with self.auditor.turning():
                self.operations += await process.worker.turn()
            self.purged += await process.purge.turn()

        self._background(process, turn)

    async def _seal(self, process: Process) -> None:
        """Let a process close what blocks it can, as its sealer does again and again."""
        sealer = process.sealer
        async with process.sealing:
            try:
                self.sealed += len(await sealer.turn())
            except (StoreUnavailable, CommitUnknown, Conflict):
                await sealer._hang_up()

    def _background(self, process: Process, doing: Callable[[], Awaitable[None]]) -> None:
        async def done() -> None:
            with suppress(ApiError, StoreUnavailable):
                await doing()

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self.auditor.object(f"what nobody waits for has failed: {error!r}")
            self.done()

        self.busy()
        process.spawn(done()).add_done_callback(ended)

    # The end

    async def _rest(self) -> None:
        """Let everybody finish, undisturbed, and see that nothing is left undone."""
        for process in self.processes:
            process.faults.clear()
        await self.quiet()
        for number in range(len(self._skews)):
            self._skews[number] = 0
        # Whoever still has a connection that was lost finds out now.
        for process in self.processes:
            with suppress(StoreUnavailable):
                await process.pipeline.reader.store.ready()
        self.auditor.answers.disturbed = False
        await self._ask_again()
        await asyncio.sleep(7300)
        await self._finish_jobs()
        await self._seal(self.processes[0])
        for process in self.processes:
            await process.close()
        if not self.auditor.findings:
            self.auditor.settled(self.now() - 60)

    async def _ask_again(self) -> None:
        """Whoever got no answer gets one now, and some of the others the one they had."""
        keyed = [client for client in self.clients.values() if client.key is not None]
        unanswered = [client for client in keyed if client.reply is None]
        answered = [client for client in keyed if client.reply is not None]
        for number, client in enumerate([*unanswered, *answered[-ASKED_AGAIN:]]):
            client.reply = None
            client.send(self.processes[number % len(self.processes)])
        await self.quiet()
        for client in unanswered:
            if client.reply is None:
                self.auditor.object(f"step {client.step.number} is never answered")

    async def _finish_jobs(self) -> None:
        for turn in range(TURNS_MAX):
            process = self.processes[turn % len(self.processes)]
            with self.auditor.turning():
                found = await process.worker.turn()
            if not found:
                return
            await asyncio.sleep(1)
        self.auditor.object("there are jobs that never end")


@contextmanager
def _silence() -> Iterator[None]:
    """Let the product's log be silent: what it would say is said on purpose here."""
    config = structlog.get_config()
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    try:
        yield
    finally:
        structlog.configure(**config)


def play(story: Story) -> World:
    """Play a story; the world that is given back knows what was wrong."""
    world: list[World] = []
    for noun in (account.Account, api_key.ApiKey):
        # What is remembered as it was read is of another world, where ids are the same.
        noun.__noun__._read.clear()

    async def begin() -> None:
        world.append(World(story))
        await world[0].play()

    # A world lives briefly: to look for rings of garbage in it costs a tenth of its time.
    gc.disable()
    try:
        with _silence():
            loop.run(begin())
    except loop.Standstill:
        world[0].auditor.object("everybody waits for somebody else, for ever")
    finally:
        gc.enable()
    return world[0]
