"""What an image costs in tokens, by the formulas the providers publish.

Sizes are read from the header of images sent inline; an image behind a URL has none, and is expected to be of
ordinary size and bounded by the formula's cap.

Sources: OpenAI tiles and patches https://platform.openai.com/docs/guides/images-vision#calculating-costs; Claude
28-pixel patches https://platform.claude.com/docs/en/build-with-claude/vision; Gemini 258 a tile
https://ai.google.dev/gemini-api/docs/tokens.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Final, NamedTuple

from sark_opa.cost.catalog import PPM, ImageFormula
from sark_opa.cost.tokens import Counted

_HEADER_BYTES: Final = 96 * 1024
_ORDINARY: Final = (1024, 1024)
_PATCH: Final = 32
_TILE: Final = 512
_CLAUDE_PATCH: Final = 28
_GEMINI_TILE: Final = 258
_GEMINI_SMALL: Final = 384
_GIF_EXTENSION: Final = 0x21
_GIF_PICTURE: Final = 0x2C
_JPEG_MARK: Final = 0xFF
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SIDE_MAX: Final = 100_000
DEAREST_FORMULA: Final = ImageFormula("tile", base=2833, tile=5667)
"""The dearest published one, for OpenAI models whose formula is not known."""


class Size(NamedTuple):
    """Pixels."""

    width: int
    height: int


def size_of_data_url(url: str) -> Size | None:
    """Size of an image in a `data:` URL; None for other URLs and formats unknown here."""
    if url[:5].lower() != "data:":
        return None
    head, _, data = url.partition(",")
    return size_of_base64(data) if head.lower().endswith(";base64") else None


def size_of_base64(data: str) -> Size | None:
    """Size of a base64-encoded PNG, JPEG, GIF or WebP by its header; None where it cannot be read."""
    chars = _HEADER_BYTES * 4 // 3
    try:
        head = base64.b64decode(data[: chars - chars % 4] + "=" * (-min(len(data), chars - chars % 4) % 4))
    except (binascii.Error, ValueError):
        return None
    size = _size(head)
    return size if size and min(size) > 0 and max(size) <= _SIDE_MAX else None


def _size(head: bytes) -> Size | None:
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return Size(*struct.unpack(">II", head[16:24]))
        if head.startswith((b"GIF87a", b"GIF89a")):
            return _gif(head)
        if head.startswith(b"\xff\xd8"):
            return _jpeg(head)
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return _webp(head)
    except (struct.error, IndexError):
        return None
    return None


def _gif(head: bytes) -> Size | None:
    """The screen, or the first picture where it is larger than that: decoders show all of it."""
    screen = struct.unpack("<HH", head[6:10])
    at = 13 + (3 << (head[10] & 7) + 1 if head[10] & 0x80 else 0)
    while head[at] == _GIF_EXTENSION:
        at += 2
        while head[at]:
            at += head[at] + 1
        at += 1
    if head[at] != _GIF_PICTURE:
        return None
    left, top, width, height = struct.unpack("<HHHH", head[at + 1 : at + 9])
    return Size(max(screen[0], left + width), max(screen[1], top + height))


def _jpeg(head: bytes) -> Size | None:
    at = 2
    while at + 9 < len(head) and head[at] == _JPEG_MARK:
        marker = head[at + 1]
        if marker == _JPEG_MARK:  # a fill byte
            at += 1
            continue
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return Size(width, height)
        at += 2 + struct.unpack(">H", head[at + 2 : at + 4])[0]
    return None


def _webp(head: bytes) -> Size | None:
    form = head[12:16]
    if form == b"VP8X":
        return Size(int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1)
    if form == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if form == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return Size(width & 0x3FFF, height & 0x3FFF)
    return None


def image_tokens(formula: ImageFormula | None, size: Size | None, detail: str = "auto") -> Counted | None:
    """Tokens of one image; None where nothing bounds them.

    Args:
        formula: the model's; None takes the dearest published one.
        size: None where the image is not at hand.
        detail: OpenAI's `low`, `high`, `auto` or `original`.
    """
    known = formula or DEAREST_FORMULA
    match known.kind:
        case "tile":
            return _tile(known, size, detail)
        case "patch":
            return _patch(known, size, detail)
        case "claude":
            return _claude(known, size)
        case "gemini":
            return _gemini(known, size)


def _tile(formula: ImageFormula, size: Size | None, detail: str) -> Counted:
    if detail == "low":
        return Counted(formula.base, formula.base)
    expected = _tiles(size or Size(*_ORDINARY), enlarge=False)
    # 8: two rows of four, the longest a 2048-pixel edge beside a 768-pixel one can be. Whether small images are
    # enlarged first is not documented, so the bound takes it that they are.
    upper = _tiles(size, enlarge=True) if size else 8
    return Counted(formula.base + formula.tile * expected, formula.base + formula.tile * max(expected, upper))


def _tiles(size: Size, *, enlarge: bool) -> int:
    width, height = size
    longest, shortest = max(size), min(size)
    # Exact fractions: fit into 2048 x 2048, then bring the shorter side to 768.
    scale = (min(2048, longest), longest)
    if shortest * scale[0] > 768 * scale[1] or enlarge:
        scale = (768, shortest)
        if longest * 768 > 2048 * shortest:
            scale = (2048, longest)
    return -(-width * scale[0] // (scale[1] * _TILE)) * -(-height * scale[0] // (scale[1] * _TILE))


def _patch(formula: ImageFormula, size: Size | None, detail: str) -> Counted:
    def scaled(patches: int) -> int:
        return -(-patches * formula.multiplier_ppm // PPM)

    cap = formula.cap
    if size is None:
        return Counted(scaled(256 if detail == "low" else min(1024, cap)), scaled(cap))
    patches = -(-size.width // _PATCH) * -(-size.height // _PATCH)
    # Above the cap providers were seen to bill the whole cap where the published formula says a little less.
    return Counted(scaled(min(patches, 256) if detail == "low" else min(patches, cap)), scaled(min(patches, cap)))


def _claude(formula: ImageFormula, size: Size | None) -> Counted:
    if size is None:
        return Counted(min(1370, formula.cap), formula.cap)
    patches = -(-size.width // _CLAUDE_PATCH) * -(-size.height // _CLAUDE_PATCH)
    by_area = -(-size.width * size.height // 750)
    return Counted(min(patches, formula.cap), min(max(patches, by_area), formula.cap))


def _gemini(formula: ImageFormula, size: Size | None) -> Counted | None:
    if formula.cap:  # Gemini 3 has a budget per image: 1120 by default, 2240 at ultra high resolution.
        return Counted(1120, formula.cap)
    if size is None:
        return None
    if max(size) <= _GEMINI_SMALL:
        return Counted(_GEMINI_TILE, _GEMINI_TILE)
    unit = min(max(min(size) * 2 // 3, 256), 768)
    tiles = -(-size.width // unit) * -(-size.height // unit)
    plain = -(-size.width // 768) * -(-size.height // 768)
    return Counted(_GEMINI_TILE * plain, _GEMINI_TILE * max(tiles, plain))
