"""The rules of this project that a program can check, each a function from a text to its faults."""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
FOLDER_FILES_MAX = 15
NESTING_MAX = 3

BANNED_NAMES = {"utils", "helpers", "common", "manager", "base"}
BANNED_PREFIXES = ("process_", "handle_")
BANNED_CLASS = re.compile(r"^Base(?=[A-Z])|(Base|Manager|Helpers?|Utils?)$")
UNFINISHED = re.compile(r"(#|--|//)(.*\b(TO" + r"DO|FIX" + r"ME)|\s*XX" + r"X)\b")
INDEX_ADDRESS = re.compile(
    r"https?://[^\s/]*(pypi|pythonhosted|npmjs|crates\.io|registry|proxy\.golang)", re.IGNORECASE
)
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|home)/")
TRANSACTION_SQL = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|START\s+TRANSACTION)\b")
PIN = re.compile(
    r"^[a-z0-9][a-z0-9._-]*(\[[a-z,]+\])?==\S+( ;[^\\]+)?( --hash=sha256:[0-9a-f]{64})+$"
)

BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.Match)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(text: str) -> Iterator[Function]:
    """Every function of a module, methods and inner ones included."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, Function):
            yield node


def wide_lines(text: str) -> list[str]:
    """Lines of more than 100 columns."""
    lines = enumerate(text.splitlines(), 1)
    return [f"{number}: {len(line)} columns" for number, line in lines if len(line) > COLUMNS_MAX]


def long_functions(text: str) -> list[str]:
    """Functions of more than 70 lines, from `def` to the last line of the body."""
    sizes = ((node, (node.end_lineno or 0) - node.lineno + 1) for node in functions(text))
    return [
        f"{node.lineno}: {node.name} has {size} lines"
        for node, size in sizes
        if size > FUNCTION_LINES_MAX
    ]


def long_file(text: str) -> list[str]:
    """The file itself, when it has more than 400 lines."""
    size = len(text.splitlines())
    return [f"{size} lines"] if size > FILE_LINES_MAX else []


def full_folders(paths: Iterable[PurePosixPath]) -> list[str]:
    """Folders that hold more than 15 modules."""
    sizes = Counter(path.parent for path in paths if path.suffix == ".py")
    return [f"{folder}: {size} files" for folder, size in sizes.items() if size > FOLDER_FILES_MAX]


def deep_functions(text: str) -> list[str]:
    """Functions that branch inside a branch inside a branch inside a branch."""
    return [
        f"{node.lineno}: {node.name} nests {depth} deep"
        for node in functions(text)
        if (depth := _depth(node)) > NESTING_MAX
    ]


def _depth(node: ast.AST) -> int:
    """How deep the branches below a node nest; an inner function is counted by itself."""
    return max((_step(node, child) for child in ast.iter_child_nodes(node)), default=0)


def _step(parent: ast.AST, child: ast.AST) -> int:
    if isinstance(child, Function | ast.ClassDef):
        return 0
    return _depth(child) + (isinstance(child, BRANCHES) and not _is_elif(parent, child))


def _is_elif(parent: ast.AST, child: ast.AST) -> bool:
    return isinstance(parent, ast.If) and isinstance(child, ast.If) and parent.orelse == [child]


def banned_names(path: PurePosixPath, text: str) -> list[str]:
    """Files, functions and classes whose name says nothing about what they are."""
    named = [(0, part) for part in (*path.parent.parts, path.stem)]
    named += [(node.lineno, node.name) for node in functions(text)]
    faults = [f"{line}: {name}" for line, name in named if _is_banned(name)]
    classes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef))
    return faults + [f"{c.lineno}: {c.name}" for c in classes if BANNED_CLASS.search(c.name)]


def _is_banned(name: str) -> bool:
    bare = name.strip("_")
    return bare in BANNED_NAMES or bare.startswith(BANNED_PREFIXES)


def commits(text: str) -> list[str]:
    """Calls that commit or roll back: when to do so is the engine's decision alone."""
    names = (
        (call, call.func.attr) for call in _calls(text) if isinstance(call.func, ast.Attribute)
    )
    return [_shown(call) for call, name in names if name in {"commit", "rollback"}]


def transaction_sql(text: str) -> list[str]:
    """SQL that begins or ends a transaction: how that is done is the store's business alone."""
    return [
        _shown(call)
        for call in _calls(text)
        for argument in call.args
        if isinstance(argument, ast.Constant) and TRANSACTION_SQL.match(str(argument.value))
    ]


def _calls(text: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))


def _shown(call: ast.Call) -> str:
    return f"{call.lineno}: {ast.unparse(call)[:60]}"


def unfinished(text: str) -> list[str]:
    """Comments that put work off."""
    return _matching_lines(UNFINISHED, text)


def index_addresses(text: str) -> list[str]:
    """Addresses of package indexes: where packages come from is each machine's own setting."""
    return _matching_lines(INDEX_ADDRESS, text)


def machine_paths(text: str) -> list[str]:
    """Absolute paths of one machine."""
    return _matching_lines(MACHINE_PATH, text)


def _matching_lines(pattern: re.Pattern[str], text: str) -> list[str]:
    lines = enumerate(text.splitlines(), 1)
    return [f"{number}: {line.strip()[:80]}" for number, line in lines if pattern.search(line)]


def missing_docstring(text: str) -> list[str]:
    """The module itself, when it does not open with a sentence."""
    opening = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0]
    return [] if opening.endswith((".", "?", "!")) else ["no sentence opens the module"]


def unpinned(lock: str) -> list[str]:
    """Lines of a lock that are not a pin with hashes: options, addresses, paths."""
    logical = re.sub(r"\s*\\\n\s*", " ", lock).splitlines()
    lines = (
        line.rstrip() for line in logical if line.strip() and not line.lstrip().startswith("#")
    )
    return [line[:80] for line in lines if not PIN.match(line)]


def foreign_imports(text: str, own: set[str]) -> set[str]:
    """Top-level modules that a text imports and that are neither Python's nor the project's."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - own


def undeclared(
    modules: set[str], declared: set[str], distributions: dict[str, list[str]]
) -> list[str]:
    """Imported modules whose distribution stands in no requirement; names are normalised."""
    providers = {
        module: {normalise(name) for name in distributions.get(module, [])} for module in modules
    }
    return sorted(module for module, names in providers.items() if not names & declared)


def normalise(requirement: str) -> str:
    """The name of a requirement as PEP 503 compares it: `Foo_Bar>=1` is `foo-bar`."""
    name = re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()
