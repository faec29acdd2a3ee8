"""The Open Inference Protocol V2: metadata, tensors of every kind, and hostile requests."""

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device import models
from device.wsgi import Request, requester
from edge_runtime.service import ServiceLimits, application

import edge_runtime

X = [[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]]


def tensor(name: str, datatype: str, data: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data, **more}


@pytest.fixture(scope="module")
def loaded() -> Iterator[dict[str, edge_runtime.Model]]:
    makers = (models.classifier, models.mixed, models.text, models.two_targets, models.transformer)
    models_by_name = {maker.__name__: edge_runtime.load(maker().sealed()) for maker in makers}
    yield models_by_name
    for model in models_by_name.values():
        model.close()


@pytest.fixture(scope="module")
def send(loaded: dict[str, edge_runtime.Model]) -> Request:
    return requester(application(loaded))


def infer(send: Request, name: str, value: Any, **environ: Any) -> tuple[int, Any, Any]:
    return send(f"/v2/models/{name}/infer", value, **environ)


MATRIX = {"name": "X", "datatype": "FP64", "shape": [2, 3], "data": [1, 2, 3, -1, 0.5, 0]}


def test_health_and_metadata_name_what_the_model_takes(send: Request) -> None:
    assert send("/v2/health/live")[2] == {"live": True}
    assert send("/v2/health/ready")[2] == {"ready": True}
    assert send("/v2")[2]["extensions"] == ["binary_tensor_data"]
    assert send("/v2/models/mixed/ready")[2] == {"name": "mixed", "ready": True}
    metadata = send("/v2/models/mixed/versions/1")[2]
    assert [(t["name"], t["datatype"], t["shape"]) for t in metadata["inputs"]] == [
        ("height", "FP64", [-1]),
        ("city", "BYTES", [-1]),
        ("children", "INT64", [-1]),
        ("smoker", "BOOL", [-1]),
        ("street", "BYTES", [-1]),
    ]
    outputs = send("/v2/models/two_targets")[2]["outputs"]
    assert [(t["name"], t["shape"]) for t in outputs] == [
        ("predict", [-1, 2]),
        ("predict_proba.0", [-1, 3]),
        ("predict_proba.1", [-1, 3]),
    ]
    for path in ("/v2/models/mixed/versions/2", "/v2/models/none", "/v2/models/mixed/config"):
        assert send(path)[0] == 404


@pytest.mark.parametrize("data", [MATRIX["data"], X])
def test_flat_and_nested_data_give_the_models_predictions(
    send: Request, loaded: dict[str, edge_runtime.Model], data: Any
) -> None:
    status, _, answer = infer(send, "classifier", {"id": "7", "inputs": [{**MATRIX, "data": data}]})
    model = loaded["classifier"]
    assert (status, answer["id"], answer["model_version"]) == (200, "7", "1")
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert outputs["predict"]["data"] == model.predict(X).tolist()
    for name in ("predict_proba", "decision_function"):
        assert outputs[name]["shape"] == [2, 3]
        assert outputs[name]["data"] == getattr(model, name)(X).ravel().tolist()


def mixed_inputs(n: int = 3) -> list[dict[str, Any]]:
    return [
        tensor("height", "FP64", [1.5, None, 2.0][:n]),
        tensor("city", "BYTES", ["Paris", None, "Oslo"][:n]),
        tensor("children", "INT64", [1, 2, 3][:n]),
        tensor("smoker", "BOOL", [True, False, True][:n]),
        tensor("street", "BYTES", ["a", "\u4e2d", ""][:n]),
    ]


def test_mixed_columns_and_missing_values_come_as_named_tensors(send: Request) -> None:
    rows = [[1.5, "Paris", 1, 1, "a"], [None, None, 2, 0, "b"], [2.0, "Oslo", 3, 1, ""]]
    expected = models.mixed_answer(rows).tolist()
    status, _, answer = infer(send, "mixed", {"inputs": mixed_inputs()[::-1]})
    assert (status, answer["outputs"][0]["data"]) == (200, expected)
    inputs = mixed_inputs()
    inputs[0] = {**inputs[0], "shape": [3, 1], "data": [[1.5], [None], [2]], "datatype": "FP32"}
    assert infer(send, "mixed", {"inputs": inputs})[2]["outputs"][0]["data"] == expected


