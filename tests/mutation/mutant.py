"""Mutants of a module: each is its syntax tree with one small thing wrong in it."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
UNTOUCHED = (ast.Assert, ast.Import, ast.ImportFrom, ast.JoinedStr, ast.FormattedValue)
"""What says nothing at run time, or nothing but prose."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Change(NamedTuple):
    """One node of a tree, and the node that takes its place."""

    parent: ast.AST
    field: str
    at: int | None
    old: Any
    new: Any

    def apply(self) -> None:
        """Change the tree."""
        self._set(self.new)

    def undo(self) -> None:
        """Change it back."""
        self._set(self.old)

    def _set(self, node: Any) -> None:
        if self.at is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.at] = node


class Mutant(NamedTuple):
    """A change of a module."""

    module: str
    """Its path below the package: `kernel/money.py`."""
    place: str
    """The function it is in, or `module`."""
    wrong: str
    """What was there, and what is: `amount > 0 → amount >= 0`."""
    lines: tuple[int, int]
    """The first and the last line of its statement."""
    function: tuple[str, int] | None
    """The outermost function it is in, by name and first line; None: it is run at import."""
    change: Change
    tree: ast.Module

    @property
    def name(self) -> str:
        """What it is called: the same as long as the code there is."""
        return f"{self.module} {self.place}: {self.wrong}"

    def made(self) -> ast.Module:
        """The module with the change in it."""
        self.change.apply()
        made = copy.deepcopy(self.tree)
        self.change.undo()
        return made


class _Spot(NamedTuple):
    """Where in a module a walk stands."""

    place: tuple[str, ...] = ()
    function: tuple[str, int] | None = None
    lines: tuple[int, int] = (0, 0)
    said: bool = False
    """Within what is only said: the arguments of an error or of the log."""


def of_layers(layers: Sequence[str], package: Path) -> list[Mutant]:
    """Every mutant of these layers of the package."""
    return [
        mutant
        for layer in layers
        for path in sorted((package / layer).glob("*.py"))
        for mutant in mutants(f"{layer}/{path.name}", ast.parse(path.read_text("utf-8")))
    ]


def mutants(module: str, tree: ast.Module) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    seen: Counter[str] = Counter()
    found: list[Mutant] = []
    for spot, change in _walk(tree, _Spot()):
        wrong = f"{_shown(change.old)} → {_shown(change.new)}"
        mutant = Mutant(
            module=module,
            place=".".join(spot.place) or "module",
            wrong=wrong,
            lines=spot.lines,
            function=spot.function,
            change=change,
            tree=tree,
        )
        seen[mutant.name] += 1
        if seen[mutant.name] > 1:
            mutant = mutant._replace(wrong=f"{wrong} ({seen[mutant.name]})")
        found.append(mutant)
    return found


def _shown(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def _walk(node: ast.AST, spot: _Spot) -> Iterator[tuple[_Spot, Change]]:
    """The changes of all that is in a node."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "bases", "op", "ops"):
            continue
        children = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, child in children:
            if not isinstance(child, ast.AST) or _is_left_out(child):
                continue
            within = _within(spot, node, field, child)
            for new in _instead(child, within, field):
                ast.fix_missing_locations(ast.copy_location(new, child))
                yield within, Change(node, field, index, child, new)
            yield from _walk(child, within)


def _within(spot: _Spot, parent: ast.AST, field: str, child: ast.AST) -> _Spot:
    """The spot of a child."""
    if isinstance(parent, Function) and field == "body" and spot.function is None:
        first = min([parent.lineno, *[each.lineno for each in parent.decorator_list]])
        spot = spot._replace(function=(".".join(spot.place), first))
    if isinstance(child, Function | ast.ClassDef):
        spot = spot._replace(place=(*spot.place, child.name))
    if isinstance(child, ast.stmt):
        spot = spot._replace(lines=(child.lineno, _last_line(child)), said=False)
    said = isinstance(child, ast.Raise) or (isinstance(child, ast.Call) and _is_log(child))
    return spot._replace(said=spot.said or said)


def _last_line(statement: ast.stmt) -> int:
    """The last line of a simple statement, or of the head of one with a body."""
    body: list[ast.stmt] = getattr(statement, "body", [])
    if body:
        return max(statement.lineno, body[0].lineno - 1)
    return statement.end_lineno or statement.lineno


def _is_left_out(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.If) and _shown(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.Assign) and _shown(node.targets[0]) == "__slots__":
        return True
    if isinstance(node, ast.Subscript) and _shown(node.value) == "Literal":
        return True
    return isinstance(node, UNTOUCHED)


def _is_log(node: ast.AST) -> bool:
    call = node.value if isinstance(node, ast.Expr) else node
    return isinstance(call, ast.Call) and _shown(call.func).startswith(("log.", "structlog."))


def _instead(node: ast.AST, spot: _Spot, field: str) -> Iterator[ast.AST]:
    """What may stand wrongly in a node's place."""
    decided = isinstance(node, ast.Compare | ast.UnaryOp | ast.BoolOp)
    if field in ("test", "ifs") and isinstance(node, ast.expr) and not decided:
        yield ast.UnaryOp(ast.Not(), node)
    for kind, make in _MAKERS.items():
        if isinstance(node, kind):
            yield from make(node, spot)


def _compare(node: ast.Compare, _: _Spot) -> Iterator[ast.AST]:
    for at, op in enumerate(node.ops):
        for other in COMPARED[type(op)]:
            yield ast.Compare(
                node.left, [*node.ops[:at], other(), *node.ops[at + 1 :]], node.comparators
            )


def _binary(node: ast.BinOp, spot: _Spot) -> Iterator[ast.AST]:
    if not spot.said:
        yield ast.BinOp(node.left, COUNTED[type(node.op)](), node.right)


def _augmented(node: ast.AugAssign, _: _Spot) -> Iterator[ast.AST]:
    yield ast.AugAssign(node.target, COUNTED[type(node.op)](), node.value)
    yield ast.Pass()


def _boolean(node: ast.BoolOp, _: _Spot) -> Iterator[ast.AST]:
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


def _unary(node: ast.UnaryOp, _: _Spot) -> Iterator[ast.AST]:
    yield node.operand


def _constant(node: ast.Constant, spot: _Spot) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value + 1)
    elif isinstance(value, str) and (not spot.said or value.isidentifier()) and " " not in value:
        yield ast.Constant(f"{value}~")
    elif isinstance(value, bytes):
        yield ast.Constant(value + b"~")


def _returned(node: ast.Return, _: _Spot) -> Iterator[ast.AST]:
    if node.value is not None and _shown(node.value) != "None":
        yield ast.Return(ast.Constant(None))


def _statement(node: ast.stmt, spot: _Spot) -> Iterator[ast.AST]:
    """Nothing, instead of a statement; a name that is not set would be found at once."""
    if isinstance(node, ast.Assign):
        if any(isinstance(each, ast.Attribute | ast.Subscript) for each in node.targets):
            yield ast.Pass()
    elif spot.function is not None and not _is_log(node):
        yield ast.Pass()


_MAKERS: dict[Any, Callable[[Any, _Spot], Iterator[ast.AST]]] = {
    ast.Compare: _compare,
    ast.BinOp: _binary,
    ast.AugAssign: _augmented,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.Constant: _constant,
    ast.Return: _returned,
    (ast.Expr, ast.Raise, ast.Continue, ast.Break, ast.Delete, ast.Assign): _statement,
}
