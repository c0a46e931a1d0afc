"""YAML that says where each value stands: numbers keep their digits, keys are texts, and none stands twice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import yaml

from sark_opa.errors import InvalidInputError

Place = tuple[str | int, ...]
"""The keys and indices that lead to a value."""

_NUMBER: Final = re.compile(r"[-+]?(\d[\d_]*)(\.\d*)?([eE][-+]?\d{1,3})?")
_ENDLESS: Final = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)
_WHOLE_TAG: Final = "tag:yaml.org,2002:int"
_NUMBER_TAGS: Final = frozenset({_WHOLE_TAG, "tag:yaml.org,2002:float"})


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML text as a value, and the line of each value, from 1."""

    value: Any
    lines: Mapping[Place, int]

    def line_of(self, place: Place) -> int:
        """The line a value stands on; of what holds it, where there is no such value."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read(text: str, where: str) -> Document:
    """The document of a text.

    Args:
        text: YAML without aliases.
        where: what people call the file.

    Raises:
        InvalidInputError: it cannot be read; the message has the line where there is one.
    """
    loader: yaml.SafeLoader | None = None
    try:
        loader = _NoAliases(text)
        node = loader.get_single_node()
        lines: dict[Place, int] = {}
        return Document(None if node is None else _value(loader, node, (), lines), lines)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidInputError(f"{where}:{line}: {error.problem or 'it cannot be read'}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"{where}: it is no YAML that can be read: {error}") from error
    finally:
        if loader is not None:
            loader.dispose()


class _NoAliases(yaml.SafeLoader):
    """Takes no aliases, since a few of them in a row make a small file an enormous value."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's
            raise yaml.MarkedYAMLError(
                None, None, f"aliases such as *{event.anchor} are not taken; use a template", event.start_mark
            )
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def _value(loader: yaml.SafeLoader, node: yaml.Node, place: Place, lines: dict[Place, int]) -> Any:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*place, index), lines) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(None, None, "a key is a text", key.start_mark)
            if key.value in found:
                raise yaml.MarkedYAMLError(None, None, f"{key.value} stands here a second time", key.start_mark)
            lines[*place, key.value] = key.start_mark.line + 1
            found[key.value] = _value(loader, value, (*place, key.value), lines)
        return found
    if node.tag in _NUMBER_TAGS:
        if _ENDLESS.fullmatch(node.value):
            where = ".".join(map(str, place))
            raise yaml.MarkedYAMLError(None, None, f"{where}: {node.value} is not a finite number", node.start_mark)
        # What YAML 1.1 takes for a number, and people do not (1:30, 0x1F, 017), stays a text.
        plain = _NUMBER.fullmatch(node.value)
        octal = re.match(r"[-+]?0\d", node.value)
        if not plain or octal:
            return node.value
        number = Decimal(node.value.replace("_", ""))
        return int(number) if node.tag == _WHOLE_TAG else number
    return loader.construct_object(node)
