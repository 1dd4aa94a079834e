"""Docstrings under fields, which Python itself forgets: read from the source of a module."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache


def field_docs(cls: type) -> dict[str, str]:
    """The docstring under each field of a class and of its parents in this package, in one line."""
    docs: dict[str, str] = {}
    for parent in reversed(cls.__mro__):
        if parent.__module__.partition(".")[0] == __name__.partition(".")[0]:
            docs |= _module_docs(parent.__module__)[parent.__name__]
    return docs


@cache
def _module_docs(module: str) -> dict[str, dict[str, str]]:
    """The docstrings under the fields of every class of a module; read once, for it takes long."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: _docs(node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def _docs(parsed: ast.ClassDef) -> dict[str, str]:
    docs: dict[str, str] = {}
    for field, below in zip(parsed.body, parsed.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(doc))):
                docs[name] = " ".join(doc.split())
    return docs
