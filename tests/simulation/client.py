"""A client: sends a request, and under a key sends it again until it has an answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tests.simulation.audit.facts import Asked
from tests.simulation.process import Process, Reply
from tests.simulation.request import Ask
from tests.simulation.story import Step

if TYPE_CHECKING:
    from tests.simulation.world import World

ATTEMPTS_MAX = 8
PAUSE_SECONDS = 0.05
RETRIED = (b"unavailable", b"idempotency_key_in_use")


class Told(NamedTuple):
    """An answer, as it is told in a story."""

    step: int
    id: str
    process: int
    reply: Reply | None

    def __str__(self) -> str:
        return f"      {self.step} {self.id} on p{self.process}: {self._shown()}"

    def _shown(self) -> str:
        """The answer in a few words, without what is secret in it."""
        reply = self.reply
        if reply is None:
            return "no answer"
        if reply.status == 500:
            return reply.body.decode()
        body: dict[str, Any] = msgspec.json.decode(reply.body)
        again = " again" if reply.replayed else ""
        error = body.get("error")
        if error is not None:
            return f"{reply.status} {error['code']}: {error['message']}{again}"
        status = body.get("status", "")
        return f"{reply.status} {body.get('object')} {body.get('id')} {status}{again}"


class Client:
    """Whoever asks for something, until there is an answer."""

    def __init__(self, world: World, step: Step, ask: Ask, key: str | None) -> None:
        self.step = step
        self.ask = ask
        self.key = key
        self.reply: Reply | None = None
        """The answer that the client has."""
        self._world = world
        self._attempts = 0
        self._lost = step.args.get("lost", 0)
        self._patience = step.args.get("leaves")

    def send(self, process: Process) -> None:
        """Ask a process."""
        self._attempts = 0
        self._world.busy()
        self._send(process)

    def _send(self, process: Process) -> None:
        world, ask = self._world, self.ask
        secret, api_key = world.secret(self)
        id_ = world.request_id()
        asked = Asked(
            id_,
            ask.account,
            ask.by,
            ask.livemode,
            ask.method,
            ask.path,
            ask.body,
            self.key,
            api_key,
            now=world.now(),
        )
        world.auditor.asked(asked)
        acting = None if ask.by == ask.account else ask.account
        asking = process.ask(id_, ask.method, ask.path, secret, ask.body, self.key, acting)
        task = process.spawn(asking)
        task.add_done_callback(lambda _: self._ended(process, id_, task))
        if self._patience is not None:
            self._leave(task, self._patience)
            self._patience = None

    def _leave(self, task: asyncio.Task[Any], patience: int) -> None:
        """Go away without waiting for the answer."""
        if patience:
            asyncio.get_running_loop().call_soon(self._leave, task, patience - 1)
        else:
            task.cancel()

    def _ended(self, process: Process, id_: str, task: asyncio.Task[Reply]) -> None:
        reply = None if task.cancelled() else task.result()
        world = self._world
        if reply is not None:
            world.auditor.answered(id_, reply)
            if self._lost:
                self._lost -= 1
                reply = None
        world.told.append(Told(self.step.number, id_, process.number, reply))
        again = reply is None or (
            reply.status in {503, 409} and any(code in reply.body for code in RETRIED)
        )
        if again and self.key is not None and self._attempts < ATTEMPTS_MAX:
            self._attempts += 1
            pause = PAUSE_SECONDS * 2**self._attempts
            asyncio.get_running_loop().call_later(pause, self._again, process.number + 1)
            return
        self.reply = None if again else reply
        world.done()

    def _again(self, number: int) -> None:
        processes = self._world.processes
        self._send(processes[number % len(processes)])

    def made(self) -> str | None:
        """The id of what was made."""
        if self.reply is None or self.reply.status >= 300:
            return None
        id_: str | None = msgspec.json.decode(self.reply.body).get("id")
        return id_
