"""The attacks as files, and what each says of itself. They are read here and never imported."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

FOLDER: Final = Path(__file__).parent / "attacks"
README: Final = Path(__file__).parent / "README.md"
_BEGIN: Final = "<!-- attacks: written by `python tests/sandbox/hostile/catalogue.py` -->"
_END: Final = "<!-- end of attacks -->"
LOAD_ERROR: Final = "load_error"
STATUSES: Final = frozenset(
    {LOAD_ERROR, "ok", "timeout", "cpu_limit", "memory_limit", "crashed", "error", "violation", "quarantined"}
)


@dataclass(frozen=True, slots=True)
class Attack:
    """One file of `attacks`.

    Attributes:
        key: the file's name without its ending.
        what: it does, in a sentence.
        origin: `ours`, or the number in the design's catalogue of known attacks.
        outcome: statuses of the last verdict; `load_error` when it must not load at all.
        reason: a regular expression the verdict's reason, or the error's text, matches.
        then: statuses of the verdict on one more question; empty when none is asked.
        calls: how often it is asked, at most: the first verdict that is not `ok` ends it.
        pause_s: between the last verdict and the one more question.
        limits: `cpu_limit`, `timeout` or empty: which of them is short while it runs.
        may: what it is allowed to learn.
        source: what is loaded.
    """

    key: str
    what: str
    origin: str
    outcome: tuple[str, ...]
    reason: str
    then: tuple[str, ...]
    calls: int
    pause_s: float
    limits: str
    may: str
    source: str

    @property
    def name(self) -> str:
        """Of the plugin: the key without its number."""
        return self.key.split("_", 1)[1]


def _statuses(value: Any) -> tuple[str, ...]:
    statuses = (value,) if isinstance(value, str) else tuple(value)
    assert set(statuses) <= STATUSES, statuses
    return statuses


def _read(path: Path, prelude: str) -> Attack:
    text = path.read_text(encoding="utf-8")
    head: dict[str, Any] = yaml.safe_load(ast.get_docstring(ast.parse(text)) or "")
    outcome = _statuses(head.pop("outcome"))
    attack = Attack(
        key=path.stem,
        what=head.pop("what"),
        origin=str(head.pop("origin")),
        outcome=outcome,
        reason=head.pop("reason", ""),
        then=_statuses(head.pop("then", ())),
        calls=head.pop("calls", 1),
        pause_s=head.pop("pause_s", 0.0),
        limits=head.pop("limits", outcome[0] if outcome[0] in {"cpu_limit", "timeout"} else ""),
        may=head.pop("may", ""),
        source=f"{prelude}\n\n{text}",
    )
    assert not head, f"{path}: {head}"
    return attack


@cache
def attacks() -> tuple[Attack, ...]:
    """All of them, in the order of their numbers."""
    prelude = (FOLDER / "_prelude.py").read_text(encoding="utf-8")
    return tuple(_read(path, prelude) for path in sorted(FOLDER.glob("[0-9]*.py")))


def readme() -> str:
    """The README with its table as the files say."""
    above, _, rest = README.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, below = rest.partition(_END)
    return f"{above}{_BEGIN}\n{_table()}{_END}{below}"


def _table() -> str:
    rows = ["| file | what it does | ends in | from |", "|---|---|---|---|"]
    for attack in attacks():
        ends = " or ".join(f"`{status}`" for status in attack.outcome)
        if attack.then:
            ends += ", then " + " or ".join(f"`{status}`" for status in attack.then)
        if attack.may:
            ends += f"; may learn {attack.may}"
        origin = attack.origin if attack.origin == "ours" else f"known, {attack.origin}"
        what = attack.what.replace("|", "\\|")
        rows.append(f"| `{attack.key}` | {what} | {ends} | {origin} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    README.write_text(readme(), encoding="utf-8")
