"""The lock pins what pyproject.toml declares, and the code imports nothing else."""

import tomllib
from importlib import metadata
from pathlib import PurePosixPath

from tests.tidy import rule, tree

LOCK = tree.text(PurePosixPath("requirements.lock"))
PROJECT = tomllib.loads(tree.text(PurePosixPath("pyproject.toml")))["project"]
RUNTIME = {rule.normalise(line) for line in PROJECT["dependencies"]}
TRACING = {rule.normalise(line) for line in PROJECT["optional-dependencies"]["tracing"]}
"""What one module imports, where traces are wanted: `telemetry/tracing.py`."""
DEVELOPMENT = {rule.normalise(line) for line in PROJECT["optional-dependencies"]["dev"]}
OWN = {"bench", "commerce", "tests"}


def imports(folders: set[str]) -> set[str]:
    texts = (tree.text(path) for path in tree.modules() if path.parts[0] in folders)
    return set().union(*(rule.foreign_imports(text, OWN) for text in texts))


def test_the_lock_pins_every_line_by_hash_and_names_no_index() -> None:
    assert rule.unpinned(LOCK) == []


def test_the_lock_pins_every_declared_requirement() -> None:
    pinned = {rule.normalise(line) for line in LOCK.splitlines() if "==" in line}
    assert pinned >= RUNTIME | DEVELOPMENT


def test_the_product_imports_only_runtime_requirements_and_one_module_those_of_tracing() -> None:
    distributions = dict(metadata.packages_distributions())
    assert rule.undeclared(imports({"src"}), RUNTIME | TRACING, distributions) == []
    traced = PurePosixPath("src/commerce/telemetry/tracing.py")
    others = [path for path in tree.modules() if path.parts[0] == "src" and path != traced]
    found = set().union(*(rule.foreign_imports(tree.text(path), OWN) for path in others))
    assert rule.undeclared(found, RUNTIME, distributions) == []
    assert DEVELOPMENT >= TRACING, "what is optional is tested all the same"


def test_tests_and_benchmarks_import_only_declared_requirements() -> None:
    declared = RUNTIME | DEVELOPMENT
    distributions = dict(metadata.packages_distributions())
    assert rule.undeclared(imports({"tests", "bench"}), declared, distributions) == []
