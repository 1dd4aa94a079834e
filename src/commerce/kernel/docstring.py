"""Docstrings under fields, which Python itself forgets: read from the source of a class."""

from __future__ import annotations

import ast
import inspect
import textwrap


def field_docs(cls: type) -> dict[str, str]:
    """The docstring under each field of a class and of its parents in this package, in one line."""
    docs: dict[str, str] = {}
    for parent in reversed(cls.__mro__):
        if parent.__module__.partition(".")[0] != __name__.partition(".")[0]:
            continue
        (parsed,) = ast.parse(textwrap.dedent(inspect.getsource(parent))).body
        assert isinstance(parsed, ast.ClassDef)
        for field, below in zip(parsed.body, parsed.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(doc))):
                    docs[name] = " ".join(doc.split())
    return docs
