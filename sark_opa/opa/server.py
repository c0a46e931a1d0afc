"""How OPA is run as a server on the bundle directory; whoever supervises processes starts the command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_LEFT_OUT = ("*_test.rego", "cases", "schemas")
"""Parts of the bundle directory that are for its authors only."""
_GOGC = "400"
"""How far OPA's heap may grow before Go collects it, in percent; see docs/decisions/0007-opa-collects-less.md."""


def command(
    binary: Path,
    *,
    bundle: Path,
    address: str,
    config: Path | None = None,
    log_level: str = "error",
    log_decisions: bool = False,
) -> list[str]:
    """The command line of `opa run`.

    Args:
        binary: as `find_or_fetch` found it.
        bundle: directory with a `.manifest`.
        address: `host:port`, or `unix:///path`.
        config: an OPA configuration file, such as `opa-config.yaml`.
        log_level: of OPA's own log on standard error.
        log_decisions: also write each decision to OPA's log, masked.
    """
    parts = [str(binary), "run", "--server", f"--addr={address}", "--bundle", str(bundle)]
    parts += [f"--ignore={pattern}" for pattern in _LEFT_OUT]
    parts += [f"--log-level={log_level}", "--log-format=json", "--skip-version-check"]
    if config is not None:
        parts.append(f"--config-file={config}")
    parts.append(f"--set=decision_logs.console={str(log_decisions).lower()}")
    return parts


def environment(
    base: Mapping[str, str],
    *,
    service_url: str | None = None,
    service_socket: Path | None = None,
    token: str | None = None,
) -> dict[str, str]:
    """OPA's environment on top of `base`: what the bundle reads from it, and how Go collects its garbage.

    A value of None is left to the bundle's data; a GOGC in `base` stays.
    """
    wanted = {
        "SARK_SERVICE_URL": service_url,
        "SARK_SERVICE_SOCKET": None if service_socket is None else str(service_socket),
        "SARK_FACTS_TOKEN": token,
    }
    return {"GOGC": _GOGC} | dict(base) | {name: value for name, value in wanted.items() if value is not None}
