"""`commerce backup` and `commerce restore`: the database into a file, and back."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from commerce import log
from commerce.backup import capture, restore
from commerce.backup.manifest import Form, Manifest
from commerce.command.terminal import AsJson, DataDir, read_settings
from commerce.installation import ServerError
from commerce.settings import KEY_FILE, Settings

EXIT_WRONG = 1
MEBIBYTE = 1 << 20

FORM_HELP = "physical (of the embedded PostgreSQL, its default) or logical."
KEY_HELP = "Put the master key into the file: who has the file can then read everything."
PROGRAMS_HELP = "The folder of pg_dump and pg_restore of another PostgreSQL than 18."

File = Annotated[Path, typer.Argument(help="The file of the backup.")]
ProgramFolder = Annotated[Path | None, typer.Option("--programs", help=PROGRAMS_HELP)]


def backup_command(  # noqa: PLR0913, PLR0917 - one option each
    file: File,
    form: Annotated[str | None, typer.Option(help=FORM_HELP)] = None,
    with_master_key: Annotated[bool, typer.Option("--with-master-key", help=KEY_HELP)] = False,
    programs: ProgramFolder = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write a backup of the database into one new file, while the server goes on serving."""
    settings = _settings(data_dir)
    path = file.absolute()
    begun = time.monotonic()
    with _ended_by_sigterm():
        made = asyncio.run(
            capture.back_up(
                settings,
                path,
                form=_form(form),
                with_master_key=with_master_key,
                folder=programs,
            )
        )
    if as_json:
        print(json.dumps({"object": "backup", "file": str(path), **_as_dict(made)}))
        return
    seconds = time.monotonic() - begun
    size = f"{path.stat().st_size / MEBIBYTE:.1f} MiB in {seconds:.1f} s"
    print(f"{path}: {_described(made)}, {size}, SHA-256 {made.sha256}")
    print(_where_the_key_is(settings, made))


def restore_command(
    file: File,
    check: Annotated[bool, typer.Option("--check", help="Only see that it could be.")] = False,
    programs: ProgramFolder = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into an empty --data-dir, or the empty database of COMMERCE_DATABASE_URL.

    The file and its master key are checked before anything is touched, and every invariant of the
    ledger afterwards; exit 1 and what is wrong if one does not hold.
    """
    settings = _settings(data_dir)
    path = file.absolute()
    if check:
        whole = restore.check(settings, path)
        if as_json:
            print(json.dumps({"object": "backup", "file": str(path), **_as_dict(whole)}))
            return
        print(f"{path}: {_described(whole)}; whole, unchanged, and of this master key")
        return
    with _ended_by_sigterm():
        done = restore.restore(settings, path, folder=programs)
    if as_json:
        shown = {"ok": not done.findings, "findings": done.findings, "applied": done.migrations}
        report = {**done.report.as_dict(), **shown}
        print(json.dumps({"object": "restore", "backup": _as_dict(done.manifest), **report}))
    else:
        _tell(settings, path, done)
    raise typer.Exit(EXIT_WRONG if done.findings else 0)


def _settings(data_dir: Path | None) -> Settings:
    settings = read_settings(data_dir=data_dir)
    log.configure(settings.log_level, settings.log_format)
    return settings


def _form(text: str | None) -> Form | None:
    """The form that an option names. Raises `ServerError`."""
    for form in get_args(Form):
        if form == text:
            return form  # type: ignore[no-any-return] # one of the literals
    if text is not None:
        raise ServerError("the form is physical or logical")
    return None


def _described(manifest: Manifest) -> str:
    return (
        f"a {manifest.form} backup of {manifest.taken}, {manifest.transactions} transactions and "
        f"{manifest.entries} entries"
    )


def _as_dict(manifest: Manifest) -> dict[str, Any]:
    """What a program wants to know of a backup."""
    return {
        "form": manifest.form,
        "created": manifest.created,
        "migrations": [each.name for each in manifest.migrations],
        "holds_master_key": manifest.holds_master_key,
        "transactions": manifest.transactions,
        "entries": manifest.entries,
        "size": manifest.size,
        "sha256": manifest.sha256,
    }


def _where_the_key_is(settings: Settings, manifest: Manifest) -> str:
    if manifest.holds_master_key:
        return "The master key is in it: keep it as you keep the key"
    kept = "COMMERCE_MASTER_KEY"
    if settings.master_key is None:
        kept = str((settings.data_dir / KEY_FILE).absolute())
    return f"The master key is not in it: without {kept} it cannot be restored"


def _tell(settings: Settings, path: Path, done: restore.Restored) -> None:
    """Say what was restored, and what was seen to be right."""
    where = "the database of COMMERCE_DATABASE_URL"
    if settings.database_url is None:
        where = str(settings.data_dir.absolute())
    print(f"restored into {where}: {path}, {_described(done.manifest)}")
    for name in done.migrations:
        print(f"applied: {name}")
    if not done.findings:
        print("checked: the file's SHA-256, its signature, the master key, the schema, the counts")
    for finding in done.findings:
        print(f"wrong: {finding}")
    print(done.report.summary)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Told to stop, stop as by Ctrl-C, and leave nothing half done behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
