"""The settings of the embedded PostgreSQL, written anew at every start."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

MEBIBYTE = 1 << 20
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
SHARED_BUFFERS_MIB_MIN = 128
SHARED_BUFFERS_MIB_MAX = 2048

TEMPLATE = """\
# Written by Commerce Network at every start, so that upgrades reach old clusters: do not edit.
# To change a setting use ALTER SYSTEM, or a line below the include in postgresql.conf.
listen_addresses = ''
unix_socket_directories = {socket_folder}
unix_socket_permissions = 0700
max_connections = 100
timezone = 'UTC'

# Memory: an eighth of the machine's, which the API processes share.
shared_buffers = {shared_buffers_mib}MB
wal_buffers = 16MB
jit = off

# Durability: what was answered is on disk.
fsync = {durable}
synchronous_commit = on
full_page_writes = {durable}
wal_compression = {wal_compression}
max_wal_size = 4GB
wal_init_zero = off
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9

# Small steps of vacuum, often: the balances are rows that change all the time.
autovacuum = on
autovacuum_naptime = 15s
autovacuum_vacuum_scale_factor = 0.05
autovacuum_vacuum_insert_scale_factor = 0.1
autovacuum_analyze_scale_factor = 0.02
autovacuum_vacuum_cost_limit = 1000

# An abandoned write transaction holds back everyone who reads in commit order.
transaction_timeout = 60s
deadlock_timeout = 200ms

# Terse, since DETAIL lines would show the contents of rows.
log_destination = 'stderr'
logging_collector = off
log_min_messages = warning
log_error_verbosity = terse
# A key that is sent again is refused by an index, as a matter of course: not 3 KB each.
log_min_error_statement = fatal
log_line_prefix = '%m [%p] '
log_timezone = 'UTC'
"""


def configuration(socket_folder: Path, memory_bytes: int, *, durable: bool, lz4: bool) -> str:
    """The text of the settings file; `durable=False` survives no crash of the machine."""
    share = memory_bytes // 8 // MEBIBYTE
    return TEMPLATE.format(
        socket_folder=_quoted(f'"{socket_folder}"'.replace("\\", "\\\\")),
        shared_buffers_mib=min(max(share, SHARED_BUFFERS_MIB_MIN), SHARED_BUFFERS_MIB_MAX),
        durable="on" if durable else "off",
        wal_compression="lz4" if lz4 else "off",
    )


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def memory_bytes() -> int:
    """The memory we may use in bytes: the machine's, or the container's if that is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        return min(machine, int(MEMORY_LIMIT.read_text(encoding="ascii")))
    return machine
