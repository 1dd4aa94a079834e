"""The README's commands work one by one, as they stand there."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.process import Serve, environment

README = Path(__file__).parents[2] / "README.md"
MARK = "=====next====="


def commands() -> list[str]:
    """The lines of the README's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


def test_the_commands_of_the_readme_work_one_by_one(data_dir: Path, serve: Serve) -> None:
    (data_dir.parent / ".venv").symlink_to(sys.prefix)
    lines = commands()
    script = "\n".join(f"{line}\necho; echo {MARK}" for line in lines)
    serve(data_dir)
    ran = subprocess.run(
        ["/bin/bash", "-euc", script],
        cwd=data_dir.parent,
        env=environment({}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    said = dict(zip(lines, ran.stdout.split(MARK), strict=False))
    answers = {line: text for line, text in said.items() if line.startswith("curl")}
    assert len(answers) >= 9
    for line, text in answers.items():
        answer = json.loads(text[text.index("{") :])
        assert "error" not in answer, (line, answer)
    assert "all hold" in said[".venv/bin/commerce verify"]
