"""NVIDIA's own client of the Open Inference Protocol, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .test_serving import Serve

pytest.importorskip("tritonclient.http")

CLIENT = """
import json, sys
import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("mixed")
assert client.get_server_metadata()["name"] == "edge-runtime"
metadata = client.get_model_metadata("mixed", "1")

def tensor(name, values, binary):
    values = np.array(values, dtype=object) if isinstance(values[0], str) else np.array(values)
    datatype = {"O": "BYTES", "f": "FP64", "i": "INT64", "b": "BOOL"}[values.dtype.kind]
    infer_input = triton.InferInput(name, list(values.shape), datatype)
    infer_input.set_data_from_numpy(values, binary_data=binary)
    return infer_input

columns = {"height": [1.5, float("nan")], "city": ["Paris", "NA"], "children": [1, 2],
           "smoker": [True, False], "street": ["a", "\\u4e2d"]}
answers = []
for binary in (True, False):
    if not binary:
        columns["height"] = [1.5, 0.0]  # this client writes NaN into JSON, which is none
    for compression in (None, "gzip", "deflate"):
        inputs = [tensor(name, values, binary) for name, values in columns.items()]
        outputs = [triton.InferRequestedOutput("predict", binary_data=binary)]
        result = client.infer("mixed", inputs, outputs=outputs, request_id="7",
                              request_compression_algorithm=compression,
                              parameters={"missing_value": "NA"})
        assert result.get_response()["id"] == "7"
        answers.append(result.as_numpy("predict").tolist())
X = triton.InferInput("X", [1, 3], "FP32")
X.set_data_from_numpy(np.array([[1, 2, 3]], dtype=np.float32))
result = client.infer("tiny", [X])
labels, proba = result.as_numpy("predict"), result.as_numpy("predict_proba")
answers.append([labels.astype(str).tolist(), proba.shape])
futures = [client.async_infer("tiny", [X]) for _ in range(20)]
assert all(f.get_result().as_numpy("predict").shape == (1,) for f in futures)
try:
    client.infer("tiny", [X], outputs=[triton.InferRequestedOutput("magic")])
except triton.InferenceServerException as error:
    answers.append(error.message())
print(json.dumps(answers))
"""


@pytest.mark.filterwarnings("default")
def test_tritonclient_predicts_through_json_and_bytes(
    serve: Serve, mixed: Path, tiny: Path
) -> None:
    service = serve(mixed, tiny)
    process = subprocess.run(
        [sys.executable, "-c", CLIENT, f"127.0.0.1:{service.port}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    *mixed_answers, tiny_answer, message = json.loads(process.stdout)
    expected = [1.5 + 10 + 100 + 1000, 20 + 5000]
    assert mixed_answers == [expected] * 6
    assert tiny_answer == [["Gentoo"], [1, 3]]
    assert "no output 'magic'" in message
