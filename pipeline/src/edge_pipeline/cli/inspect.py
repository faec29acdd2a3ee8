"""Print what a sealed file says about its model: ``edge-pipeline inspect``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

import edge_pipeline
from edge_pipeline.cli import display

if TYPE_CHECKING:
    from edge_runtime.bundle.schema import Column

    from edge_pipeline.evaluation.report.measurements import Evaluation
    from edge_pipeline.inspect_file import Inspection

__all__ = ["inspect_command"]

EXAMPLES = """\b
Examples:
  edge-pipeline inspect dist/penguins.onnx
  edge-pipeline inspect dist/penguins.onnx --graph
  edge-pipeline inspect dist/penguins.onnx --sbom > penguins.cdx.json
  edge-pipeline inspect dist/penguins.onnx --svg penguins.svg
"""

MAX_IMPORTANCES = 5
"""Columns listed with their importance; the report has all of them."""

MAX_CATEGORIES = 6
"""Categories listed for one column; ``--json`` has all of them."""


@click.command("inspect", short_help="Print what a sealed file says of itself.", epilog=EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--sbom", is_flag=True, help="Print a CycloneDX document of the model.")
@click.option("--graph", is_flag=True, help="Print the graph, one line a node.")
@click.option(
    "--svg",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the graph into this file.",
)
def inspect_command(file: Path, as_json: bool, sbom: bool, graph: bool, svg: Path | None) -> None:
    """Check the seal of FILE, and print what it says of itself.

    The device's own reader reads it; the model does not run.  The measurements of the build are
    printed too, when NAME.report.json is still beside FILE.
    """
    if graph or svg is not None:
        _draw(file, as_text=graph, svg=svg)
        return
    inspection = edge_pipeline.inspect(file)
    if sbom:
        from edge_pipeline.evaluation.report.measurements import sidecar_of

        click.echo(inspection.to_sbom().decode(), nl=False)
        if inspection.evaluation() is None:
            display.show_notes(
                [
                    f"{sidecar_of(file)} is missing, so the document has no digest of the training "
                    "data; edge-pipeline build --report writes it"
                ]
            )
        return
    if as_json:
        display.show_json(inspection.to_json())
        return
    evaluation = inspection.evaluation()
    measurements = () if evaluation is None else _evaluation_lines(evaluation)
    display.show_lines([*_manifest_lines(inspection), *measurements])


def _draw(file: Path, *, as_text: bool, svg: Path | None) -> None:
    """Print the graph of *file* as text, or write it as a drawing."""
    from edge_runtime.bundle.atomic_file import write_whole

    drawing = edge_pipeline.draw_graph(file)
    if svg is not None:
        write_whole(drawing.to_svg().encode(), svg)
    if as_text:
        click.echo(drawing.to_text())
    else:
        display.show_lines([("drawing", str(svg))])


def _manifest_lines(inspection: Inspection) -> list[tuple[str, str]]:
    manifest = inspection.manifest
    opsets = manifest.requires.opsets.items()
    operator_sets = ", ".join(f"{domain or 'ai.onnx'} {number}" for domain, number in opsets)
    sizes = f"graph {inspection.graph_bytes:,}, manifest {inspection.manifest_bytes:,}"
    signature = f"by key {inspection.key_id}; not checked here"
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
        ("needs", f"onnxruntime >= {manifest.requires.onnxruntime}; operators {operator_sets}"),
        ("made by", ", ".join(f"{name} {v}" for name, v in manifest.created_by.items())),
        ("size", f"{inspection.bundle_bytes:,} bytes: {sizes}"),
        ("format", str(inspection.format)),
        ("sha256", inspection.sha256),
        ("signature", signature if inspection.is_signed else "none: unsigned"),
    ]


def _evaluation_lines(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    source, benchmark = evaluation.source, evaluation.measured
    if source is not None:
        rows = f"{source.rows_train:,} rows, tested on {source.rows_test:,}"
        yield "trained on", f"{source.name}: {rows}; date {evaluation.date or 'unknown'}"
    for score in evaluation.scores:
        interval = "" if score.low is None else f", 95 %: {score.low:.4f} to {score.high:.4f}"
        dummy = "" if score.dummy is None else f", dummy {score.dummy:.4f}"
        yield f"test {score.name}", f"{score.value:.4f}{interval}{dummy}"
    for item in evaluation.importance[:MAX_IMPORTANCES]:
        loss = f"{item.mean:.4f} of {evaluation.importance_of} lost when shuffled"
        yield f"matters {item.column}", loss
    if benchmark is not None:
        p50, p99 = benchmark.latency_us_p50, benchmark.latency_us_p99
        yield "one row", f"{p50:.1f} us, 99 %: {p99:.1f} us"
        yield "peak memory", f"{benchmark.peak_memory_mb:.1f} MiB, on {benchmark.machine}"


def _column(column: Column) -> str:
    parts: list[str] = [column.type]
    if column.minimum is not None and column.maximum is not None:
        parts.append(f"{column.minimum:g} to {column.maximum:g}")
    if column.categories:
        more = len(column.categories) - MAX_CATEGORIES
        listed = ", ".join(map(str, column.categories[:MAX_CATEGORIES]))
        parts.append(f"{listed} and {more} more" if more > 0 else listed)
    if column.missing:
        parts.append("missing values allowed")
    return "; ".join(parts)
