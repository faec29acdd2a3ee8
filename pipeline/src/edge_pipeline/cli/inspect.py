"""edge-pipeline inspect: what a sealed file says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

import edge_pipeline
from edge_pipeline.cli import display

if TYPE_CHECKING:
    from edge_runtime.bundle.layout import Bundle
    from edge_runtime.bundle.schema import Column

__all__ = ["inspect_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline inspect dist/penguins.onnx
  edge-pipeline inspect dist/penguins.onnx --graph
  edge-pipeline inspect dist/penguins.onnx --svg penguins.svg
"""

MAX_IMPORTANT = 5
"""Columns told by their importance; the report has them all."""

MAX_CATEGORIES = 6
"""Categories listed for one column; ``--json`` has them all."""


@click.command("inspect", short_help="Print what a sealed file says of itself.", epilog=EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--graph", is_flag=True, help="Print the graph, one line a node.")
@click.option(
    "--svg",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the graph into this file.",
)
def inspect_command(file: Path, as_json: bool, graph: bool, svg: Path | None) -> None:
    """Check the seal of FILE, and print what it says of itself.

    It is read with the device's own reader; the model is not run.  What the build measured is told
    too, when NAME.report.json is still beside FILE.
    """
    from edge_runtime.bundle.atomic_file import write_whole
    from edge_runtime.bundle.layout import unpack

    if graph or svg is not None:
        drawing = edge_pipeline.draw_graph(file)
        if svg is not None:
            write_whole(drawing.to_svg().encode(), svg)
        if graph:
            click.echo(drawing.to_text())
        else:
            display.show_lines([("drawing", str(svg))])
        return
    raw = file.read_bytes()
    bundle = unpack(raw)
    if as_json:
        display.show_json(
            {
                "path": str(file),
                "bytes": len(raw),
                "graph_bytes": bundle.seal.graph_bytes,
                "manifest_bytes": bundle.seal.manifest_bytes,
                "format": bundle.seal.format,
                "sha256": bundle.seal.sha256,
                "key_id": bundle.seal.key_id if bundle.seal.is_signed else None,
                "manifest": bundle.manifest.to_json(),
            }
        )
        return
    display.show_lines([*_lines(bundle, len(raw)), *_measured(file, bundle.seal.sha256)])


def _lines(bundle: Bundle, size: int) -> list[tuple[str, str]]:
    manifest, seal = bundle.manifest, bundle.seal
    opsets = manifest.requires.opsets.items()
    needs = ", ".join(f"{domain or 'ai.onnx'} {number}" for domain, number in opsets)
    return [
        ("name", f"{manifest.name}, version {manifest.version}"),
        ("task", manifest.task),
        ("estimator", " ".join(manifest.estimator.split())),
        *((f"column {column.name}", _column(column)) for column in manifest.schema.columns),
        *(
            (f"output {output.name}", f"{output.method}, {output.dtype}")
            for output in manifest.outputs
        ),
        *(
            (f"classes {output}", ", ".join(map(str, labels)))
            for output, labels in manifest.classes.items()
        ),
        *display.metric_lines(manifest.metrics),
        *display.evidence_lines(manifest),
        ("golden rows", str(len(manifest.golden.rows))),
        ("needs", f"onnxruntime >= {manifest.requires.onnxruntime}; operators {needs}"),
        ("made by", ", ".join(f"{name} {v}" for name, v in manifest.created_by.items())),
        (
            "size",
            f"{size:,} bytes: graph {seal.graph_bytes:,}, manifest {seal.manifest_bytes:,}",
        ),
        ("format", str(seal.format)),
        ("sha256", seal.sha256),
        (
            "signature",
            f"by key {seal.key_id}; not checked here" if seal.is_signed else "none: unsigned",
        ),
    ]


def _measured(file: Path, sha256: str) -> list[tuple[str, str]]:
    """What the build found out and kept beside the file, if it is about this file."""
    from edge_pipeline.evaluation.report.evaluation import Evaluation, sidecar_of

    sidecar = sidecar_of(file)
    found = Evaluation.read(sidecar) if sidecar.is_file() else None
    if found is None or found.sha256 != sha256:
        return []
    lines = []
    if found.source is not None:
        rows = f"{found.source.rows_train:,} rows, tested on {found.source.rows_test:,}"
        lines.append(("trained on", f"{found.source.name}: {rows}; date {found.date or 'unknown'}"))
    for score in found.scores:
        interval = "" if score.low is None else f", 95 %: {score.low:.4f} to {score.high:.4f}"
        dummy = "" if score.dummy is None else f", dummy {score.dummy:.4f}"
        lines.append((f"test {score.name}", f"{score.value:.4f}{interval}{dummy}"))
    for item in found.importance[:MAX_IMPORTANT]:
        told = f"{item.mean:.4f} of {found.importance_of} lost when shuffled"
        lines.append((f"matters {item.column}", told))
    if found.measured is not None:
        m = found.measured
        lines.append(("one row", f"{m.latency_us_p50:.1f} us, 99 %: {m.latency_us_p99:.1f} us"))
        lines.append(("peak memory", f"{m.peak_memory_mb:.1f} MiB, on {m.machine}"))
    return lines


def _column(column: Column) -> str:
    parts: list[str] = [column.type]
    if column.minimum is not None and column.maximum is not None:
        parts.append(f"{column.minimum:g} to {column.maximum:g}")
    if column.categories:
        more = len(column.categories) - MAX_CATEGORIES
        shown = ", ".join(map(str, column.categories[:MAX_CATEGORIES]))
        parts.append(f"{shown} and {more} more" if more > 0 else shown)
    if column.missing:
        parts.append("gaps allowed")
    return "; ".join(parts)