def binary_request(inputs: list[tuple[str, str, list[int], bytes]], **more: Any) -> Any:
    described = [
        {"name": n, "datatype": d, "shape": s, "parameters": {"binary_data_size": len(raw)}}
        for n, d, s, raw in inputs
    ]
    head = json.dumps({"inputs": described, **more}).encode()
    raw_request = head + b"".join(raw for *_, raw in inputs)
    return raw_request, {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": str(len(head))}


def texts(*values: str) -> bytes:
    parts = [value.encode() for value in values]
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


def mixed_binary(**more: Any) -> Any:
    return binary_request(
        [
            ("height", "FP64", [2], np.array([1.5, np.nan]).tobytes()),
            ("city", "BYTES", [2], texts("Paris", "NA")),
            ("children", "INT32", [2], np.array([1, 2], "<i4").tobytes()),
            ("smoker", "BOOL", [2], b"\x01\x00"),
            ("street", "BYTES", [2], texts("a", "")),
        ],
        **more,
    )


def test_tensors_behind_the_json_are_read_and_written(send: Request) -> None:
    parameters = {"missing_value": "NA", "binary_data_output": True}
    body, environ = mixed_binary(parameters=parameters)
    status, headers, raw = infer(send, "mixed", body, **environ)
    length = int(headers["Inference-Header-Content-Length"])
    (output,) = json.loads(raw[:length])["outputs"]
    expected = models.mixed_answer([[1.5, "Paris", 1, 1, "a"], [None, None, 2, 0, ""]])
    assert (status, output["parameters"]["binary_data_size"]) == (200, 16)
    assert np.frombuffer(raw[length:], "<f8").tolist() == expected.tolist()
    body, environ = mixed_binary(outputs=[{"name": "predict"}])
    assert "data" in infer(send, "mixed", body, **environ)[2]["outputs"][0]


def test_each_output_may_be_json_or_bytes(send: Request) -> None:
    outputs = [
        {"name": "predict_proba"},
        {"name": "predict", "parameters": {"binary_data": True}},
    ]
    status, headers, raw = infer(send, "classifier", {"inputs": [MATRIX], "outputs": outputs})
    length = int(headers["Inference-Header-Content-Length"])
    proba, labels = json.loads(raw[:length])["outputs"]
    assert (status, len(proba["data"]), labels["datatype"]) == (200, 6, "BYTES")
    assert raw[length:] == texts("Gentoo", "Chinstrap") or raw[length:].startswith(b"\x06\0\0\0")


def test_texts_and_no_rows_at_all_are_answered(send: Request) -> None:
    status, _, answer = infer(send, "text", {"inputs": [tensor("text", "BYTES", ["a b", ""])]})
    assert (status, len(answer["outputs"][0]["data"])) == (200, 2)
    empty = {**MATRIX, "shape": [0, 3], "data": []}
    status, _, answer = infer(send, "classifier", {"inputs": [empty]})
    assert status in (200, 400)


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["inputs"][0].update(shape=[2, 2**40]), "does not fit"),
        (lambda r: r["inputs"][0].update(shape=[2**47] * 16), "does not fit"),
        (lambda r: r["inputs"][0].update(shape=[-2, -3]), "whole numbers from 0 up"),
        (lambda r: r["inputs"][0].update(shape=[2**63, 3]), "whole numbers from 0 up"),
        (lambda r: r["inputs"][0].update(shape=[True, 6]), "whole numbers from 0 up"),
        (lambda r: r["inputs"][0].update(shape=[1] * 17), "whole numbers from 0 up"),
        (lambda r: r["inputs"][0].update(shape=[]), "whole numbers from 0 up"),
        (lambda r: r["inputs"][0].update(shape="23"), "whole numbers from 0 up"),
        (lambda r: r["inputs"][0].update(shape=[3, 2]), "expected the shape [-1, 3]"),
        (lambda r: r["inputs"][0].update(shape=[6]), "expected the shape [-1, 3]"),
        (lambda r: r["inputs"][0].update(shape=[2, 3, 1]), "expected the shape [-1, 3]"),
        (lambda r: r["inputs"][0].update(datatype="FP128"), "one of the datatypes"),
        (lambda r: r["inputs"][0].update(datatype=["FP64"]), "one of the datatypes"),
        (lambda r: r["inputs"][0].update(datatype="INT64"), "expected values of INT64"),
        (lambda r: r["inputs"][0].update(datatype="BYTES"), "expected values of BYTES"),
        (lambda r: r["inputs"][0].update(datatype="UINT8", data=[300] * 6), "outside UINT8"),
        (lambda r: r["inputs"][0].update(datatype="UINT8", data=[-1, None] * 3), "outside UINT8"),
        (lambda r: r["inputs"][0].update(data=[[1, 2, 3], 4, 5, 6]), "one depth"),
        (lambda r: r["inputs"][0].update(data={"a": 1}), "expected data"),
        (lambda r: r["inputs"][0].update(data=[True] * 6), "expected values of FP64"),
        (lambda r: r["inputs"][0].update(parameters=[1]), "expected an object as parameters"),
        (lambda r: r["inputs"][0].update(parameters={"binary_data_size": 6}), "within the body"),
        (lambda r: r["inputs"][0].update(parameters={"binary_data_size": -1}), "within the body"),
        (
            lambda r: r["inputs"][0].update(parameters={"shared_memory_region": "a"}),
            "shared memory",
        ),
        (lambda r: r["inputs"].append(r["inputs"][0]), "twice"),
        (lambda r: r["inputs"].append({**MATRIX, "name": "Y"}), "no input 'Y'"),
        (lambda r: r.update(inputs=[{**MATRIX, "name": "Y"}]), "the input 'X' is missing"),
        (lambda r: r.update(inputs=[]), "expected inputs"),
        (lambda r: r.update(inputs=[1]), "expected inputs"),
        (lambda r: r.update(inputs={}), "expected inputs"),
        (lambda r: r.update(id=7), "expected a text as id"),
        (lambda r: r.update(parameters={"missing_value": 7}), "missing_value"),
        (lambda r: r.update(outputs=[{"name": "predict"}] * 2), "twice"),
        (lambda r: r.update(outputs=[{"name": "magic"}]), "no output 'magic'"),
        (
            lambda r: r.update(
                outputs=[{"name": "predict", "parameters": {"classification": 3}}]
            ),
            "'classification' is not supported",
        ),
        (
            lambda r: r["inputs"][0].update(shape=[4, 3], data=[1.0] * 12),
            "at most 3 rows",
        ),
    ],
)  # fmt: skip
def test_a_hostile_tensor_is_refused(
    loaded: dict[str, edge_runtime.Model], change: Change, message: str
) -> None:
    send = requester(application(loaded, limits=ServiceLimits(max_rows=3)))
    value = {"inputs": [dict(MATRIX)]}
    change(value)
    status, _, answer = infer(send, "classifier", value)
    assert status in (400, 413)
    assert message in answer["error"]


