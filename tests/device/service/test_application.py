"""The WSGI callable: every row is answered or refused once, and whole requests within limits."""

import gzip
import io
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from device import models
from device.wsgi import Request, requester
from edge_runtime.service import ServiceLimits, application

import edge_runtime


@pytest.fixture(params=["auto", "numpy"])
def mixed(request: pytest.FixtureRequest, mixed_file: Path) -> Any:
    with edge_runtime.load(mixed_file, engine=request.param) as model:
        yield model


@pytest.fixture
def request_tiny(bundle_file: Path) -> Any:
    with edge_runtime.load(bundle_file) as model:
        yield requester(application({"tiny": model}))


ROW = {"x0": 1.0, "x1": 2.0, "x2": 3.0}
OTHER = {"x0": -1.0, "x1": 0.5, "x2": 0.0}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ([ROW, OTHER], "application/json"),
        ([[1, 2, 3], [-1, 0.5, 0]], "application/json; charset=utf-8"),
        ({"x1": [2, 0.5], "x0": [1, -1], "x2": [3, 0]}, "application/json"),
        (b"x2,x0,x1\n3,1,2\n0,-1,0.5\n", "text/csv"),
    ],
)
def test_every_form_of_rows_gives_the_models_predictions(
    request_tiny: Request, classifier: edge_runtime.Model, body: Any, kind: str
) -> None:
    status, _, answer = request_tiny("/predict", body, CONTENT_TYPE=kind)
    expected = [classifier.predict_proba_one(row) for row in (ROW, OTHER)]
    assert status == 200
    assert [r["prediction"] for r in answer["results"]] == [label for label, _ in expected]
    assert [r["probabilities"] for r in answer["results"]] == [
        pytest.approx({str(k): v for k, v in proba.items()}, abs=1e-12) for _, proba in expected
    ]
    assert answer["model"] == "tiny"
    assert len(answer["digest"]) == 64


def test_one_dict_is_one_row(request_tiny: Request) -> None:
    status, _, answer = request_tiny("/models/tiny/predict", ROW)
    assert (status, answer["predicted"], answer["results"][0]["row"]) == (200, 1, 0)


def test_columns_of_a_mixed_model_may_hold_missing_values(mixed: edge_runtime.Model) -> None:
    names = mixed.schema.names
    golden = [
        [None if cell in ("NaN", None) else cell for cell in row]
        for row in mixed.manifest.golden.rows
    ]
    rows = [dict(zip(names, row, strict=True)) for row in golden]
    table = {name: [row[name] for row in rows] for name in names}
    send = requester(application({"mixed": mixed}))
    by_row, by_column = send("/predict", rows)[2], send("/predict", table)[2]
    assert by_row == by_column
    assert by_row["predicted"] + by_row["refused"] == len(rows)
    assert by_row["predicted"] > 0


def test_refused_rows_stand_beside_answers_once_each(request_tiny: Request) -> None:
    rows = [ROW, {**ROW, "x1": "high"}, 7, OTHER, {"x0": 1}, {**ROW, "x9": 1}, [[1], 2, 3]]
    status, _, answer = request_tiny("/predict", rows)
    results = answer["results"]
    assert status == 200
    assert [r["row"] for r in results] == list(range(len(rows)))
    assert ["error" in r for r in results] == [False, True, True, False, True, True, True]
    assert results[1]["column"] == "x1"
    assert (answer["predicted"], answer["refused"]) == (2, 5)


def test_a_request_of_refused_rows_alone_is_unprocessable(request_tiny: Request) -> None:
    status, _, answer = request_tiny("/predict", [{"x0": 1}])
    assert (status, answer["refused"]) == (422, 1)


def test_flags_come_when_the_query_asks_for_them(request_tiny: Request) -> None:
    row = {**ROW, "x0": 99.0}
    flags = request_tiny("/predict", row, QUERY_STRING="flags=1")[2]["results"][0]["flags"]
    assert [(flag["column"], flag["kind"]) for flag in flags] == [("x0", "above_range")]
    assert "flags" not in request_tiny("/predict", row)[2]["results"][0]


@pytest.mark.parametrize(
    ("body", "environ", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b"7", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'[{"x0": 1e999, "x1": 1, "x2": 1}]', {}, 400),
        (b'[{"x0": NaN, "x1": 1, "x2": 1}]', {}, 400),
        (b'[{"x0": 1, "x0": 2, "x1": 1, "x2": 1}]', {}, 400),
        (b'[{"\\ud800": 1}]', {}, 400),
        (b"\xff", {}, 400),
        ({"x0": [1], "x1": [1, 2], "x2": [1]}, {}, 400),
        ([], {"CONTENT_LENGTH": "50"}, 400),
        ([], {"CONTENT_LENGTH": "0x2"}, 400),
        ([], {"CONTENT_LENGTH": "-1"}, 400),
        ([], {"CONTENT_LENGTH": ""}, 411),
        ([], {"CONTENT_LENGTH": "9" * 30}, 400),
        ([], {"CONTENT_LENGTH": "99999999"}, 413),
        ([ROW] * 10_001, {}, 413),
        (b"x0,x1,x2\n" + b"1,2,3\n" * 10_001, {"CONTENT_TYPE": "text/csv"}, 413),
        (b"a,b\n1,2\n", {"CONTENT_TYPE": "text/csv"}, 400),
        (b"", {"CONTENT_TYPE": "text/csv"}, 400),
        ([ROW], {"CONTENT_TYPE": "text/plain"}, 415),
        ([ROW], {"HTTP_CONTENT_ENCODING": "br"}, 415),
        (gzip.compress(b" " * 5_000_000, mtime=0), {"HTTP_CONTENT_ENCODING": "gzip"}, 413),
        (gzip.compress(b"[]", mtime=0)[:-4], {"HTTP_CONTENT_ENCODING": "gzip"}, 400),
        (b"[]", {"HTTP_CONTENT_ENCODING": "gzip"}, 400),
        ([ROW], {"QUERY_STRING": "flags=maybe"}, 400),
        ([ROW], {"QUERY_STRING": "&".join(f"a{i}=1" for i in range(99))}, 400),
    ],
)
def test_a_hostile_request_is_refused_as_a_whole(
    request_tiny: Request, body: Any, environ: dict[str, str], status: int
) -> None:
    actual, _, answer = request_tiny("/predict", body, **environ)
    assert (actual, set(answer)) == (status, {"error"})
    assert request_tiny("/predict", ROW)[0] == 200


