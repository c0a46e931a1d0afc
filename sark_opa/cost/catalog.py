"""What a model is beside its price: output cap, context window, tokenizer, image formula.

Read from `data/models.yaml`, a small dated file with its sources. A model it does not know has no caps and no exact
tokenizer; its tokens are guessed for the expected figure and bounded by bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fnmatch import translate
from functools import cache, lru_cache
from importlib.resources import files
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sark_opa import exact_yaml

EncodingName = Literal["o200k_base", "cl100k_base"]
PPM: Final = 1_000_000
RATIO_UNKNOWN: Final = Decimal("1.25")
"""Tokens for one o200k_base token where nothing is known about a model: most vocabularies in use are smaller."""

_REGION = re.compile(r"^(?:us|eu|apac|ap|jp|au|ca|global|regional|us-gov)\.")
_VENDOR = re.compile(
    r"^(?:anthropic|amazon|meta|openai|mistral|cohere|deepseek|qwen|google|ai21|writer|moonshotai|zai|nvidia)\."
)


def bare_name(model: str) -> str:
    """The model's own name: without path, region, vendor and fine-tuning marks, in lower case."""
    name = model.lower().rsplit("/", 1)[-1].removeprefix("ft:")
    return _VENDOR.sub("", _REGION.sub("", name))


@dataclass(frozen=True, slots=True)
class ImageFormula:
    """How many tokens an image is; the figures' meaning depends on `kind` (see `images.py`)."""

    kind: Literal["tile", "patch", "claude", "gemini"]
    base: int = 0
    tile: int = 0
    multiplier_ppm: int = PPM
    cap: int = 0


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known about a model.

    Attributes:
        max_output_tokens: published cap of one answer.
        context_window: tokens one request can have in all.
        encoding: vocabulary to count with; the model's own where `exact`.
        ratio_ppm: tokens of the model for a million tokens of `encoding`.
        exact: whether counting by `encoding` is counting as the provider does.
        framed: whether messages have the frames OpenAI publishes; others have chat templates of their own.
        template: tokens the model's chat template puts before the first message.
        reasoning: thinks before answering.
        image: formula for images, None where unknown.
        geo_us_ppm: price multiplier for inference pinned to the US, parts per million.
    """

    max_output_tokens: int | None = None
    context_window: int | None = None
    encoding: EncodingName = "o200k_base"
    ratio_ppm: int = int(RATIO_UNKNOWN * PPM)
    exact: bool = False
    framed: bool = False
    template: int = 0
    reasoning: bool = False
    image: ImageFormula | None = None
    geo_us_ppm: int = PPM


_Tokens = Annotated[int, Field(ge=1, le=10**8)]
_Factor = Annotated[Decimal, BeforeValidator(Decimal), Field(gt=0, le=10)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Family(_Strict):
    match: tuple[str, ...]
    source: str
    max_output_tokens: _Tokens | None = None
    context_window: _Tokens | None = None
    encoding: EncodingName | None = None
    ratio: _Factor = Decimal(1)
    template: _Tokens | None = None
    reasoning: bool = False
    image: ImageFormula | None = None
    geo_us: _Factor = Decimal(1)

    def facts(self) -> ModelFacts:
        return ModelFacts(
            max_output_tokens=self.max_output_tokens,
            context_window=self.context_window,
            encoding=self.encoding or "o200k_base",
            ratio_ppm=int(self.ratio * PPM),
            exact=self.encoding is not None,
            framed=self.encoding is not None and self.template is None,
            template=self.template or 0,
            reasoning=self.reasoning,
            image=self.image,
            geo_us_ppm=int(self.geo_us * PPM),
        )


class _File(_Strict):
    checked: date
    sources: Mapping[str, str]
    families: tuple[_Family, ...]


class Catalog:
    """The families of `data/models.yaml`, looked up by model name."""

    def __init__(self, text: str) -> None:
        data = _File.model_validate(exact_yaml.read(text, "models.yaml").value)
        self.checked = data.checked
        self.sources = dict(data.sources)
        self.families = data.families
        self._patterns = tuple(
            (re.compile("|".join(translate(pattern) for pattern in family.match)), family.facts())
            for family in data.families
        )
        self.facts = lru_cache(maxsize=4096)(self._find)
        """Facts of a model by any of its names; remembers the last 4096."""

    def _find(self, model: str) -> ModelFacts:
        name = bare_name(model)
        return next((facts for pattern, facts in self._patterns if pattern.match(name)), ModelFacts())


@cache
def bundled_catalog() -> Catalog:
    """The catalog that ships with sark-opa."""
    return Catalog(files("sark_opa.cost").joinpath("data", "models.yaml").read_text(encoding="utf-8"))
