"""A new plugin that works: four small files to change into one's own."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Final

from sark_opa.errors import PluginError
from sark_opa.sandbox.packages.requirement import NAME

_PLUGIN: Final = Template('''\
"""Allows calls of certain resources."""

from collections.abc import Sequence

from sark_opa.plugin import PolicyContext, PolicyDecision, PolicyPlugin


class $kind(PolicyPlugin):
    """Denies every resource that is not among `resources`."""

    name = "$name"
    version = "0.1.0"

    def __init__(self, resources: Sequence[str]) -> None:
        if not resources:
            raise ValueError("resources is empty; name at least one")
        self.resources = frozenset(resources)

    async def evaluate(self, context: PolicyContext) -> PolicyDecision:
        """Look the resource up."""
        if context.resource_id in self.resources:
            return PolicyDecision(allowed=True, reason=f"{context.resource_id} is allowed")
        return PolicyDecision(
            allowed=False,
            reason=f"{context.resource_id} is not allowed; ask for one of {', '.join(sorted(self.resources))}",
            metadata={"resources": sorted(self.resources)},
        )
''')

_MANIFEST: Final = Template("""\
name: $name
version: 0.1.0
description: Allows calls of certain resources.
priority: 100
on_error: deny
timeout_ms: 1000
config:
  resources: [openai]
config_schema:
  type: object
  properties:
    resources:
      type: array
      items: {type: string}
      minItems: 1
  additionalProperties: false
""")

_CASES: Final = """\
cases:
  - name: a resource of the list is allowed
    steps:
      - {resource_id: openai, expect: {allowed: true}}

  - name: any other is denied, with what to do
    steps:
      - resource_id: wiki
        expect: {allowed: false, reason: ask for one of openai, metadata: {resources: [openai]}}

  - name: the operator may give another list
    config: {resources: [wiki, search]}
    steps:
      - {resource_id: wiki, expect: {allowed: true}}
      - {resource_id: openai, expect: {allowed: false}}
"""

_README: Final = Template("""\
# $name

Allows calls of certain resources.

| config | default | |
| --- | --- | --- |
| `resources` | `[openai]` | ids of the resources that may be called |

```bash
sark-opa plugin check .
sark-opa plugin test .
sark-opa up --plugins .
```
""")


def new(name: str, folder: Path) -> Path:
    """Write a plugin's files into `folder/name`, which must not exist.

    Returns:
        The new folder.

    Raises:
        PluginError: the name is no plugin's, or the folder exists or cannot be written.
    """
    if not NAME.fullmatch(name):
        raise PluginError(f"{name!r} is no plugin's name, which is [a-z][a-z0-9_-]*, up to 64 characters", field="name")
    place = folder / name
    kind = "".join(part.capitalize() for part in name.replace("-", "_").split("_") if part)
    words = {"name": name, "kind": f"{kind}Plugin"}
    files = {
        "plugin.py": _PLUGIN.substitute(words),
        "plugin.yaml": _MANIFEST.substitute(words),
        "cases.yaml": _CASES,
        "README.md": _README.substitute(words),
    }
    try:
        place.mkdir(parents=True)
        for file, text in files.items():
            (place / file).write_text(text, encoding="utf-8")
    except FileExistsError as error:
        raise PluginError(f"{place} exists; choose another name or --folder", path=str(place)) from error
    except OSError as error:
        raise PluginError(f"{place} cannot be written: {error.strerror}", path=str(place)) from error
    return place
