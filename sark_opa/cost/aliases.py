"""What gateways and operators call the providers of the price list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ALIASES: Final[Mapping[str, str]] = {
    "azure-openai": "azure",
    "azure_openai": "azure",
    "bedrock": "aws",
    "amazon-bedrock": "aws",
    "gemini": "google",
    "google-gemini": "google",
    "google-vertex": "google",
    "vertex": "google",
    "vertex-ai": "google",
    "vertex_ai": "google",
    "claude": "anthropic",
    "xai": "x-ai",
    "together-ai": "together",
    "together_ai": "together",
}
"""What gateways call a provider, to its id in the price list."""


def provider_id(name: str) -> str:
    """The id in the price list behind a name, or the name itself, in lower case."""
    lowered = name.strip().lower()
    return ALIASES.get(lowered, lowered)
