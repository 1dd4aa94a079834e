"""The tree keeps every rule: sizes, nesting, names, transactions, comments, addresses."""

from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from tests.tidy import rule, tree


def faults(check: Callable[[str], list[str]], paths: Iterable[PurePosixPath]) -> list[str]:
    return [f"{path}:{fault}" for path in paths for fault in check(tree.text(path))]


def test_the_tree_has_modules_to_check() -> None:
    folders = {path.parts[0] for path in tree.modules()}
    assert {"src", "tests"} <= folders


def test_lines_have_at_most_100_columns() -> None:
    assert faults(rule.wide_lines, tree.code()) == []


def test_functions_have_at_most_70_lines() -> None:
    assert faults(rule.long_functions, tree.modules()) == []


def test_files_have_at_most_400_lines() -> None:
    assert faults(rule.long_file, tree.code()) == []


def test_folders_hold_at_most_15_modules() -> None:
    assert rule.full_folders(tree.modules()) == []


def test_branches_nest_at_most_3_deep() -> None:
    assert faults(rule.deep_functions, tree.modules()) == []


def test_names_say_what_they_name() -> None:
    named = ((path, rule.banned_names(path, tree.text(path))) for path in tree.modules())
    assert [f"{path}:{fault}" for path, found in named for fault in found] == []


def product_outside(*layers: str) -> list[PurePosixPath]:
    return [p for p in tree.modules() if p.parts[0] == "src" and p.parts[2] not in layers]


def test_only_the_engine_and_the_store_commit() -> None:
    assert faults(rule.commits, product_outside("engine", "store")) == []


def test_only_the_store_writes_transaction_sql() -> None:
    assert faults(rule.transaction_sql, product_outside("store")) == []


def test_every_module_opens_with_a_sentence() -> None:
    assert faults(rule.missing_docstring, tree.modules()) == []


def test_no_work_is_put_off_in_comments() -> None:
    prose = {".md", ".lock"}
    assert faults(rule.unfinished, (p for p in tree.files() if p.suffix not in prose)) == []


def test_no_file_names_a_package_index() -> None:
    assert faults(rule.index_addresses, tree.files()) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert faults(rule.machine_paths, tree.files()) == []