@pytest.mark.parametrize(
    ("body", "length", "message"),
    [
        (b"[" * 1000 + b"]" * 1000, None, "nested"),
        (b"[]", None, "expected an object"),
        (b"{}", None, "expected inputs"),
        (b"{}", "3", "from 0 to 2"),
        (b"{}", "-1", "from 0 to 2"),
        (b"{}", "1e0", "from 0 to 2"),
        (b"{}", "9" * 40, "from 0 to 2"),
        (b"{}", "0", "the body"),
        (json.dumps({"inputs": [MATRIX]}).encode() + b"xx", "-2", "from 0 to 97"),
    ],
)
def test_a_hostile_body_is_refused(
    send: Request, body: bytes, length: str | None, message: str
) -> None:
    environ = {} if length is None else {"HTTP_INFERENCE_HEADER_CONTENT_LENGTH": length}
    status, _, answer = infer(send, "classifier", body, **environ)
    assert (status, set(answer)) == (400, {"error"})
    assert message in answer["error"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([("text", "BYTES", [1], b"\x05\0\0\0abc")], "end within a text"),
        ([("text", "BYTES", [1], b"\xff\xff\xff\xffabc")], "end within a text"),
        ([("text", "BYTES", [1], b"\x01\0")], "end within a text"),
        ([("text", "BYTES", [1], b"\x01\0\0\0\xff")], "no UTF-8"),
        ([("text", "BYTES", [2], b"\x01\0\0\0a")], "does not fit"),
        ([("text", "FP64", [1], b"1234567")], "whole values of 8 bytes"),
        ([("text", "BOOL", [1], b"\x02")], "0 or 1"),
    ],
)
def test_hostile_bytes_are_refused(send: Request, inputs: Any, message: str) -> None:
    body, environ = binary_request(inputs)
    status, _, answer = infer(send, "text", body, **environ)
    assert status == 400
    assert message in answer["error"]
    status, _, answer = infer(send, "text", body + b"x", **environ)
    assert status == 400


def test_a_refused_row_refuses_the_request_and_says_where(send: Request) -> None:
    inputs = mixed_inputs()
    inputs[2] = tensor("children", "FP64", [1, None, 3])
    status, _, answer = infer(send, "mixed", {"inputs": inputs})
    assert status == 400
    assert "row 1, column 'children'" in answer["error"]


def test_forms_of_other_sites_are_refused(send: Request) -> None:
    value = {"inputs": [MATRIX]}
    assert infer(send, "classifier", value, CONTENT_TYPE="text/plain")[0] == 415
    assert infer(send, "classifier", value, CONTENT_TYPE="")[0] == 200


def test_a_token_guards_the_protocol_but_for_health(bundle_file: Path) -> None:
    with edge_runtime.load(bundle_file) as model:
        send = requester(application({"tiny": model}, token="secret"))
        assert send("/v2/health/ready")[0] == 200
        assert send("/v2")[0] == send("/v2/models/tiny")[0] == 401
