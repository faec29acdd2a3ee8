"""Draw the graph of a sealed file as text and as SVG, and inspect a build."""

import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import edge_pipeline
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from edge_pipeline import draw_graph
from edge_pipeline.cli.main import cli
from edge_runtime.bundle.layout import unpack
from sklearn.ensemble import RandomForestClassifier

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    X = np.random.default_rng(0).normal(size=(60, 3))
    path = tmp_path_factory.mktemp("forest") / "forest.onnx"
    estimator = RandomForestClassifier(7, max_depth=3, random_state=0).fit(X, X[:, 0] > 0)
    edge_pipeline.export(estimator, X, path)
    return path


def test_every_node_is_a_line_with_its_inputs(forest: Path) -> None:
    graph = onnx.load_model_from_string(bytes(unpack(forest.read_bytes()).graph)).graph
    lines = draw_graph(forest).to_text().splitlines()
    assert lines[0] == f"graph of forest: {len(graph.node)} nodes"
    assert len(lines) == 1 + len(graph.input) + len(graph.node) + len(graph.output)
    assert [line.split()[1] for line in lines[2 : 2 + len(graph.node)]] == [
        node.op_type for node in graph.node
    ]
    assert re.search(r"TreeEnsemble +.*7 trees", "\n".join(lines))
    for line in lines[1:]:
        number = int(line.split()[0])
        for input_numbers in re.findall(r"<- (.*)", line):
            assert all(int(input_number) < number for input_number in input_numbers.split(", "))


def test_every_node_has_a_box_and_no_boxes_overlap(forest: Path) -> None:
    drawing = draw_graph(forest)
    root = ET.fromstring(drawing.to_svg())
    boxes = [
        [float(box.get(name, "")) for name in ("x", "y", "width", "height")]
        for box in root.iter(f"{SVG}rect")
    ]
    assert len(boxes) == len(drawing.boxes)
    _, _, width, height = map(float, root.get("viewBox", "").split())
    for i, (x, y, w, h) in enumerate(boxes):
        assert 0 <= x <= width - w
        assert 0 <= y <= height - h
        for later in boxes[i + 1 :]:
            assert abs(x - later[0]) >= w or abs(y - later[1]) >= h
    assert len(list(root.iter(f"{SVG}path"))) == sum(len(box.feeds) for box in drawing.boxes)
    assert drawing._repr_svg_() == drawing.to_svg()


def test_no_box_hides_a_line(forest: Path) -> None:
    root = ET.fromstring(draw_graph(forest).to_svg())
    boxes = [
        [float(box.get(name, "")) for name in ("x", "y", "width", "height")]
        for box in root.iter(f"{SVG}rect")
    ]
    for path in root.iter(f"{SVG}path"):
        for x, bottom in re.findall(r"([\d.]+) [\d.]+ V([\d.]+)", path.get("d", "")):
            middle = float(bottom) - 20
            assert not any(
                box_left < float(x) < box_left + w and box_top < middle < box_top + h
                for box_left, box_top, w, h in boxes
            )


@pytest.mark.slow
def test_names_in_a_drawing_are_text(hostile: edge_pipeline.ExportResult) -> None:
    svg = draw_graph(hostile.path).to_svg()
    ET.fromstring(svg)
    assert "<script" not in svg


@pytest.mark.slow
def test_inspect_draws_and_prints_the_measurements(
    hostile: edge_pipeline.ExportResult, tmp_path: Path
) -> None:
    def run(*arguments: str | Path) -> str:
        result = CliRunner().invoke(cli, ["inspect", *map(str, arguments)])
        assert (result.exit_code, result.stderr) == (0, "")
        return result.stdout

    assert "<- 1" in run(hostile.path, "--graph")
    assert str(tmp_path / "g.svg") in run(hostile.path, "--svg", tmp_path / "g.svg")
    ET.parse(tmp_path / "g.svg")
    stdout = run(hostile.path)
    assert re.search(r"test accuracy +0\.\d{4}, 95 %: 0\.\d{4} to [01]\.\d{4}, dummy 0\.5", stdout)
    assert re.search(r"matters \$x\^2\$ +0\.\d{4} of accuracy", stdout)
    assert "date 2026-11-24" in stdout
    shutil.copy(hostile.path, tmp_path / "alone.onnx")
    assert "test accuracy" not in run(tmp_path / "alone.onnx")
