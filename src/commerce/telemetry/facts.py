"""What is looked up for `/metrics` when it is asked for, since no process counts it."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING

from commerce.kernel.version import API_VERSION
from commerce.telemetry import verified
from commerce.telemetry.scrape import Fact, Scrape, Source

if TYPE_CHECKING:
    from commerce.engine.sealer import Sealer
    from commerce.jobs.worker import Worker
    from commerce.meter.meters import Meters


def scrape_of(meters: Meters, worker: Worker, sealer: Sealer, data_dir: Path) -> Scrape:
    """All that a process shows; whatever has more to tell adds a source of its own."""
    meters.counter("commerce_process_starts_total", "Starts of processes of this server.").add()
    scrape = Scrape(meters, [build()])
    scrape.sources.append(Source("jobs", partial(_jobs, worker)))
    scrape.sources.append(Source("sealing", partial(_sealing, sealer)))
    scrape.sources.append(Source("verify", partial(verified.last, data_dir)))
    return scrape


async def _sealing(sealer: Sealer) -> list[Fact]:
    height = "The height of the last block of a mode; 0 before the first."
    lag = "How long the oldest transaction of a mode has been there that is in no block."
    facts = []
    for livemode in sealer.modes:
        sealed = await sealer.state(livemode)
        labels = {"mode": "live" if livemode else "test"}
        facts.append(Fact("commerce_sealed_height", height, sealed.height, labels))
        facts.append(Fact("commerce_seal_lag_seconds", lag, sealed.lag_seconds, labels))
    return facts


def build() -> Fact:
    """Which product this is."""
    labels = {
        "version": version("commerce-network"),
        "api_version": API_VERSION,
        "python": python_version(),
    }
    return Fact("commerce_build_info", "The versions that run; always 1.", 1, labels)


async def _jobs(worker: Worker) -> list[Fact]:
    doc = "For how long the job has been due that is due the longest; 0 when none is."
    return [Fact("commerce_job_lag_seconds", doc, await worker.lag())]
