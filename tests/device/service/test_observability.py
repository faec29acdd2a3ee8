"""Metrics, the OpenAPI document and the log: what a service says about itself."""

from pathlib import Path
from typing import Any

import pytest
from device import models
from device.wsgi import Request, requester
from edge_runtime.service import ServiceLimits, application
from edge_runtime.service.application import Service
from edge_runtime.service.served_models import ServedModels

import edge_runtime

ROW = {"height": 1.5, "city": "Paris", "children": 1, "smoker": True, "street": "a"}


@pytest.fixture
def log() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def send(mixed: edge_runtime.Model, log: list[dict[str, Any]]) -> Request:
    served = ServedModels({"m": mixed, 'odd "\\\n name': mixed})
    return requester(Service(served, ServiceLimits(), None, log.append))


def samples(send: Request) -> dict[tuple[str, ...], float]:
    """Read the metrics with Prometheus's own parser, by name and label values."""
    parser = pytest.importorskip("prometheus_client.parser")
    status, headers, raw = send("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    figures: dict[tuple[str, ...], float] = {}
    for family in parser.text_string_to_metric_families(raw.decode()):
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, *sample.labels.values())
            assert key not in figures
            figures[key] = sample.value
    return figures


def test_metrics_count_rows_flags_and_missing_cells(send: Request) -> None:
    rows = [ROW, {**ROW, "city": "Rome"}, {**ROW, "height": None, "city": None}, {"height": 1}]
    send("/predict", rows)
    send("/predict", {**ROW, "city": "Rome"})  # the way of single rows
    send("/predict", b"city,height,children,smoker,street\nRome,,1,True,a\n" * 1,
         CONTENT_TYPE="text/csv")  # fmt: skip
    send("/predict", b"{")
    send("/nowhere")
    figures = samples(send)
    assert figures["edge_runtime_predictions_total", "m"] == 5
    assert figures["edge_runtime_refused_rows_total", "m"] == 1
    assert figures["edge_runtime_flags_total", "m", "city", "unseen_category"] == 3
    assert figures["edge_runtime_missing_total", "m", "height"] == 2
    assert figures["edge_runtime_missing_total", "m", "city"] == 1
    assert figures["edge_runtime_requests_total", "/predict", "200"] == 3
    assert figures["edge_runtime_requests_total", "/predict", "400"] == 1
    assert figures["edge_runtime_requests_total", "other", "404"] == 1
    assert figures["edge_runtime_request_seconds_count", "/predict"] == 4
    assert figures["edge_runtime_request_seconds_bucket", "/predict", "+Inf"] == 4
    assert figures["edge_runtime_model_ready", "m"] == 1
    assert figures["edge_runtime_model_ready", 'odd "\\\n name'] == 1
    assert figures["process_resident_memory_bytes",] > 10_000_000


def test_buckets_grow_and_bound_the_sum(send: Request) -> None:
    for _ in range(5):
        send("/models")
    figures = samples(send)
    buckets = [v for k, v in figures.items() if k[:2] == (f"{SECONDS}_bucket", "/models")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == figures[f"{SECONDS}_count", "/models"] == 5
    assert 0 < figures[f"{SECONDS}_sum", "/models"] < 50


SECONDS = "edge_runtime_request_seconds"


def test_tensors_are_counted_as_rows_are(send: Request) -> None:
    inputs = [
        {"name": "height", "datatype": "FP64", "shape": [2], "data": [None, 1.0]},
        {"name": "city", "datatype": "BYTES", "shape": [2], "data": ["Rome", None]},
        {"name": "children", "datatype": "INT64", "shape": [2], "data": [1, 2]},
        {"name": "smoker", "datatype": "BOOL", "shape": [2], "data": [True, False]},
        {"name": "street", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]},
    ]
    assert send("/v2/models/m/infer", {"inputs": inputs})[0] == 200
    figures = samples(send)
    assert figures["edge_runtime_predictions_total", "m"] == 2
    assert figures["edge_runtime_flags_total", "m", "city", "unseen_category"] == 1
    assert figures["edge_runtime_missing_total", "m", "height"] == 1
    assert figures["edge_runtime_missing_total", "m", "city"] == 1


def test_the_log_has_a_line_for_each_request_and_no_rows(
    send: Request, log: list[dict[str, Any]]
) -> None:
    send("/predict", [{**ROW, "street": "secret street"}, {"street": "secret"}])
    send("/models/secret/predict", ROW)
    predict, unknown = log
    assert {**predict, "ms": 0} == {
        "event": "request",
        "method": "POST",
        "route": "/predict",
        "status": 200,
        "ms": 0,
        "model": "m",
        "rows": 1,
        "refused": 1,
        "flags": 0,
    }
    assert predict["ms"] > 0
    assert (unknown["route"], unknown["status"]) == ("other", 404)
    assert "secret" not in str(log)


def test_a_fault_is_logged_with_its_traceback(bundle_file: Path) -> None:
    log: list[dict[str, Any]] = []
    model = edge_runtime.load(bundle_file)
    send = requester(Service(ServedModels({"m": model}), ServiceLimits(), None, log.append))
    model.close()
    assert send("/predict", {"x0": 1, "x1": 1, "x2": 1})[0] == 500
    assert "ModelClosedError" in str(log[0]["traceback"])
    assert [entry["event"] for entry in log] == ["fault", "request"]
    assert send("/health/ready")[::2] == (503, {"ready": False})
    assert send("/v2/models/m/ready")[0] == 503
    assert send("/health/live")[0] == 200
    assert samples(send)["edge_runtime_model_ready", "m"] == 0


def test_the_last_hour_is_summed(send: Request) -> None:
    send("/predict", [ROW, {"height": 1}])
    stats = send("/stats")[2]["last_hour"]
    assert stats.pop("slowest_ms") > 0
    assert stats == {"requests": 1, "predictions": 1, "refused_rows": 1}


@pytest.mark.parametrize("token", [None, "secret"])
@pytest.mark.parametrize("maker", [models.mixed, models.text, models.classifier])
def test_the_openapi_document_is_valid_and_fits_the_answers(maker: Any, token: str | None) -> None:
    validator = pytest.importorskip("openapi_spec_validator")
    jsonschema = pytest.importorskip("jsonschema")
    with edge_runtime.load(maker().sealed()) as model:
        send = requester(application({"m": model, "a b": model}, token=token))
        headers = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
        document = send("/openapi.json", **headers)[2]
        validator.validate(document)
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if method == "get":
                    address = path.replace("%20", " ")
                    assert send(address, **headers)[0] == 200
                    assert (operation.get("security") == []) == (send(address)[0] == 200) or not (
                        token
                    )
        content = document["paths"]["/predict"]["post"]["requestBody"]["content"]
        row = content["application/json"]["schema"]["anyOf"][0]
        names = model.schema.names
        cells = [None if cell == "nan" else cell for cell in model.manifest.golden.rows[0]]
        golden = cells[0] if model.schema.loose else dict(zip(names, cells, strict=True))
        jsonschema.validate(golden, row)
        answer = send("/predict", golden if model.schema.loose else [golden], **headers)[2]
        results = document["components"]["schemas"]["Results"]
        jsonschema.validate(answer, results)
