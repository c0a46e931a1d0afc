"""Endpoints that take an input and do not chat: embeddings, speech, images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sark_opa.cost import body
from sark_opa.cost.demand import Demand
from sark_opa.cost.providers.openai import choices_of, count_inputs


def read_embeddings(arguments: Mapping[str, Any], demand: Demand) -> None:
    """Embeddings: what goes in is all that is billed.

    Raises:
        ArgumentsInvalidError: the body is not one the API takes.
    """
    value = arguments.get("input")
    demand.visible = value is not None
    demand.generates = False
    if value is not None:
        inputs = count_inputs(value, "arguments.input", demand)
        if not demand.facts.exact:
            demand.fixed(0, 8 * inputs)


def read_speech(arguments: Mapping[str, Any], demand: Demand) -> None:
    """Speech from text: some models bill characters, others the tokens of the spoken answer, which has no limit.

    Raises:
        ArgumentsInvalidError: the body is not one the API takes.
    """
    spoken = body.text(arguments.get("input"), "arguments.input")
    demand.meter.add(spoken)
    demand.fee("input_characters", len(spoken))
    demand.modalities_out = frozenset({"audio"})


def read_image(arguments: Mapping[str, Any], demand: Demand) -> None:
    """Images from text: billed by tokens whose number depends on size and quality and is not limited.

    Raises:
        ArgumentsInvalidError: the body is not one the API takes.
    """
    prompt = body.word(arguments, "prompt", "arguments")
    demand.visible = prompt is not None
    demand.meter.add(prompt or "")
    demand.choices = choices_of(arguments, "n", "arguments")
    demand.modalities_out = frozenset({"text", "image"})
    demand.unbounded("image_output_unbounded")
