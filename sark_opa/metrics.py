"""What the service counts, for Prometheus (`GET /metrics`). Labels come from closed sets, never from callers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """One registry per service process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "sark_request_seconds",
            "Time to answer a request.",
            ("route", "status"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._in_flight = Gauge("sark_requests_in_flight", "Requests being answered.", registry=self._registry)
        self._holds = Counter("sark_holds", "Answers to requests for a hold.", ("outcome",), registry=self._registry)
        self._ends = Counter(
            "sark_hold_ends", "Holds that ended: settled, released or expired.", ("how",), registry=self._registry
        )
        self._exceeded = Counter(
            "sark_hold_exceeded", "Settlements above their hold: the upper bound failed.", registry=self._registry
        )
        self._summaries_lag = Gauge(
            "sark_summaries_lag_seconds",
            "Age of the oldest charge that is not in the summaries yet.",
            registry=self._registry,
        )
        self._faults = Counter(
            "sark_facts_errors", "Facts that could not be found out.", ("source", "code"), registry=self._registry
        )
        self._verdicts = Counter(
            "sark_plugin_verdicts", "Verdicts of plugins.", ("plugin", "status", "allowed"), registry=self._registry
        )

        self._exported = Counter(
            "sark_export_files", "Files of charges that were published.", ("kind",), registry=self._registry
        )
        self._exported_at = Gauge(
            "sark_export_success_timestamp_seconds",
            "When a look for charges to publish last went well, Unix time.",
            registry=self._registry,
        )

        self._verdict_labels: set[tuple[str, str, str]] = set()
        self._plugin_states = Gauge(
            "sark_plugin_state", "1 for the state a plugin is in.", ("plugin", "state"), registry=self._registry
        )
        self._plugin_loads = Counter(
            "sark_plugin_loads", "Plugins that were to be loaded.", ("outcome",), registry=self._registry
        )
        self._federation = Gauge(
            "sark_federation_peer",
            "How a peer of the federation stands, by what is counted.",
            ("peer", "what"),
            registry=self._registry,
        )
        self._sandbox_level = Gauge(
            "sark_sandbox_level", "Level of the plugins' sandbox, 4 to 0, by what it prevents.", registry=self._registry
        )
        self._sandbox_layers = Gauge(
            "sark_sandbox_layer", "1 where a layer of the sandbox stands.", ("layer",), registry=self._registry
        )
        self._spool_entries = Gauge("sark_spool_entries", "Entries in the spool.", ("state",), registry=self._registry)
        self._spool_oldest = Gauge(
            "sark_spool_oldest_seconds", "Age of the entry that waits longest.", registry=self._registry
        )
        self._spooled = Counter(
            "sark_spool_spooled", "Settlements and charges kept in the spool.", registry=self._registry
        )
        self._spool_delivered = Counter("sark_spool_delivered", "Entries that were booked.", registry=self._registry)
        self._spool_refused = Counter(
            "sark_spool_refused", "Entries the ledger will not take.", ("code",), registry=self._registry
        )

    def spool(self, waiting: int, refused: int, oldest_s: float) -> None:
        """Note what the spool holds."""
        self._spool_entries.labels("waiting").set(waiting)
        self._spool_entries.labels("refused").set(refused)
        self._spool_oldest.set(oldest_s)

    def spooled(self) -> None:
        """Count a settlement or charge that was kept in the spool."""
        self._spooled.inc()

    def delivered(self, count: int) -> None:
        """Count entries of the spool that were booked."""
        self._spool_delivered.inc(count)

    def spool_refused(self, code: str) -> None:
        """Count an entry of the spool that the ledger will not take."""
        self._spool_refused.labels(code).inc()

    def federation(self, peers: Mapping[str, Mapping[str, int]]) -> None:
        """Note how each peer of the federation stands: peer to figures."""
        for peer, figures in peers.items():
            for what, count in figures.items():
                self._federation.labels(peer, what).set(count)

    def sandbox(self, report: Mapping[str, Any]) -> None:
        """Note what `PluginHost.sandbox` tells."""
        self._sandbox_level.set(report["level"])
        for name, layer in report["layers"].items():
            self._sandbox_layers.labels(name).set(layer["active"])

    def request(self, route: str, status: int, elapsed_s: float) -> None:
        """Count an answered request."""
        self._requests.labels(route, str(status)).observe(elapsed_s)

    def in_flight(self, change: int) -> None:
        """One request more or less being answered."""
        self._in_flight.inc(change)

    def hold(self, outcome: str) -> None:
        """Count the ledger's answer to a request for a hold."""
        self._holds.labels(outcome).inc()

    def ended(self, how: str, count: int = 1) -> None:
        """Count holds that ended."""
        self._ends.labels(how).inc(count)

    def exceeded(self) -> None:
        """Count a settlement above its hold."""
        self._exceeded.inc()

    def summaries_lag(self, age_s: float) -> None:
        """Note how far the summaries are behind."""
        self._summaries_lag.set(age_s)

    def fault(self, source: str, code: str) -> None:
        """Count a fact that could not be found out."""
        self._faults.labels(source, code).inc()

    def verdict(self, plugin: str, status: str, *, allowed: bool) -> None:
        """Count a plugin's verdict."""
        labels = (plugin, status, str(allowed).lower())
        self._verdict_labels.add(labels)
        self._verdicts.labels(*labels).inc()

    def plugin_load(self, outcome: Literal["loaded", "refused", "failed"]) -> None:
        """Count a plugin that was to be loaded: it was, it was no good, or nothing could be loaded."""
        self._plugin_loads.labels(outcome).inc()

    def plugins(self, states: Mapping[str, str]) -> None:
        """Note the state of every plugin by its name, and forget those that are no more."""
        self._plugin_states.clear()
        for name, state in states.items():
            self._plugin_states.labels(name, state).set(1)
        for labels in [labels for labels in self._verdict_labels if labels[0] not in states]:
            self._verdict_labels.discard(labels)
            self._verdicts.remove(*labels)

    def exported(self, *, new: int, revised: int) -> None:
        """Note a look for charges to publish that went well, and how many files it published."""
        self._exported.labels("new").inc(new)
        self._exported.labels("revised").inc(revised)
        self._exported_at.set_to_current_time()

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
