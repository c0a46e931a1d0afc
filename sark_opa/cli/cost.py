"""`sark-opa cost …`: what was charged."""

from __future__ import annotations

import typer

from sark_opa.cli import cost_reports, export, imports, rerate

app = typer.Typer(help="What was charged: reports, exports, imports, price it anew.", no_args_is_help=True)
app.command("summary")(cost_reports.summary)
app.command("top")(cost_reports.top)
app.command("trend")(cost_reports.trend)
app.command("accuracy")(cost_reports.accuracy)
app.command("unsettled")(cost_reports.unsettled)
app.command("unpriced")(cost_reports.unpriced)
app.command("rerate")(rerate.rerate)
app.command("reratings")(rerate.reratings)
app.command("export")(export.export)
app.command("publish")(export.publish)
app.command("import")(imports.import_charges)
