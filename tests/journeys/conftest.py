"""One stage, and so one database, for each module of tests; and the command line."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import structlog

from commerce import log
from commerce.__main__ import main
from commerce.store.embedded import EmbeddedPostgres
from tests.process import Ran
from tests.stage import Stage, staged

Call = Callable[..., Ran]


@pytest.fixture(scope="module")
async def stage(postgres: EmbeddedPostgres) -> AsyncIterator[Stage]:
    """The product over a database of this module's own."""
    async with staged(postgres.url) as stage:
        yield stage


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command in this process, which costs a tenth of what one of its own does."""
    monkeypatch.setattr(log, "_FILE", None)

    def call(*arguments: str | Path, **settings: str) -> Ran:
        for name in [name for name in os.environ if name.startswith("COMMERCE_")]:
            monkeypatch.delenv(name)
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["commerce", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        structlog.reset_defaults()
        said = capsys.readouterr()
        return Ran(int(ended.value.code or 0), said.out, said.err)

    return call
