"""The inspector: has the whole ledger verified by itself, about once a day."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from commerce.areas.identity import account
from commerce.areas.stablecoin.chain import violation
from commerce.installation import ServerError, connected
from commerce.kernel.errors import ApiError
from commerce.store.session import StoreUnavailable
from commerce.telemetry import verified

if TYPE_CHECKING:
    from commerce.app import App
    from commerce.settings import Settings

LOCK = 7_233_103
"""The advisory lock by which one process of all on a database has it verified at a time."""
LOOK_SECONDS = 60.0
"""About how often a process looks whether it is time."""
NICENESS = 10

log = structlog.get_logger("commerce.inspector")


class Inspector:
    """Runs `commerce verify` when the last one with this data folder is long enough ago.

    What is wrong it tells the accounts that operate the reserves, by an event. The verify runs in
    a process of its own, which is not as important as the others: counting every hash again would
    hold up whoever is served here.
    """

    def __init__(self, settings: Settings, url: str, app: App) -> None:
        self._data_dir = settings.data_dir
        self._seconds = settings.verify_hours * 3600
        self._url = url
        self._app = app
        self._untold: list[tuple[bool, list[str]]] = []
        """What nobody was told yet, by mode."""

    async def run(self) -> None:
        """Verify when it is time, until cancelled."""
        while self._seconds:
            try:
                await self._tell()
                if self._is_due():
                    await self.turn()
            except ServerError as error:
                log.warning("verify_waits", reason=str(error))
            except Exception:
                log.exception("verify_failed")
            # Processes look at random times, so that seldom two begin at once.
            await asyncio.sleep(LOOK_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311

    def _is_due(self) -> bool:
        try:
            last = verified.read(self._data_dir)
        except msgspec.MsgspecError:
            return True  # It says nothing of when.
        return last is None or last.finished + self._seconds <= time.time()

    async def turn(self) -> bool:
        """Verify, unless another process does; whether it did. Raises `ServerError`.

        What is wrong is an error in the log, `ledger_violated`, and `commerce_verify_last_ok`,
        and then it is an event. Where the store is away by then, a later look tells it.
        """
        async with connected(self._url) as connection:
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                return False
            # Whoever had the lock until now may have been the one it was time for.
            if not self._is_due():
                return False
            began = time.monotonic()
            report = await self._verify()
        findings: list[str] = report["findings"]
        if findings:
            first = findings[: violation.SHOWN_MAX]
            log.error("ledger_violated", violations=len(findings), first=first)
            live = set(report["live"])
            for livemode in (False, True):
                found = [finding for finding in findings if (finding in live) == livemode]
                self._untold += [(livemode, found)] if found else []
            await self._tell()
        else:
            seconds = round(time.monotonic() - began, 1)
            log.info("ledger_verified", entries=report["entries"], seconds=seconds)
        return True

    async def _tell(self) -> None:
        """Tell who operates the reserves what they were not told; a store that is away waits."""
        while self._untold:
            try:
                heard = await self._emit(*self._untold[0])
            except (ApiError, StoreUnavailable) as error:
                log.warning("ledger_violated_untold", reason=str(error))
                return
            if not heard:
                log.warning("ledger_violated_unheard", reason="no account operates the reserves")
            del self._untold[0]

    async def _emit(self, livemode: bool, findings: list[str]) -> int:
        """Emit the event, in one mode; how many accounts got it."""
        accounts = await account.operators(self._app.reader, livemode)
        if accounts:
            params = violation.TellViolation(accounts=accounts, findings=findings)
            await self._app.operate(violation.tell, params, account="", livemode=livemode)
        return len(accounts)

    async def _verify(self) -> dict[str, Any]:
        command = [sys.executable, "-m", "commerce", "verify", "--json"]
        environment = os.environ | {
            "COMMERCE_DATA_DIR": str(self._data_dir),
            "COMMERCE_DATABASE_URL": self._url,
        }
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE
        )
        try:
            with suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
            out, problem = await process.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if not out:
            raise ServerError(problem.decode(errors="replace").strip() or "verify said nothing")
        report: dict[str, Any] = json.loads(out)
        return report


@asynccontextmanager
async def inspected(settings: Settings, url: str, app: App) -> AsyncIterator[None]:
    """With an inspector beside, which ends at once: a verify only reads."""
    task = asyncio.create_task(Inspector(settings, url, app).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
