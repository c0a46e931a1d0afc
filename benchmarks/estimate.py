"""What an estimate costs in time: `python benchmarks/estimate.py`.

One chat body of 1, 10 and 100 KB is estimated again and again on one core, beside what it is made of (tokenizing the
same text with splintr) and beside pricing alone with `genai_prices.calc_price`, which counts nothing. The text is
ordinary prose, or the MT-bench prompts with `--text FILE` (JSON lines with `turns`); every call of a round gets another
piece of it, so that no tokenizer cache answers twice.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from genai_prices import Usage, calc_price
from rich.console import Console
from rich.table import Table
from splintr import Tokenizer

from sark_opa.cost import Call, Costing

PROSE = (
    "The harbour master wrote down each arrival: name, flag, tonnage, and what the captain said of the weather. "
    "In 1904 there were 2,317 entries; by the summer of 1911 the ledger had grown to four volumes, and nobody read it. "
    "Wer heute darin blättert, findet Tee aus Ceylon, Maschinen aus Leeds und, immer wieder, Kisten ohne Angabe. "
    "def tonnage(ships): return sum(ship.tons for ship in ships if ship.flag is not None)\n"
)
SIZES_KB = (1, 10, 100)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, help="JSON lines with a list of strings under `turns`")
    parser.add_argument("--rounds", type=int, default=400, help="calls measured at 1 KB; fewer at larger sizes")
    arguments = parser.parse_args()
    corpus = _corpus(arguments.text)
    costing = Costing()
    started = time.perf_counter()
    costing.warm_up()
    warm_up_ms = (time.perf_counter() - started) * 1e3
    tokenizer = Tokenizer.from_pretrained("o200k_base")

    table = Table(
        title=f"estimate of one gpt-4o chat, median of calls, {platform.machine()}, {platform.python_version()}"
    )
    for column in ("prompt", "tokens", "estimate µs", "splintr alone µs", "ratio", "calc_price µs", "ratio", "p99 µs"):
        table.add_column(column, justify="right")
    for size_kb in SIZES_KB:
        rounds = max(arguments.rounds // size_kb, 30)
        table.add_row(*_row(costing, tokenizer, corpus, size_kb, rounds))
    console = Console(width=120)
    console.print(table)
    console.print(f"warm-up, once a process: {warm_up_ms:.0f} ms; prices {costing.revision}")
    console.print(
        "calc_price prices a given token count; the estimate also counts, and bounds the cost over every tier."
    )


def _corpus(path: Path | None) -> str:
    if path is None:
        return PROSE
    return "\n".join(turn for line in path.open() for turn in json.loads(line)["turns"])


def _row(costing: Costing, tokenizer: object, corpus: str, size_kb: int, rounds: int) -> Sequence[str]:
    texts = [_piece(corpus, size_kb * 1024, index) for index in range(2 * rounds)]
    now = datetime.now(UTC)
    tokens = costing.estimate_now(_call(texts[0]), now).tokens.input or 0
    loop = asyncio.new_event_loop()
    estimates = _times(lambda text: loop.run_until_complete(_estimated(costing, text, now)), texts[:rounds])
    loop.close()
    encodes = _times(tokenizer.encode_ordinary, texts[rounds:])  # type: ignore[attr-defined]  # typed as AnyTokenizer
    usage = Usage(input_tokens=tokens, output_tokens=100)
    prices = _times(lambda _: calc_price(usage, model_ref="gpt-4o", provider_id="openai"), texts[:rounds])
    estimate, encode, price = (statistics.median(values) for values in (estimates, encodes, prices))
    return (
        f"{size_kb} KB",
        f"{tokens:,}",
        f"{estimate:.1f}",
        f"{encode:.1f}",
        f"{estimate / encode:.2f}",
        f"{price:.1f}",
        f"{estimate / price:.2f}",
        f"{statistics.quantiles(estimates, n=100)[98]:.0f}",
    )


async def _estimated(costing: Costing, text: str, now: datetime) -> float:
    """Microseconds of one estimate, without the cost of entering the loop."""
    call = _call(text)
    started = time.perf_counter_ns()
    await costing.estimate(call, now)
    return (time.perf_counter_ns() - started) / 1e3


def _times(work: Callable[[str], object], texts: Sequence[str]) -> list[float]:
    """Microseconds of each call; work that measures itself returns its own figure."""
    times: list[float] = []
    for text in texts:
        started = time.perf_counter_ns()
        measured = work(text)
        elapsed = (time.perf_counter_ns() - started) / 1e3
        times.append(measured if isinstance(measured, float) else elapsed)
    return times


def _piece(corpus: str, chars: int, index: int) -> str:
    """`chars` characters of the corpus, beginning elsewhere for every index."""
    offset = index * 7919 % len(corpus)
    repeated = corpus * (chars // len(corpus) + 2)
    return f"{index} " + repeated[offset : offset + chars]


def _call(text: str) -> Call:
    body = {
        "model": "gpt-4o",
        "max_tokens": 400,
        "messages": [{"role": "system", "content": "You answer briefly."}, {"role": "user", "content": text}],
    }
    return Call("openai", "llm", "chat.completions", body)


if __name__ == "__main__":
    main()
