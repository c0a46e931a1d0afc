"""Looks over a plugin's source for what cannot work in the sandbox, to say so with line and remedy.

This is a courtesy to authors and not a wall: what it overlooks, the walls around the process stop. It runs
inside that process, since reading hostile source can itself take down an interpreter.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from sark_opa.sandbox.guest import methods
from sark_opa.sandbox.guest.allowlist import ALLOWED_MODULES
from sark_opa.sandbox.looking import FAULT_BYTES_MAX, FAULTS_MAX, Check, Checked, SourceFault

FORBIDDEN_NAMES: Final = {
    "open": "a plugin has no files; pass what it needs as `config` in plugin.yaml",
    "input": "nobody is there to type; pass what it needs as `config` in plugin.yaml",
    "breakpoint": "nobody is there to debug; what print() writes shows when a case fails",
    "eval": "write the expression as code",
    "exec": "write the statements as code",
    "compile": "write the statements as code",
    "__import__": "write an import statement",
}
FORBIDDEN_ATTRIBUTES: Final = frozenset(
    {
        "__base__",
        "__bases__",
        "__builtins__",
        "__closure__",
        "__code__",
        "__globals__",
        "__loader__",
        "__mro__",
        "__subclasses__",
        "__traceback__",
        "cr_frame",
        "f_back",
        "f_globals",
        "f_locals",
        "gi_frame",
        "tb_frame",
    }
)


class SourceError(Exception):
    """The source cannot be a plugin; `line` is where, if it is at one place."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def parse(source: str, *, lenient: bool = False) -> ast.Module:
    """The source's syntax tree, looked over unless `lenient`.

    Raises:
        SourceError: a syntax error, or the first thing that cannot work in the sandbox.
    """
    tree = _tree(source)
    faults = [] if lenient else sorted(_faults(tree), key=lambda fault: fault[0])
    if faults:
        line, message = faults[0]
        raise SourceError(message, line)
    return tree


def looked_over(check: Check) -> Checked:
    """All that can be said of a source without running it; never raises for what the source holds."""
    try:
        tree = _tree(check.source)
        found = [*_faults(tree), *methods.faults(tree), *methods.undeclared(tree, check.needs, check.requires)]
        unused = methods.unused(tree, check.needs)
    except SourceError as error:
        return Checked(check.id, (_reported(error.line, str(error)),), ())
    except RecursionError:
        return Checked(check.id, (_reported(None, "the source is nested too deeply to be looked over"),), ())
    found.sort(key=lambda fault: fault[0])
    return Checked(check.id, tuple(_reported(*fault) for fault in found[:FAULTS_MAX]), unused)


def _reported(line: int | None, message: str) -> SourceFault:
    # A string in the source may hold a lone surrogate, and what is sent may not.
    return SourceFault(line, message.encode("utf-8", "backslashreplace")[:FAULT_BYTES_MAX].decode("utf-8", "ignore"))


def _tree(source: str) -> ast.Module:
    try:
        return ast.parse(source, "plugin.py")
    except SyntaxError as error:
        raise SourceError(f"syntax error: {error.msg}", error.lineno) from error
    except (ValueError, RecursionError, MemoryError) as error:  # NUL bytes; nesting beyond the parser's depth
        raise SourceError(f"the source cannot be parsed: {error!r}") from error


def _faults(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _import_fault(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "a plugin is one file; there is nothing to import relatively"
            else:
                yield from _import_from_faults(node)
        elif isinstance(node, ast.Name) and node.id in FORBIDDEN_NAMES and isinstance(node.ctx, ast.Load):
            yield node.lineno, f"{node.id} is not available: {FORBIDDEN_NAMES[node.id]}"
        elif isinstance(node, ast.Attribute) and node.attr in FORBIDDEN_ATTRIBUTES:
            yield node.lineno, f".{node.attr} reaches into the interpreter; a plugin has no need of it"


def _import_from_faults(node: ast.ImportFrom) -> Iterator[tuple[int, str]]:
    module = node.module or ""
    if module in ALLOWED_MODULES:
        return
    # `from urllib import parse` names an allowed module piecewise.
    if not all(f"{module}.{alias.name}" in ALLOWED_MODULES for alias in node.names):
        yield from _import_fault(node.lineno, module)


def _import_fault(line: int, module: str) -> Iterator[tuple[int, str]]:
    if module not in ALLOWED_MODULES:
        yield line, f"import of {module} is not allowed; a plugin may import {', '.join(ALLOWED_MODULES)}"
