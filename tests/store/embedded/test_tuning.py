"""The settings of the embedded PostgreSQL."""

import os
from pathlib import Path

import pytest

from commerce.store import tuning
from commerce.store.tuning import configuration, memory_bytes


@pytest.mark.parametrize(
    ("memory_mib", "buffers_mib"), [(256, 128), (1024, 128), (4096, 512), (65536, 2048)]
)
def test_shared_buffers_are_an_eighth_of_the_memory_within_bounds(
    memory_mib: int, buffers_mib: int
) -> None:
    text = configuration(Path("/s"), memory_mib << 20, durable=True, lz4=True)
    assert f"shared_buffers = {buffers_mib}MB\n" in text


def test_what_is_answered_is_on_disk_unless_a_test_says_otherwise() -> None:
    durable = configuration(Path("/s"), 1 << 30, durable=True, lz4=True)
    assert "fsync = on\nsynchronous_commit = on\nfull_page_writes = on\n" in durable
    assert "wal_compression = lz4\n" in durable
    assert "fsync = off\n" in configuration(Path("/s"), 1 << 30, durable=False, lz4=False)


def test_statements_that_an_index_refuses_are_not_logged_whole() -> None:
    text = configuration(Path("/s"), 1 << 30, durable=True, lz4=True)
    assert "log_min_error_statement = fatal\n" in text


def test_a_container_has_no_more_memory_than_it_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(tuning, "MEMORY_LIMIT", limit)
    assert memory_bytes() == machine
    for text, expected in (("1048576\n", 1_048_576), ("max\n", machine), ("9" * 30, machine)):
        limit.write_text(text)
        assert memory_bytes() == expected
