"""The files of this project as git sees them: tracked, or new and not ignored."""

import subprocess
from functools import cache
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
CODE_FOLDERS = {"src", "tests", "bench"}


@cache
def files() -> tuple[PurePosixPath, ...]:
    """Paths of all files, relative to the root; a file deleted but not yet committed is none."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "-z", "--exclude-standard"],  # noqa: S607 git is found by PATH
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return tuple(PurePosixPath(name) for name in sorted(set(listed)) if (ROOT / name).is_file())


def modules() -> list[PurePosixPath]:
    """Every Python file under src, tests and bench."""
    return [p for p in files() if p.suffix == ".py" and p.parts[0] in CODE_FOLDERS]


def code() -> list[PurePosixPath]:
    """Python and SQL under src, tests and bench."""
    return [*modules(), *(p for p in files() if p.suffix == ".sql" and p.parts[0] in CODE_FOLDERS)]


def text(path: PurePosixPath) -> str:
    """A file's text; bytes that are not UTF-8 are replaced, so that any file can be searched."""
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")
