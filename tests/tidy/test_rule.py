"""Every rule refuses what it is there to refuse, and lets its neighbour pass."""

from collections.abc import Callable
from pathlib import PurePosixPath

import pytest

from tests.tidy import rule

NESTED = "def f(x):\n    if x:\n        for y in x:\n            while y:\n                {}\n"
HASHED = "msgspec==0.20.0 \\\n    --hash=sha256:" + "0" * 64 + "\n    # via commerce-network\n"


@pytest.mark.parametrize(
    ("check", "bad", "good"),
    [
        (rule.wide_lines, "x" * 101, "x" * 100),
        (rule.long_functions, "def f():\n" + "    x\n" * 70, "def f():\n" + "    x\n" * 69),
        (
            rule.long_functions,
            "class A:\n    async def f(self):\n" + "        x\n" * 70,
            "class A:\n    async def f(self):\n" + "        x\n" * 69,
        ),
        (rule.long_file, "x\n" * 401, "x\n" * 400),
        (rule.deep_functions, NESTED.format("if y: pass"), NESTED.format("y = f(y)")),
        (rule.deep_functions, NESTED.format("try: pass\n                except E: pass"), NESTED),
        (rule.deep_functions, NESTED.format("match y:\n                    case 1: pass"), NESTED),
        (rule.commits, "await connection.commit()", "order.committed()"),
        (rule.commits, "tx.rollback()", "rollback = None"),
        (rule.transaction_sql, "c.execute('COMMIT')", "c.execute('SELECT 1')"),
        (rule.transaction_sql, "c.execute('start')\nc.execute('BEGIN;')", "c.say('Begin')"),
        (rule.missing_docstring, "x = 1", '"""What this is."""\nx = 1'),
        (rule.missing_docstring, '"""No full stop"""', '"""A sentence.\n\nAnd more"""'),
        (rule.unfinished, "x = 1  # TO" + "DO later", "# XDR, XX" + "X and the like"),
        (rule.unfinished, "-- FIX" + "ME", "-- fixed"),
        (rule.index_addresses, "https://py" + "pi.org/simple", "https://example.com/simple"),
        (rule.index_addresses, "http://files.python" + "hosted.org/x", "the package index"),
        (rule.machine_paths, "cd /ho" + "me/ada/commerce", "GET /v1/home/"),
        (rule.machine_paths, "'/ro" + "ot/x'", "./work/x"),
        (rule.unpinned, "msgspec==0.20.0", HASHED),
        (rule.unpinned, "msgspec>=0.20 --hash=sha256:" + "0" * 64, HASHED),
        (rule.unpinned, "--extra-index-url https://example.com\n" + HASHED, HASHED),
        (rule.unpinned, "x @ https://example.com/x.whl --hash=sha256:" + "0" * 64, HASHED),
    ],
)
def test_a_rule_refuses_the_bad_and_passes_the_good(
    check: Callable[[str], list[str]], bad: str, good: str
) -> None:
    assert len(check(bad)) == 1
    assert check(good.replace("{}", "y = 1")) == []


def test_an_elif_ladder_and_an_inner_function_do_not_nest() -> None:
    ladder = "def f(x):\n    if x: pass\n    elif x: pass\n    elif x: pass\n    elif x: pass\n"
    inner = NESTED.format("def g():\n                    if x: pass")
    assert rule.deep_functions(ladder) == []
    assert rule.deep_functions(inner) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("src/commerce/utils.py", ""),
        ("src/commerce/helpers/money.py", ""),
        ("src/commerce/money.py", "def process_payment(): pass"),
        ("src/commerce/money.py", "class A:\n    async def _handle_row(self): pass"),
        ("src/commerce/money.py", "class WalletManager: pass"),
        ("src/commerce/money.py", "class BaseWallet: pass"),
    ],
)
def test_a_name_that_says_nothing_is_refused(path: str, text: str) -> None:
    assert len(rule.banned_names(PurePosixPath(path), text)) == 1


def test_a_name_that_says_something_passes() -> None:
    text = "class Database: pass\ndef base_amount(): pass\ndef handle(): pass"
    assert rule.banned_names(PurePosixPath("src/commerce/areas/test_helpers.py"), text) == []


def test_a_folder_of_16_modules_is_refused_and_one_of_15_passes() -> None:
    paths = [PurePosixPath(f"src/commerce/kernel/part{number}.py") for number in range(16)]
    assert rule.full_folders(paths) == ["src/commerce/kernel: 16 files"]
    assert rule.full_folders(paths[1:]) == []


def test_an_import_that_no_requirement_declares_is_refused() -> None:
    text = "import json\nimport yaml.nodes\nfrom stdnum import iban\nfrom commerce import app\n"
    modules = rule.foreign_imports(text, {"commerce"})
    assert modules == {"yaml", "stdnum"}
    distributions = {"yaml": ["PyYAML"], "stdnum": ["python_stdnum"]}
    assert rule.undeclared(modules, {"python-stdnum"}, distributions) == ["yaml"]
    assert rule.undeclared(modules, {"python-stdnum", "pyyaml"}, distributions) == []
