"""A server with a little money on it, and backups of it in both forms, for each module."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from commerce.store.embedded import EmbeddedPostgres
from tests.client import Answer, Client
from tests.journeys.conftest import call
from tests.process import Ran, Server, commerce, reachable_folder, servers
from tests.races.scene import execute

__all__ = ["call"]

SAMPLE = "stateset1qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5lzv7xu"
FORMS = ("physical", "logical")


class Bank(NamedTuple):
    """A server, a folder of backups beside its own, and a backup of each form."""

    server: Server
    folder: Path
    physical: Path
    logical: Path

    def arguments(self, name: str, *options: str | Path) -> list[str | Path]:
        """The command that takes one more backup."""
        return ["backup", self.folder / name, "--data-dir", self.server.data_dir, *options]


def done(ran: Ran) -> Any:
    """What a command that must succeed says with --json."""
    assert (ran.status, ran.err) == (0, ""), ran
    return ran.json


def asked(url: str, key: str, route: str, body: Any = None, **headers: str) -> Answer:
    """Call a server once."""

    async def ask() -> Answer:
        async with Client(url, key) as client:
            return await client.settle(route, body, **headers)

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def bank() -> Iterator[Bank]:
    folder = reachable_folder()
    with servers() as serve:
        server = serve(folder / "data")
        sandbox = server.sandbox
        issue = {"recipient": sandbox["wallet"], "amount": "100.00", "reference_id": "funds"}
        assert (
            asked(server.url, sandbox["secret_key"], "POST /stablecoin/issue", issue).status == 201
        )
        bank = Bank(server, folder, folder / "physical.tar", folder / "logical.tar")
        for form in FORMS:
            made = done(commerce(*bank.arguments(f"{form}.tar", "--form", form, "--json")))
            assert (made["form"], made["entries"] > made["transactions"] > 0) == (form, True)
        yield bank
    shutil.rmtree(folder)


@pytest.fixture
def target() -> Iterator[Path]:
    """A data folder that does not exist yet."""
    folder = reachable_folder()
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def keyed(bank: Bank, target: Path) -> Path:
    """A data folder that holds the bank's master key and nothing else."""
    target.mkdir(mode=0o700)
    shutil.copy2(bank.server.data_dir / "master.key", target)
    return target


@pytest.fixture
def another_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of one more fresh, empty database."""
    name = f"test_{uuid.uuid4().hex}"
    asyncio.run(execute(postgres.url, f"CREATE DATABASE {name}"))
    yield postgres.url.replace("/commerce?", f"/{name}?")
    asyncio.run(execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)"))
