"""What a plugin's class looks like in its source: which methods, with which parameters, asking for which facts."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from sark_opa.sandbox.contract import FACT_OF_NEED, Need


@dataclass(frozen=True, slots=True)
class Form:
    """How a method is written: `async` or not, and with what after `self`."""

    is_async: bool
    parameters: tuple[str, ...]

    def __str__(self) -> str:
        return f"{'async ' if self.is_async else ''}def NAME({', '.join(('self', *self.parameters))})"


FORMS: Final = {
    "evaluate": Form(is_async=True, parameters=("context",)),
    "on_load": Form(is_async=True, parameters=()),
    "on_unload": Form(is_async=True, parameters=()),
    "snapshot": Form(is_async=False, parameters=()),
    "restore": Form(is_async=False, parameters=("state",)),
}

VERDICTS: Final = "verdicts"
"""Under which key of the facts the verdicts of required plugins are."""

_RATE_WINDOW: Final = "rate_window"
_NEED_OF_FACT: Final = {fact: need for need, fact in FACT_OF_NEED.items()}


def misfit(name: str, *, is_async: bool, fits: bool) -> str | None:
    """What is wrong with a method of `FORMS`, None if nothing is.

    Args:
        name: of the method.
        is_async: whether it is `async def`.
        fits: whether it can be called as it will be.
    """
    form = FORMS[name]
    shown = str(form).replace("NAME", name)
    if is_async is not form.is_async:
        return f"{name} must be {'`async def`' if form.is_async else 'plain `def`'}: write `{shown}`"
    if not fits:
        return f"{name} has the wrong parameters: write `{shown}`"
    return None


def faults(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Methods of plugin classes that are not as they must be; decorated ones are left to when they are run."""
    plugins = {"PolicyPlugin"}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or not any(_name(base) in plugins for base in node.bases):
            continue
        plugins.add(node.name)
        given = {}
        for item in node.body:
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and item.name in FORMS:
                given[item.name] = item.lineno
                yield from _misfits(node.name, item)
        for one, other in (("snapshot", "restore"), ("restore", "snapshot")):
            if one in given and other not in given:
                yield given[one], f"{node.name} has {one} without {other}; the two belong together"


def undeclared(tree: ast.Module, needs: Collection[str], requires: Collection[str]) -> Iterator[tuple[int, str]]:
    """Facts and capabilities the source uses and the manifest does not ask for."""
    for line, key in _facts_used(tree):
        if key == VERDICTS:
            if not requires:
                yield line, f'facts["{VERDICTS}"] is empty; name the plugins under `requires` in plugin.yaml'
        elif key not in _NEED_OF_FACT:
            yield line, f'there is no facts["{key}"]; there are {", ".join(sorted([*_NEED_OF_FACT, VERDICTS]))}'
        elif _NEED_OF_FACT[key] not in needs:
            yield line, f'facts["{key}"] is not handed over; add `needs: [{_NEED_OF_FACT[key]}]` to plugin.yaml'
    if _RATE_WINDOW not in needs:
        for line in _rate_windows_used(tree):
            yield line, f"host.{_RATE_WINDOW} is not granted; add `needs: [{_RATE_WINDOW}]` to plugin.yaml"


def unused(tree: ast.Module, needs: Collection[Need]) -> tuple[Need, ...]:
    """Needs the source has no use for, as far as can be seen: none where it takes the facts as a whole."""
    keys = {key for _, key in _facts_used(tree)}
    opaque = sum(_is_facts(node) for node in ast.walk(tree)) > len(list(_facts_used(tree)))
    found: list[Need] = []
    for need in needs:
        if need == _RATE_WINDOW:
            if not any(_rate_windows_used(tree)):
                found.append(need)
        elif FACT_OF_NEED[need] not in keys and not opaque:
            found.append(need)
    return tuple(found)


def _misfits(kind: str, method: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[int, str]]:
    if method.decorator_list:
        return
    wrong = misfit(method.name, is_async=isinstance(method, ast.AsyncFunctionDef), fits=_fits(method))
    if wrong:
        yield method.lineno, f"{kind}.{wrong}"


def _fits(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    given = method.args
    count = 1 + len(FORMS[method.name].parameters)
    taken = len(given.posonlyargs) + len(given.args)
    required = taken - len(given.defaults)
    keywords = any(default is None for default in given.kw_defaults)
    return required <= count and (taken >= count or given.vararg is not None) and not keywords


def _name(base: ast.expr) -> str:
    return base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""


def _is_facts(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "facts"


def _facts_used(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """`….facts["key"]` and `….facts.get("key")`."""
    for node in ast.walk(tree):
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript) and _is_facts(node.value):
            key = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_facts(node.func.value):
            key = node.args[0] if node.func.attr == "get" and node.args else None
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.lineno, key.value


def _rate_windows_used(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == _RATE_WINDOW:
            yield node.lineno
