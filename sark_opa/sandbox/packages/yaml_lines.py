"""Reading YAML that strangers wrote, and remembering on which line each value stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from sark_opa.sandbox.packages.fault import Fault, refusal

Place = tuple[str | int, ...]
"""The keys and indices that lead to a value."""


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML text as a value."""

    value: Any
    lines: Mapping[Place, int]

    def line_of(self, place: Sequence[str | int]) -> int:
        """The line a value stands on, from 1; of what holds it, where there is no such value."""
        here = tuple(place)
        while here and here not in self.lines:
            here = here[:-1]
        return self.lines.get(here, 1)


class _NoAliases(yaml.SafeLoader):
    """Takes no aliases, since a few of them in a row make a small file an enormous value."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's
            raise yaml.MarkedYAMLError(None, None, f"aliases such as *{event.anchor} are not taken", event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def read(text: str, where: str, *, aliases: bool = False) -> Document:
    """The document of a text.

    Args:
        text: YAML.
        where: what people call the file.
        aliases: take them; only for a file of the reader's own.

    Raises:
        PluginError: it cannot be read; the message has the line where there is one.
    """
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text) if aliases else _NoAliases(text)
        node = loader.get_single_node()
        if node is None:
            return Document(None, {})
        lines: dict[Place, int] = {}
        _note_lines(node, (), lines)
        return Document(loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise refusal([Fault(where, error.problem or "it cannot be read", line)]) from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise refusal([Fault(where, f"the character {error.character!r} is not allowed", line)]) from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise refusal([Fault(where, f"it is no YAML that can be read: {error}")]) from error
    finally:
        if loader is not None:
            loader.dispose()


def _note_lines(node: yaml.Node, place: Place, lines: dict[Place, int]) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note_lines(item, (*place, index), lines)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            if inner in lines:
                raise yaml.MarkedYAMLError(None, None, f"{key.value} stands here a second time", key.start_mark)
            lines[inner] = key.start_mark.line + 1
            _note_lines(value, inner, lines)
