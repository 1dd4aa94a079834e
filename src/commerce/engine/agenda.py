"""Jobs on their way to be run: rows written with what caused them, done with what they do."""

from __future__ import annotations

from typing import NamedTuple

from commerce.store.table import Column, Row, Table

JOB = Table(
    "job",
    [
        Column("account", "text"),
        Column("livemode", "boolean"),
        Column("task", "text"),
        Column("subject", "text"),
        Column("params", "text"),
        Column("due_at", "bigint", nullable=True),
        Column("attempts", "bigint"),
        Column("problem", "text", nullable=True),
        Column("created", "bigint"),
    ],
    key=("account", "livemode", "task", "subject"),
    rank=250,
)
"""What is to be done with one object at a time; without a `due_at` it has been done."""


class Job(NamedTuple):
    """One row of the agenda."""

    account: str
    livemode: bool
    task: str
    """Which verb is to run."""
    subject: str
    """The id of the object it is about: an object has each task once."""
    params: str
    """The verb's parameters, as JSON."""
    due_at: int | None
    """When it is to run, Unix seconds; None once it has."""
    attempts: int
    """How often it has failed."""
    problem: str | None
    """Why it failed last."""
    created: int

    @classmethod
    def of(cls, row: Row) -> Job:
        """Read a row of the table."""
        return cls(*row)

    @property
    def key(self) -> tuple[str, bool, str, str]:
        """The key of the row."""
        return self[:4]
