"""Endpoints that take an input and do not chat: embeddings, speech, images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sark_opa.cost import body
from sark_opa.cost.demand import Demand
from sark_opa.cost.errors import ArgumentsInvalidError
from sark_opa.cost.providers.openai import choices_of, count_inputs

_SPEECH_UPPER: Final = 64


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
        if not demand.meter.chars and not demand.input_fixed:
            raise ArgumentsInvalidError("arguments.input", "must not be empty")
        if not demand.facts.framed:
            demand.fixed(0, 8 * inputs)


def read_speech(arguments: Mapping[str, Any], demand: Demand) -> None:
    """Speech from text: some models bill characters, others the tokens of the spoken answer, which has no limit.

    Raises:
        ArgumentsInvalidError: the body is not one the API takes.
    """
    spoken = body.text(arguments.get("input"), "arguments.input")
    demand.meter.add(spoken)
    demand.meter.add(body.word(arguments, "instructions", "arguments") or "")
    demand.fixed(0, _SPEECH_UPPER)
    demand.fee("input_characters", len(spoken))
    demand.modalities_out = frozenset({"audio"})


def read_transcription(arguments: Mapping[str, Any], demand: Demand) -> None:
    """Text from speech: how much is said is inside the recording.

    Raises:
        ArgumentsInvalidError: the body is not one the API takes.
    """
    demand.meter.add(body.word(arguments, "prompt", "arguments") or "")
    demand.opaque("audio", "audio")


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
