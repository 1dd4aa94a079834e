"""Imports point down: the contracts hold for the product, and break on what they forbid."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.tidy import tree

CONTRACTS = tomllib.loads((tree.ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]


def lint(folder: Path, path: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    # Without the variables by which coverage follows a subprocess: it would measure the copy.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    return subprocess.run(
        [program, "--no-cache", "--no-logo"],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """A package of empty modules, one for each name in the contracts."""
    shutil.copy(tree.ROOT / "pyproject.toml", tmp_path)
    for contract in CONTRACTS["contracts"]:
        container = tmp_path.joinpath(*contract["containers"][0].split("."))
        for name in re.findall(r"\w+", " ".join(contract["layers"])):
            module = container / name / "__init__.py"
            module.parent.mkdir(parents=True, exist_ok=True)
            module.touch()
        (container / "__init__.py").touch()
    return tmp_path


def test_the_product_keeps_its_layers() -> None:
    result = lint(tree.ROOT, tree.ROOT / "src")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_package_without_imports_keeps_the_layers(skeleton: Path) -> None:
    result = lint(skeleton, skeleton)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("kernel", "commerce.store"),
        ("http", "commerce.areas"),
        ("store", "commerce.settings"),
        ("books", "commerce.events"),
        ("areas/identity", "commerce.areas.orders"),
        ("areas/customers", "commerce.areas.catalog"),
    ],
)
def test_an_import_up_or_sideways_breaks_a_contract(
    skeleton: Path, importer: str, imported: str
) -> None:
    module = skeleton / "commerce" / importer / "__init__.py"
    module.write_text(f"import {imported}\n")
    result = lint(skeleton, skeleton)
    assert result.returncode == 1
    assert f"-> {imported}" in result.stdout


@pytest.mark.parametrize("module", ["commerce/misc.py", "commerce/areas/misc.py"])
def test_a_module_that_no_layer_names_breaks_a_contract(skeleton: Path, module: str) -> None:
    (skeleton / module).touch()
    result = lint(skeleton, skeleton)
    assert result.returncode == 1
    assert "misc" in result.stdout
