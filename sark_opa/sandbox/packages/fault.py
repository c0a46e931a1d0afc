"""What is wrong with a plugin's files: where, what, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sark_opa.errors import PluginError


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        path: the file, as people read it.
        message: what is wrong.
        line: where in the file, from 1, if it is at one place.
        field: of the manifest, such as `config.start`.
        remedy: what to do; empty where the message says it.
    """

    path: str
    message: str
    line: int | None = None
    field: str | None = None
    remedy: str = ""

    def __str__(self) -> str:
        where = self.path if self.line is None else f"{self.path}:{self.line}"
        said = self.message if self.field is None else f"{self.field}: {self.message}"
        return printable(f"{where}: {said}{f'; {self.remedy}' if self.remedy else ''}")


def printable(text: str) -> str:
    """A text a stranger may have had a hand in, as one line that gives a terminal no orders."""
    return text if text.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def refusal(faults: Sequence[Fault]) -> PluginError:
    """The error of a plugin with these faults: its message is the first one, its details hold them all."""
    first = faults[0]
    return PluginError(str(first), path=first.path, line=first.line, field=first.field, faults=tuple(faults))


def faults_of(error: PluginError) -> tuple[Fault, ...]:
    """The faults an error tells of; one for an error that was not made of faults."""
    if "faults" in error.details:
        told: tuple[Fault, ...] = error.details["faults"]
        return told
    path, line = str(error.details.get("path", "")), error.details.get("line")
    message = error.message.removeprefix(f"{path}:{line}: ").removeprefix(f"{path}: ")
    return (Fault(path, message, line),)
