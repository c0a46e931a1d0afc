"""Plots: the same report gives the same file, and names stay names."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sark_opa.cli import cost_plot
from sark_opa.errors import ConfigurationError, InvalidInputError

PERIOD = {"from": "2026-11-01", "to": "2026-12-01", "timezone": "UTC"}


def summary_of(group_by, rows):
    """A summary with these keys and costs."""
    made = [{"key": dict(zip(group_by, key, strict=True)), "actual_usd": Decimal(usd)} for key, usd in rows]
    return {"group_by": group_by, "rows": made, "period": PERIOD}


@pytest.mark.parametrize(
    ("group_by", "rows", "shown"),
    [
        (["team"], [(["ml"], 3), ([None], 1)], ["ml", "(none)"]),
        ([], [([], 3)], ["total"]),
        ([], [], ["Cost"]),
        (["day", "team"], [(["2026-11-01", "ml"], 3), (["2026-11-02", "web"], 1)], ["2026-11-01", "ml", "web"]),
        (["model"], [([f"m{n}"], 99 - n) for n in range(40)], ["m0", "m24", "(other)"]),
        (["month", "model"], [(["2026-11", f"m{n}"], 99 - n) for n in range(40)], ["m0", "m7", "(other)"]),
        (["principal"], [(["$x^2$ <b>&\x1b[31m"], 1)], ["$x^2$ &lt;b&gt;&amp;?[31m"]),
    ],
)
def test_a_summary_is_drawn_the_same_each_time(tmp_path, group_by, rows, shown):
    """Names are texts of the SVG, never formulas; what is too much is one bar."""
    one, other = tmp_path / "one.svg", tmp_path / "other.svg"
    for path in (one, other):
        cost_plot.summary(summary_of(group_by, rows), path)
    assert one.read_bytes() == other.read_bytes()
    text = one.read_text()
    assert [word for word in shown if f">{word}<" not in text and word != "Cost"] == []
    assert "2026-11-01 to 2026-12-01, UTC" in text


def test_trends_and_errors_are_drawn(tmp_path):
    """As PNG, too."""
    points = [{"start": f"2026-11-{day:02}", "actual_usd": Decimal(day), "complete": day < 25} for day in range(1, 26)]
    cost_plot.trend({"by": "day", "points": points, "period": PERIOD}, tmp_path / "trend.png")
    steps = [{"from_ratio": Decimal("-0.05"), "charges": 3}, {"from_ratio": Decimal(2), "charges": 1}]
    cost_plot.accuracy({"histogram": steps, "period": PERIOD}, tmp_path / "errors.svg")
    assert (tmp_path / "trend.png").read_bytes().startswith(b"\x89PNG")
    assert "Actual cost against its estimate" in (tmp_path / "errors.svg").read_text()


def test_what_cannot_be_drawn(tmp_path):
    """Another kind of file, or a place that is none."""
    with pytest.raises(InvalidInputError, match="neither"):
        cost_plot.check(tmp_path / "x.pdf")
    with pytest.raises(ConfigurationError, match="No such file"):
        cost_plot.summary(summary_of([], []), tmp_path / "none" / "x.svg")
