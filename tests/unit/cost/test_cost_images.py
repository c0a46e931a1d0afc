"""Image formulas against the providers' own examples, and sizes read from headers."""

from __future__ import annotations

import base64
import struct

import pytest
from fixtures.cost import png, png_url

from sark_opa.cost.catalog import ImageFormula, bundled_catalog
from sark_opa.cost.images import Size, image_tokens, size_of_base64, size_of_data_url


def formula(model: str) -> ImageFormula:
    """The model's formula, which it must have."""
    found = bundled_catalog().facts(model).image
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        # OpenAI's guide: 1024 x 1024 is 4 tiles, 2048 x 4096 is 6, low is the base.
        ("gpt-4o", (1024, 1024), "high", 765),
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4o", (4096, 8192), "low", 85),
        ("gpt-4o-mini", (1024, 1024), "high", 2833 + 4 * 5667),
        ("gpt-5", (1024, 1024), "auto", 70 + 4 * 140),
        ("o1", (1024, 1024), "high", 75 + 4 * 150),
        # 1024 x 1024 is 32 x 32 patches.
        ("gpt-4.1-mini", (1024, 1024), "high", 1659),  # 1,024 x 1.62 = 1,658.88
        ("gpt-4.1-nano", (1024, 1024), "high", 2520),  # 1,024 x 2.46 = 2,519.04
        ("o4-mini", (1024, 1024), "high", 1762),  # 1,024 x 1.72 = 1,761.28
        ("gpt-4.1-mini", (1800, 2400), "high", 2489),  # 4,275 patches, capped: 1,536 x 1.62 = 2,488.32
        # Claude: 28-pixel patches; 1000 x 1000 is 36 x 36.
        ("claude-sonnet-4-5", (1000, 1000), "auto", 1296),
        ("claude-sonnet-4-5", (4000, 3000), "auto", 1600),
        ("claude-opus-4-7", (4000, 3000), "auto", 4784),
        # Gemini 2: 258 for a small image and for each 768-pixel tile.
        ("gemini-2.5-flash", (384, 384), "auto", 258),
        ("gemini-2.5-flash", (1536, 768), "auto", 516),
    ],
)
def test_published_formulas(model: str, size: tuple[int, int], detail: str, tokens: int) -> None:
    """The expected figure is the provider's own; the bound never lies below it."""
    counted = image_tokens(formula(model), Size(*size), detail)
    assert counted is not None
    assert counted.expected == tokens <= counted.upper


@pytest.mark.parametrize(
    ("model", "upper"),
    [
        ("gpt-4o", 85 + 8 * 170),
        ("gpt-4o-mini", 2833 + 8 * 5667),
        ("gpt-4.1-mini", 2489),
        ("gpt-5.4", 12_000),
        ("claude-sonnet-4-5", 1600),
        ("claude-opus-4-7", 4784),
        ("gemini-3-pro-preview", 2240),
    ],
)
def test_an_image_out_of_sight_is_bounded_by_the_cap(model: str, upper: int) -> None:
    """A URL tells no size: the dearest it can be."""
    counted = image_tokens(formula(model), None)
    assert counted is not None
    assert counted.expected <= counted.upper == upper


def test_gemini_2_has_no_cap_for_an_image_out_of_sight() -> None:
    """Tiles are without limit, so nothing but the context window bounds it."""
    assert image_tokens(formula("gemini-2.5-flash"), None) is None


def test_no_tile_image_exceeds_the_cap() -> None:
    """Eight tiles are the most any shape comes to."""
    sizes = [
        Size(w, h)
        for w in (1, 17, 512, 513, 767, 768, 769, 2047, 2048, 5000, 90_000)
        for h in (1, 700, 768, 2048, 9000)
    ]
    most = max(counted.upper for size in sizes if (counted := image_tokens(formula("gpt-4o"), size, "high")))
    assert most <= 85 + 8 * 170


def gif(screen_width: int, screen_height: int, width: int, height: int) -> bytes:
    """The start of a GIF: a screen with four colours, a comment, and the frame of its first picture."""
    screen = b"GIF89a" + struct.pack("<HHBBB", screen_width, screen_height, 0x81, 0, 0) + b"\0" * 12
    return screen + b"\x21\xfe\x02hi\0" + b"\x2c" + struct.pack("<HHHH", 0, 0, width, height) + b"\0"


def test_a_gif_is_as_large_as_its_picture() -> None:
    """A screen of one pixel around a large picture does not make it small; without a picture nothing is known."""
    whole = gif(1, 1, 2000, 1000)
    assert size_of_base64(base64.b64encode(whole).decode()) == (2000, 1000)
    assert size_of_base64(base64.b64encode(whole[:30]).decode()) is None


def test_sizes_are_read_from_headers() -> None:
    """PNG, GIF, JPEG behind an EXIF block, and the three kinds of WebP."""
    exif = b"\xff\xe1" + struct.pack(">H", 2 + 300) + b"\0" * 300
    frame = b"\xff\xc2" + struct.pack(">HBHH", 11, 8, 480, 640) + b"\x01\x01\x11\0"
    extended = b"RIFF\0\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0" + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")
    lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + (639 | 479 << 14).to_bytes(4, "little")
    lossy = b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 4 + b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480)
    images = {
        "gif": gif(640, 480, 640, 480),
        "jpeg": b"\xff\xd8" + exif + b"\xff" + frame,
        "webp extended": extended,
        "webp lossless": lossless,
        "webp lossy": lossy,
    }
    found = {kind: size_of_base64(base64.b64encode(data).decode()) for kind, data in images.items()}
    assert found == dict.fromkeys(images, Size(640, 480))
    assert size_of_base64(png(640, 480)) == Size(640, 480)


@pytest.mark.parametrize(
    "data", ["", "not base64 at all!", "AAAA", png(0, 5), png(200_000, 5), base64.b64encode(b"\xff\xd8\xff").decode()]
)
def test_what_is_no_image_has_no_size(data: str) -> None:
    """Nonsense, absurd sizes and broken headers are unknown, not small."""
    assert size_of_base64(data) is None


def test_data_urls() -> None:
    """Only a base64 data URL carries its image."""
    assert size_of_data_url(png_url(10, 20)) == Size(10, 20)
    assert [size_of_data_url(url) for url in ("https://example.com/a.png", "data:image/png,abc", "")] == [None] * 3
