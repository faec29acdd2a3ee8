"""Define edge-pipeline bench, which measures one sealed file or compares two."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import edge_pipeline
from edge_pipeline.cli import display

if TYPE_CHECKING:
    from edge_pipeline.evaluation.benchmark import BenchComparison
    from edge_pipeline.evaluation.isolated_benchmark import BenchResult

__all__ = ["bench_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline bench dist/penguins.onnx
  edge-pipeline bench dist/penguins.onnx --data rows.csv --json
  edge-pipeline bench old.onnx new.onnx
"""


@click.command("bench", short_help="Measure the speed and size of sealed files.", epilog=EXAMPLES)
@click.argument("first", metavar="FILE", type=click.Path(path_type=Path))
@click.argument("second", metavar="[OTHER]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--data",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV or Parquet file with rows to predict.  [default: the golden rows]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def bench_command(first: Path, second: Path | None, table: Path | None, as_json: bool) -> None:
    """Measure size, latency and memory of FILE in a process that loads only the runtime.

    With OTHER, both are timed in turns, and the ratio is OTHER divided by FILE.  The speed is that
    of this machine; on a device, run edge-runtime bench.
    """
    if second is None:
        result = edge_pipeline.bench(first, table)
        if as_json:
            display.show_json(result.to_json())
        else:
            display.show_lines(_lines(result))
        return
    comparison = edge_pipeline.bench_pair(first, second, table)
    if as_json:
        display.show_json(comparison.to_json())
        return
    display.show_table(("", first.name, second.name, "ratio"), _comparison_rows(comparison))


def _comparison_rows(comparison: BenchComparison) -> list[tuple[str, str, str, str]]:
    a, b = comparison.first, comparison.second
    figures: list[tuple[str, float, float, str]] = [
        ("bytes", a.model_bytes, b.model_bytes, "{:,.0f}"),
        ("load, ms", a.load_ms, b.load_ms, "{:,.1f}"),
        ("peak memory, MiB", a.peak_memory_mb, b.peak_memory_mb, "{:,.1f}"),
    ]
    rows = [(name, form.format(x), form.format(y), f"{y / x:.2f}") for name, x, y, form in figures]
    for size, ratio in comparison.ratios.items():
        x, y = (result.batches[size]["p50"] for result in (a, b))
        spread = f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
        rows.append((f"{_call_name(size)}, us", f"{x:,.1f}", f"{y:,.1f}", spread))
    return rows


def _call_name(size: int) -> str:
    return "predict_one" if not size else f"{size:,} row{'s' * (size != 1)}"


def _lines(result: BenchResult) -> list[tuple[str, str]]:
    return [
        ("size", f"{result.model_bytes:,} bytes"),
        ("load", f"{result.load_ms:.1f} ms"),
        (
            "peak memory",
            f"{result.peak_memory_mb:.1f} MiB, {result.empty_memory_mb:.1f} without a model",
        ),
        *(
            (_call_name(size), f"{_us(times, 'p50')}, 99 % of the calls within {_us(times, 'p99')}")
            for size, times in result.batches.items()
        ),
    ]


def _us(times: Any, quantile: str) -> str:
    return f"{times[quantile]:,.1f} us"
