"""YAML read exactly: numbers keep their digits, and a key written twice is an error."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml


class _ExactLoader(yaml.SafeLoader):
    """Plain YAML, but `0.1` is the decimal 0.1 and not the binary float nearest to it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002  # PyYAML's signature
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable) or key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _decimal(loader: _ExactLoader, node: yaml.ScalarNode) -> Decimal:
    text = str(loader.construct_scalar(node)).replace("_", "")
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise yaml.constructor.ConstructorError(None, None, f"{text} is not a finite number", node.start_mark)
    return number


_ExactLoader.add_constructor("tag:yaml.org,2002:float", _decimal)


def read(text: str) -> Any:
    """The document in `text`; numbers with a fraction are `Decimal`.

    Raises:
        yaml.YAMLError: not YAML, a key twice, or a number that is not finite; the message names line and column.
    """
    return yaml.load(text, Loader=_ExactLoader)  # noqa: S506  # a SafeLoader by inheritance


def line_of(text: str, path: Sequence[int | str]) -> int | None:
    """The line, from 1 on, of what `path` leads to in a document, or of the last step of it that is there.

    None for an empty document.

    Raises:
        yaml.YAMLError: not YAML.
    """
    node = yaml.compose(text, Loader=_ExactLoader)
    line: int | None = None if node is None else node.start_mark.line + 1
    for step in path:
        found = _child(node, step)
        if found is None:
            break
        line, node = found
    return line


def _child(node: yaml.Node | None, step: int | str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        child = node.value[step]
        return child.start_mark.line + 1, child
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    return None
