"""From a plugin's source to the plugin itself, inside its process."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
from collections.abc import Mapping
from types import CodeType, ModuleType
from typing import Any, Final

from sark_opa.plugin import PolicyPlugin
from sark_opa.sandbox.guest import methods
from sark_opa.sandbox.guest.check import SourceError, parse
from sark_opa.sandbox.guest.eventloop import PluginLoop

FILE_NAME: Final = "plugin.py"
"""What the source is called in tracebacks, wherever it came from."""

_MODULE_NAME: Final = "plugin"


_REHEARSAL: Final = """
from dataclasses import dataclass
from sark_opa.plugin import PolicyContext, PolicyDecision, PolicyPlugin

@dataclass
class Record:
    name: str = ""

class Rehearsal(PolicyPlugin):
    name, version = "rehearsal", "1"

    async def evaluate(self, context: PolicyContext) -> PolicyDecision:
        return PolicyDecision(True, "")
"""


class ConfigError(Exception):
    """The plugin does not take this configuration; the message names the field."""


def plugin_of(source: str, config: Mapping[str, Any], *, lenient: bool = False) -> PolicyPlugin:
    """The plugin of a source, made with `config` as keyword arguments.

    Raises:
        SourceError: the source holds no plugin that can be made.
        ConfigError: the plugin refuses the configuration.
        BaseException: whatever the source raises while it is run.
    """
    module = ModuleType(_MODULE_NAME)
    # dataclasses and typing look a class's module up by name; tracebacks look its lines up by file.
    sys.modules[_MODULE_NAME] = module
    linecache.cache[FILE_NAME] = (len(source), None, source.splitlines(keepends=True), FILE_NAME)
    tree = parse(source, lenient=lenient)
    exec(compile(tree, FILE_NAME, "exec", dont_inherit=True), vars(module))  # noqa: S102  # the job
    line_of_class = {node.name: node.lineno for node in tree.body if isinstance(node, ast.ClassDef)}
    kind = _only_plugin_class(module, line_of_class)
    _check_arguments(kind, config)
    try:
        return kind(**config)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{kind.__name__} refuses it: {error}") from error


def keeps_state(plugin: PolicyPlugin) -> bool:
    """Whether it has a snapshot to give."""
    return type(plugin).snapshot is not PolicyPlugin.snapshot


def rehearse() -> None:
    """Load a plugin and forget it: what the interpreter sets up on first use is then shared by every child.

    Measured: 0.6 MB less for each process.
    """
    plugin = plugin_of(_REHEARSAL, {})
    PluginLoop().run(plugin.on_load())
    del sys.modules[_MODULE_NAME], linecache.cache[FILE_NAME]


def line_of(error: BaseException) -> int | None:
    """The line of the plugin's source an exception came from, the innermost one."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE_NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _only_plugin_class(module: ModuleType, line_of_class: Mapping[str, int]) -> type[PolicyPlugin]:
    found = [
        value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, PolicyPlugin)
        and value.__module__ == _MODULE_NAME
        and name == value.__name__
    ]
    made = [kind for kind in found if not inspect.isabstract(kind)]
    if not found:
        raise SourceError("no class here subclasses sark_opa.plugin.PolicyPlugin")
    if not made:
        missing = ", ".join(sorted(found[0].__abstractmethods__))
        raise SourceError(f"{found[0].__name__} does not implement {missing}", line_of_class.get(found[0].__name__))
    if len(made) > 1:
        names = ", ".join(kind.__name__ for kind in made)
        raise SourceError(f"one plugin a file, these are {len(made)}: {names}", line_of_class.get(made[1].__name__))
    _check_methods(made[0], line_of_class.get(made[0].__name__))
    return made[0]


def _check_methods(kind: type[PolicyPlugin], line_of_class: int | None) -> None:
    for name in methods.FORMS:
        method = getattr(kind, name)
        is_async = inspect.iscoroutinefunction(method)
        wrong = methods.misfit(name, is_async=is_async, fits=_fits(method, 1 + len(methods.FORMS[name].parameters)))
        if wrong:
            raise SourceError(f"{kind.__name__}.{wrong}", _line_of_method(method) or line_of_class)
    given = [name for name in ("snapshot", "restore") if getattr(kind, name) is not getattr(PolicyPlugin, name)]
    if len(given) == 1:
        line = _line_of_method(getattr(kind, given[0])) or line_of_class
        raise SourceError(f"{kind.__name__} has {given[0]} alone; snapshot and restore belong together", line)


def _fits(method: Any, count: int) -> bool:
    """Whether it can be called with so many arguments."""
    try:
        inspect.signature(method).bind(*[None] * count)
    except (TypeError, ValueError):
        return False
    return True


def _line_of_method(method: Any) -> int | None:
    code = getattr(method, "__code__", None)
    return code.co_firstlineno if isinstance(code, CodeType) and code.co_filename == FILE_NAME else None


def _check_arguments(kind: type[PolicyPlugin], config: Mapping[str, Any]) -> None:
    parameters = inspect.signature(kind).parameters.values()
    taken = [parameter.name for parameter in parameters if parameter.kind in {_KEYWORD, _EITHER}]
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        for name in config:
            if name not in taken:
                raise ConfigError(f"{name}: {kind.__name__} takes {', '.join(taken) or 'no configuration'}")
    for parameter in parameters:
        if parameter.name in taken and parameter.default is parameter.empty and parameter.name not in config:
            raise ConfigError(f"{parameter.name}: {kind.__name__} needs it")


_KEYWORD: Final = inspect.Parameter.KEYWORD_ONLY
_EITHER: Final = inspect.Parameter.POSITIONAL_OR_KEYWORD
