"""What one plugin needs of another: a name and the versions that will do, such as `business_hours>=1.0,<2`."""

from __future__ import annotations

import re
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

TEXT_CHARS_MAX: Final = 256
NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def parse(text: str) -> Requirement:
    """The requirement a text states.

    Raises:
        ValueError: it states none, or more than a name and versions.
    """
    if len(text) > TEXT_CHARS_MAX:
        raise ValueError(f"a requirement of more than {TEXT_CHARS_MAX} characters")
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise ValueError(f"{text!r} is no requirement such as business_hours>=1.0,<2") from error
    if requirement.extras or requirement.url or requirement.marker:
        raise ValueError(f"{text!r} says more than a name and versions")
    if not NAME.fullmatch(requirement.name):
        raise ValueError(f"{requirement.name!r} is no plugin's name, which is [a-z][a-z0-9_-]*")
    if any(each.operator == "===" for each in requirement.specifier):
        raise ValueError(f"{text!r} compares texts; versions compare with ==")
    return requirement
