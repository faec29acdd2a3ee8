"""edge-pipeline bench: how large, fast and hungry a sealed file is, alone or beside another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import edge_pipeline
from edge_pipeline.cli import display

if TYPE_CHECKING:
    from edge_pipeline.evaluation.isolated_benchmark import BenchResult

__all__ = ["bench_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline bench dist/penguins.onnx
  edge-pipeline bench dist/penguins.onnx --data rows.csv --json
  edge-pipeline bench old.onnx new.onnx
"""


@click.command("bench", short_help="Measure a sealed file, or two in turns.", epilog=EXAMPLES)
@click.argument("first", metavar="FILE", type=click.Path(path_type=Path))
@click.argument("second", metavar="[OTHER]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--data",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV or Parquet file with rows to ask.  [default: the golden rows]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def bench_command(first: Path, second: Path | None, table: Path | None, as_json: bool) -> None:
    """Measure size, latency and memory of FILE in a process that holds the runtime alone.

    With OTHER both are timed in turns, and the ratio is that of OTHER to FILE.  Speed is that of
    this machine; on a device, run edge-runtime bench.
    """
    if second is None:
        measured = edge_pipeline.bench(first, table)
        if as_json:
            display.show_json(measured.to_json())
        else:
            display.show_lines(_lines(measured))
        return
    versus = edge_pipeline.bench_pair(first, second, table)
    if as_json:
        display.show_json(versus.to_json())
        return
    rows: list[tuple[str, str, str, str]] = []
    pairs: list[tuple[str, float, float, str]] = [
        ("bytes", versus.first.model_bytes, versus.second.model_bytes, "{:,.0f}"),
        ("load, ms", versus.first.load_ms, versus.second.load_ms, "{:,.1f}"),
        ("peak memory, MiB", versus.first.peak_memory_mb, versus.second.peak_memory_mb, "{:,.1f}"),
    ]
    rows += [(n, form.format(a), form.format(b), f"{b / a:.2f}") for n, a, b, form in pairs]
    for size, ratio in versus.ratios.items():
        a, b = (m.batches[size]["p50"] for m in (versus.first, versus.second))
        spread = f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
        rows.append((f"{_what(size)}, us", f"{a:,.1f}", f"{b:,.1f}", spread))
    display.show_table(("", first.name, second.name, "ratio"), rows)


def _what(size: int) -> str:
    return "predict_one" if not size else f"{size:,} row{'s' * (size != 1)}"


def _lines(measured: BenchResult) -> list[tuple[str, str]]:
    return [
        ("size", f"{measured.model_bytes:,} bytes"),
        ("load", f"{measured.load_ms:.1f} ms"),
        (
            "peak memory",
            f"{measured.peak_memory_mb:.1f} MiB, {measured.empty_memory_mb:.1f} without a model",
        ),
        *(
            (_what(size), f"{_us(found, 'p50')}, 99 % of the calls within {_us(found, 'p99')}")
            for size, found in measured.batches.items()
        ),
    ]


def _us(found: Any, quantile: str) -> str:
    return f"{found[quantile]:,.1f} us"
