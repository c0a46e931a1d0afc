"""Plots of reports as PNG or SVG. The same report gives the same file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sark_opa.errors import ConfigurationError, InvalidInputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_UNITS: Final = ("hour", "day", "month")
_SERIES_MAX: Final = 8
_BARS_MAX: Final = 25
_LABELS_MAX: Final = 16
_CHARS_MAX: Final = 40
_OTHER: Final = "(other)"
_STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "sark-opa",
    "svg.fonttype": "none",
    "font.size": 9.0,
    "text.parse_math": False,
}

Row = Mapping[str, Any]


def check(path: Path) -> None:
    """Let a path pass that can be plotted to, before the report is made.

    Raises:
        InvalidInputError: neither .png nor .svg.
        ConfigurationError: matplotlib is not installed.
    """
    if path.suffix.lower() not in {".png", ".svg"}:
        raise InvalidInputError(f"--plot {path}: the name ends in neither .png nor .svg", path="plot")
    try:
        import matplotlib as mpl  # noqa: F401, PLC0415  # an extra, and slow to load
    except ImportError as error:
        raise ConfigurationError("--plot needs matplotlib: pip install 'sark-opa[plot]'") from error


def summary(answer: Row, path: Path) -> None:
    """Groups as bars, the dearest on top; by time, as a stack for each hour, day or month."""
    words = answer["group_by"]
    unit = next((word for word in words if word in _UNITS), None)
    others = [word for word in words if word != unit]

    def draw(axes: Axes) -> None:
        if unit is None:
            _bars(axes, [(_label(row, others), float(row["actual_usd"])) for row in answer["rows"]])
        else:
            _stacks(axes, answer["rows"], unit, others)
        axes.set_title(f"Cost by {', '.join(words)}" if words else "Cost")

    _draw(path, answer, draw)


def trend(answer: Row, path: Path) -> None:
    """A bar for each day or month."""
    chars = 10 if answer["by"] == "day" else 7

    def draw(axes: Axes) -> None:
        points = answer["points"]
        _columns(axes, [point["start"][:chars] for point in points])
        colours = ["C0" if point["complete"] else "C7" for point in points]
        axes.bar(range(len(points)), [float(point["actual_usd"]) for point in points], color=colours)
        axes.set_title(f"Cost by {answer['by']}")
        axes.set_ylabel("USD")

    _draw(path, answer, draw)


def accuracy(answer: Row, path: Path) -> None:
    """The histogram of errors."""

    def draw(axes: Axes) -> None:
        steps = answer["histogram"]
        starts = [100 * float(step["from_ratio"]) for step in steps]
        axes.bar(starts, [step["charges"] for step in steps], width=5, align="edge")
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_title("Actual cost against its estimate")
        axes.set_xlabel("% above the estimate; the last bar is open")
        axes.set_ylabel("charges")

    _draw(path, answer, draw)


def _draw(path: Path, answer: Row, draw: Any) -> None:
    import matplotlib as mpl  # noqa: PLC0415  # an extra, and slow to load
    from matplotlib.figure import Figure  # noqa: PLC0415  # same

    # No pyplot: it would look for a display. Names are texts, never formulas of TeX.
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 5), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        period = answer["period"]
        zone = period["timezone"] or "each org in its own time zone"
        axes.set_title(f"{axes.get_title()}\n{period['from']} to {period['to']}, {zone}", fontsize=9)
        kind = path.suffix.lower().removeprefix(".")
        metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
        try:
            figure.savefig(path, format=kind, metadata=metadata)
        except OSError as error:
            raise ConfigurationError(f"--plot {path}: {error.strerror or error}") from error


def _bars(axes: Axes, groups: Sequence[tuple[str, float]]) -> None:
    shown = list(groups[:_BARS_MAX])
    if len(groups) > _BARS_MAX:
        shown.append((_OTHER, sum(usd for _, usd in groups[_BARS_MAX:])))
    places = range(len(shown))
    axes.barh(places, [usd for _, usd in shown])
    axes.set_yticks(places, [label for label, _ in shown])
    axes.invert_yaxis()
    axes.set_xlabel("USD")


def _stacks(axes: Axes, rows: Sequence[Row], unit: str, words: Sequence[str]) -> None:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    by_time: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for row in rows:
        label = _label(row, words)
        sums[label] += row["actual_usd"]
        by_time[row["key"][unit]][label] += row["actual_usd"]
    kept = sorted(sums, key=lambda label: (-sums[label], label))[:_SERIES_MAX]
    times = sorted(by_time)
    _columns(axes, times)
    below = [0.0] * len(times)
    for label in [*kept, *([_OTHER] if len(sums) > len(kept) else [])]:
        heights = [
            float(
                by_time[at].get(label, Decimal(0))
                if label != _OTHER
                else sum((usd for name, usd in by_time[at].items() if name not in kept), Decimal(0))
            )
            for at in times
        ]
        axes.bar(range(len(times)), heights, bottom=below, label=label)
        below = [start + height for start, height in zip(below, heights, strict=True)]
    axes.set_ylabel("USD")
    if words:
        axes.legend(fontsize=7)


def _columns(axes: Axes, names: Sequence[str]) -> None:
    every = max(1, -(-len(names) // _LABELS_MAX))
    places = range(0, len(names), every)
    axes.set_xticks(places, [names[place] for place in places], rotation=45, ha="right")


def _label(row: Row, words: Sequence[str]) -> str:
    names = [row["key"][word] for word in words]
    text = " · ".join("(none)" if name is None else name for name in names) or "total"
    shown = "".join(each if each.isprintable() else "?" for each in text)
    return shown if len(shown) <= _CHARS_MAX else shown[: _CHARS_MAX - 1] + "…"