def test_an_answer_with_many_values_has_fewer_rows(bundle_file: Path) -> None:
    limits = ServiceLimits(max_answer_values=12)  # a label and three probabilities for each row
    with edge_runtime.load(bundle_file) as model:
        send = requester(application({"tiny": model}, limits=limits))
        assert send("/predict", [ROW] * 3)[0] == 200
        status, _, answer = send("/predict", [ROW] * 4)
        assert (status, answer["error"][:26]) == (413, "expected at most 3 rows; s")
        tensor = {"name": "X", "datatype": "FP64", "shape": [2, 3], "data": [0] * 6}
        # The protocol also has the decision function: seven values for each row.
        assert send("/v2/models/tiny/infer", {"inputs": [tensor]})[0] == 413


def test_a_compressed_body_and_escaped_names_are_read(request_tiny: Request) -> None:
    body = gzip.compress(json.dumps([ROW, {"\u4e2d": 1}]).encode())
    status, _, answer = request_tiny("/predict", body, HTTP_CONTENT_ENCODING="gzip")
    assert (status, answer["predicted"], answer["refused"]) == (200, 1, 1)


def test_a_busy_service_says_when_to_come_back(bundle_file: Path) -> None:
    limits = ServiceLimits(predictions_at_once=1, queue_seconds=0.01)
    with edge_runtime.load(bundle_file) as model:
        entered, leave = threading.Event(), threading.Event()

        class Slow:
            manifest, origin, schema = model.manifest, model.origin, model.schema
            methods, _outputs = ("predict",), {"predict": ("two", "outputs")}

            check_rows = staticmethod(model.check_rows)

            def predict(self, table: Any) -> Any:
                entered.set()
                leave.wait(10)
                return model.predict(table)

        send = requester(application({"slow": Slow()}, limits=limits))  # type: ignore[dict-item]
        first: list[Any] = []
        thread = threading.Thread(target=lambda: first.append(send("/predict", ROW)))
        thread.start()
        assert entered.wait(10)
        status, headers, _ = send("/predict", ROW)
        leave.set()
        thread.join(10)
    assert (status, headers["Retry-After"], first[0][0]) == (503, "1", 200)


def test_a_fault_of_ours_shows_no_path(bundle_file: Path) -> None:
    model = edge_runtime.load(bundle_file)
    send = requester(application({"tiny": model}))
    model.close()
    log = io.StringIO()
    status, _, answer = send("/predict", ROW, **{"wsgi.errors": log})
    assert (status, answer) == (500, {"error": "the service failed; its log says why"})
    assert "ModelClosedError" in log.getvalue()


def test_a_token_guards_all_but_health(bundle_file: Path) -> None:
    with edge_runtime.load(bundle_file) as model:
        send = requester(application({"tiny": model}, token="secret\n"))
        assert send("/health/ready")[0] == 200
        assert send("/models")[0] == 401
        assert send("/predict", ROW, HTTP_AUTHORIZATION="Bearer wrong")[0] == 401
        assert send("/predict", ROW, HTTP_AUTHORIZATION="Bearer \xe9")[0] == 401
        assert send("/predict", ROW, HTTP_AUTHORIZATION="bearer secret")[0] == 200
        for token in ("", " \n"):
            with pytest.raises(ValueError, match="empty"):
                application({"tiny": model}, token=token)


def test_addresses_list_models_schema_and_health(request_tiny: Request) -> None:
    assert request_tiny("/health/live")[2] == {"live": True}
    assert [m["model"] for m in request_tiny("/models")[2]["models"]] == ["tiny"]
    schema = request_tiny("/models/tiny/schema")[2]["schema"]
    assert [column["name"] for column in schema["columns"]] == ["x0", "x1", "x2"]
    assert request_tiny("/schema", REQUEST_METHOD="HEAD")[2] is None
    assert request_tiny("/models/none/predict", ROW)[0] == 404
    assert request_tiny("/../etc/passwd")[0] == 404
    status, headers, _ = request_tiny("/predict")
    assert (status, headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "parts", [models.regressor, models.text, models.two_targets, models.transformer]
)
def test_every_kind_of_model_answers_its_golden_rows(parts: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(parts().sealed())
    with edge_runtime.load(path) as model:
        rows = list(map(list, model.manifest.golden.rows))
        body = [row[0] for row in rows] if model.schema.kind == "text" else rows
        status, _, answer = requester(application({"m": model}))("/predict", body)
        assert (status, answer["predicted"]) == (200, len(rows))
