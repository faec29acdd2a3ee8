"""Predict streams on the device: any chunking, gaps, late samples, votes, and the command."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pytest
from edge_pipeline.errors import ConversionError
from edge_pipeline.signal import BandPower, Flatten, Statistics
from edge_runtime.errors import EdgeRuntimeError, InputError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

import edge_runtime

RATE, WINDOW, HOP = 200.0, 100, 30
RNG = np.random.default_rng(11)
LABELS = np.array(["slow", "fast"])[RNG.integers(0, 2, size=60)]


def wave_of(labels: Any, n: int, n_channels: int = 1) -> Any:
    hertz = np.where(np.asarray(labels) == "fast", 30.0, 8.0)[:, None, None]
    phases = RNG.uniform(0, 6, size=(len(labels), n_channels, 1))
    waves = np.sin(2 * np.pi * hertz * np.arange(n) / RATE + phases)
    return waves + RNG.normal(size=waves.shape) / 10


def estimator() -> Any:
    features = make_union(
        make_pipeline(Statistics(["rms", "zero_crossings"]), Flatten()),
        make_pipeline(BandPower([(2, 15), (15, 50)], RATE, 50), Flatten()),
    )
    return make_pipeline(features, StandardScaler(), LogisticRegression())


@pytest.fixture(scope="module")
def mono(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one channel, trained on integers as a microphone gives them."""
    X = (wave_of(LABELS, WINDOW)[:, 0] * 8000).astype(np.int16)
    path = tmp_path_factory.mktemp("streams") / "mono.onnx"
    edge_pipeline.export(
        estimator().fit(X, LABELS), X, path, stream={"rate": RATE, "hop": HOP}, X_test=X[:9]
    )
    return path


@pytest.fixture(scope="module")
def axes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of three channels, without an integer dtype."""
    X = wave_of(LABELS, WINDOW, 3)
    path = tmp_path_factory.mktemp("streams") / "axes.onnx"
    stream = {"rate": RATE, "hop": HOP, "channels": ["x", "y", "z"]}
    edge_pipeline.export(estimator().fit(X, LABELS), X, path, stream=stream)
    return path


def signal(seconds: float = 12.0, n_channels: int = 1) -> Any:
    labels = ["slow", "fast", "slow"]
    n = int(seconds * RATE / 3)
    parts = [(wave_of([label], n, n_channels)[0].T * 8000).round() for label in labels]
    return np.concatenate(parts)


def stream_of(path: Path, **options: Any) -> Any:
    return edge_runtime.Stream(edge_runtime.load(path), **options)


def test_the_settings_of_a_stream_are_sealed(mono: Path, axes: Path) -> None:
    stream = stream_of(axes)
    assert (stream.rate, stream.window, stream.hop) == (RATE, WINDOW, HOP)
    assert stream.channels == ("x", "y", "z")
    schema = edge_runtime.load(mono).schema
    assert edge_runtime.Schema.from_json(schema.to_json()) == schema
    assert schema.columns[0].tensor.stream.full_scale == 32768.0  # type: ignore[union-attr]


def test_windows_are_predicted_as_scikit_learn_predicts_them(mono: Path) -> None:
    samples = signal()[:, 0]
    model = edge_runtime.load(mono)
    answers = edge_runtime.Stream(model).push(samples)
    starts = range(0, len(samples) - WINDOW + 1, HOP)
    windows = np.stack([samples[start : start + WINDOW] for start in starts])
    assert [answer.prediction for answer in answers] == model.predict(windows).tolist()
    assert [answer.time for answer in answers] == [(s + WINDOW) / RATE for s in starts]
    assert {answer.prediction for answer in answers} == {"slow", "fast"}


@pytest.mark.parametrize("hop", [1, 7, 100, 130])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_any_chunking_gives_the_same_answers(hop: int, n_channels: int, tmp_path: Path) -> None:
    X = wave_of(LABELS, WINDOW, n_channels) * 8000
    X = X[:, 0] if n_channels == 1 else X
    path = tmp_path / "model.onnx"
    edge_pipeline.export(estimator().fit(X, LABELS), X, path, stream={"rate": RATE, "hop": hop})
    samples = signal(3.0, n_channels)
    samples[200:203] = np.nan
    samples[411] = np.inf
    options = {"majority": 3, "hysteresis": 2}
    expected = stream_of(path, **options).push(samples)
    assert sum(bool(answer.flags) for answer in expected) >= 2
    for seed in range(4):
        cuts = np.sort(np.random.default_rng(seed).integers(0, len(samples), size=25))
        stream = stream_of(path, **options)
        chunks = np.split(samples, cuts)
        answers = [answer for chunk in chunks for answer in stream.push(chunk)]
        assert answers == expected
    method = stream_of(path, method="predict_proba")
    probabilities = [answer.prediction for answer in method.push(samples)]
    method.reset()
    one_by_one = [a.prediction for s in samples for a in method.push(s[np.newaxis])]
    assert one_by_one == probabilities


def test_a_gap_restarts_the_window_and_is_reported(mono: Path) -> None:
    samples, stream = signal()[:, 0], stream_of(mono)
    assert len(stream.push(samples[:150], time=1000.0)) == 2
    assert stream.push(samples[150:180], time=1000.75) != []
    assert stream.push(samples[400:450], time=1002.0) == []
    assert [str(flag) for flag in stream.pending_flags] == ["stream: a gap of 1.1 s"]
    (answer,) = stream.push(samples[450:500])
    assert answer.time == pytest.approx(2.5)
    assert [flag.kind for flag in answer.flags] == ["gap"]
    assert answer.window_prediction == stream.model.predict_one(samples[400:500])
    assert stream.pending_flags == ()


def test_late_samples_are_dropped_and_reported(mono: Path) -> None:
    samples, stream = signal()[:, 0], stream_of(mono)
    expected = stream_of(mono).push(samples[:200])
    answers = stream.push(samples[:150], time=0.0)
    answers += stream.push(samples[100:200], time=0.5)
    assert [answer.prediction for answer in answers] == [a.prediction for a in expected]
    assert [[str(f) for f in answer.flags] for answer in answers if answer.flags] == [
        ["stream: 0.25 s of samples came late, and were dropped"]
    ]
    assert stream.push(samples[:50], time=0.0) == []
    assert [flag.kind for flag in stream.pending_flags] == ["late_samples"]


def test_jitter_within_the_tolerance_is_no_gap(mono: Path) -> None:
    samples, stream = signal()[:, 0], stream_of(mono)
    answers = []
    for start in range(0, 2400, 40):
        jitter = RNG.uniform(-0.04, 0.04)
        answers += stream.push(samples[start : start + 40], time=5 + start / RATE + jitter)
    assert answers == stream_of(mono).push(samples)


@pytest.mark.parametrize("rate", [100.0, 400.0, 206.0])
def test_times_that_fit_another_rate_are_reported(mono: Path, rate: float) -> None:
    samples, stream = signal()[:, 0], stream_of(mono)
    flags = []
    for start in range(0, 2400, 40):
        for answer in stream.push(samples[start : start + 40], time=start / rate):
            flags += [flag for flag in answer.flags if flag.kind == "wrong_rate"]
    assert flags
    assert flags[-1].rate == pytest.approx(rate)


def test_a_source_of_another_rate_is_refused(mono: Path) -> None:
    stream_of(mono, rate=200.01)
    with pytest.raises(InputError, match=r"expected 200 samples a second, .* found 44100"):
        stream_of(mono, rate=44100)


def test_missing_samples_restart_the_window(mono: Path) -> None:
    samples, stream = signal()[:, 0].copy(), stream_of(mono)
    samples[120:124] = np.nan
    answers = stream.push(samples[:240])
    assert [answer.time for answer in answers] == [100 / RATE, (124 + 100) / RATE]
    assert [str(f) for f in answers[1].flags] == ["stream: 0.02 s of samples are missing"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"majority": 3}, "aaaaaabbbbbba"),
        ({"hysteresis": 2}, "aaaaaabbbbbba"),
        ({"majority": 3, "hysteresis": 3}, "aaaaaaaabbbbb"),
        ({}, "aabaabbbabbaa"),
    ],
)
def test_votes_and_hysteresis_steady_the_label(mono: Path, options: Any, expected: str) -> None:
    stream = stream_of(mono, **options)
    labels = iter("aabaabbbabbaa")
    stream._predict = lambda row: next(labels)
    answers = stream.push(signal()[: WINDOW + 12 * HOP, 0])
    assert "".join(answer.prediction for answer in answers) == expected
    assert "".join(answer.window_prediction for answer in answers) == "aabaabbbabbaa"


def test_flags_name_what_training_did_not_see(mono: Path) -> None:
    (answer,) = stream_of(mono).push(signal()[:WINDOW, 0] * 3)
    assert {flag.kind for flag in answer.flags} == {"above_range", "below_range"}


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((5, 2)), r"shape \(n_samples,\), found \(5, 2\)"),
        (["a"], "numbers, found dtype"),
        (3.0, "found \\(\\)"),
        ([[1], [2, 3]], "array of samples, found"),
    ],
)
def test_samples_of_another_kind_are_refused_and_the_stream_goes_on(
    mono: Path, samples: Any, message: str
) -> None:
    stream = stream_of(mono)
    stream.push(signal()[:60, 0])
    with pytest.raises(InputError, match=message):
        stream.push(samples)
    assert stream.push([]) == []
    assert stream.push(signal()[60:100]) != []
    with pytest.raises(InputError, match="time of the samples in seconds"):
        stream.push([1.0], time=float("nan"))


def test_options_that_do_not_suit_are_refused(mono: Path, tmp_path: Path) -> None:
    for options in ({"majority": 0}, {"hysteresis": 1.5}, {"tolerance": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            stream_of(mono, **options)
    with pytest.raises(ValueError, match="count labels"):
        stream_of(mono, method="predict_proba", majority=3)
    X = RNG.normal(size=(30, 20))
    regression = make_pipeline(Statistics(), LinearRegression()).fit(X, X[:, 0])
    edge_pipeline.export(regression, X, tmp_path / "plain.onnx")
    with pytest.raises(EdgeRuntimeError, match="export it with stream="):
        stream_of(tmp_path / "plain.onnx")
    edge_pipeline.export(regression, X, tmp_path / "numbers.onnx", stream={"rate": 10})
    assert isinstance(stream_of(tmp_path / "numbers.onnx").push(X[0])[0].prediction, float)
    with pytest.raises(ValueError, match="count labels"):
        stream_of(tmp_path / "numbers.onnx", majority=3)


@pytest.mark.parametrize(
    "stream",
    [
        {}, {"rate": 0}, {"rate": "fast"}, {"rate": True}, {"rate": 5, "hop": 0},
        {"rate": 5, "hop": 2.5}, {"rate": 5, "channels": ["a", "b"]}, {"rate": 5, "window": 3},
        {"rate": 5, "time_axis": 2}, {"rate": 5, "full_scale": -1}, {"rate": float("nan")},
    ],
)  # fmt: skip
def test_settings_that_do_not_suit_are_refused(stream: Any, tmp_path: Path) -> None:
    X = RNG.normal(size=(30, 20))
    pipeline = make_pipeline(Statistics(), LinearRegression()).fit(X, X[:, 0])
    with pytest.raises(ConversionError, match="stream"):
        edge_pipeline.export(pipeline, X, tmp_path / "refused.onnx", stream=stream)


def run(*arguments: Any, stdin: bytes = b"") -> tuple[int, str, str]:
    command = [sys.executable, "-m", "edge_runtime.cli", "stream", *map(str, arguments)]
    process = subprocess.run(command, input=stdin, capture_output=True, check=False)
    return process.returncode, process.stdout.decode(), process.stderr.decode()


def expected_lines(path: Path, samples: Any) -> list[str]:
    answers = stream_of(path).push(samples)
    return [f"{answer.time:.6g},{answer.prediction}" for answer in answers]


def lines_of(output: str) -> list[str]:
    header, *lines = output.splitlines()
    assert header == "time,prediction,flags"
    return [",".join(line.split(",")[:2]) for line in lines]


def wav_bytes(samples: Any, rate: int, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(samples.shape[1])
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(samples.astype(f"<i{width}").tobytes())
    return file.getvalue()


def test_the_command_reads_wav_pcm_csv_and_json_lines(mono: Path, tmp_path: Path) -> None:
    samples = signal(4.0)
    expected = expected_lines(mono, samples[:, 0])
    (tmp_path / "a.wav").write_bytes(wav_bytes(samples, 200))
    code, output, notes = run(mono, tmp_path / "a.wav")
    assert (code, lines_of(output)) == (0, expected), notes
    assert "real-time factor" in notes
    code, output, notes = run(mono, "--format", "pcm", stdin=samples.astype("<i2").tobytes())
    assert (code, lines_of(output)) == (0, expected), notes
    table = "channel0\n" + "".join(f"{value:g}\n" for value in samples[:, 0])
    (tmp_path / "a.csv").write_text(table)
    code, output, notes = run(mono, tmp_path / "a.csv")
    assert (code, lines_of(output)) == (0, expected), notes
    lines = "".join(
        json.dumps(chunk.tolist()) + "\n" for chunk in np.array_split(samples[:, 0], 16)
    )
    code, output, notes = run(mono, "--format", "jsonl", "--json", stdin=lines.encode())
    assert code == 0, notes
    answers = [json.loads(line) for line in output.splitlines()]
    assert [f"{a['time']:.6g},{a['prediction']}" for a in answers] == expected


def test_the_command_reads_several_channels_with_times(axes: Path, tmp_path: Path) -> None:
    samples = signal(2.0, 3) / 8000
    times = np.arange(len(samples)) / RATE + np.where(np.arange(len(samples)) < 200, 0.0, 1.5)
    timed = list(zip(times.round(4).tolist(), samples.tolist(), strict=True))
    rows = [",".join(map(repr, [t, *row])) for t, row in timed]
    (tmp_path / "a.csv").write_text("\n".join(["time,x,y,z", *rows]) + "\n")
    code, output, notes = run(axes, tmp_path / "a.csv")
    assert code == 0, notes
    assert "stream: a gap of 1.5 s" in output
    stream = stream_of(axes)
    expected = stream.push(samples[:200], time=0.0) + stream.push(samples[200:], time=2.5)
    assert lines_of(output) == [f"{a.time:.6g},{a.prediction}" for a in expected]
    objects = [{"z": z, "time": t, "x": x, "y": y} for t, (x, y, z) in timed]
    text = "\n".join(map(json.dumps, objects))
    code, json_output, notes = run(axes, "--format", "jsonl", stdin=text.encode())
    assert (code, json_output) == (0, output), notes


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_wav_of_every_width_is_scaled_to_training(width: int, mono: Path) -> None:
    from edge_runtime.cli.sample_sources import pcm_to_float

    full = 2 ** (8 * width - 1)
    values = np.array([-full, -1, 0, 1, full - 1])
    raw = b"".join(int(v).to_bytes(width, "little", signed=True) for v in values)
    if width == 1:
        raw = bytes((values + 128).astype(np.uint8))
    np.testing.assert_array_equal(pcm_to_float(raw, width, 1.0), values / full)


def test_the_command_refuses_another_rate_and_broken_input(mono: Path, tmp_path: Path) -> None:
    (tmp_path / "fast.wav").write_bytes(wav_bytes(signal(1.0), 8000))
    code, _, notes = run(mono, tmp_path / "fast.wav")
    assert code == 1
    assert "expected 200 samples a second, as in training, found 8000" in notes
    two = np.repeat(signal(1.0), 2, axis=1)
    code, _, notes = run(mono, "--format", "wav", stdin=wav_bytes(two, 200))
    assert code == 1
    assert "found 2 channels" in notes
    for form, text in (("wav", b"RIFFnonsense"), ("csv", b"a,b\n1,2\n"), ("csv", b"channel0\nx\n"),
                       ("jsonl", b"{]\n"), ("jsonl", b'{"a": 1}\n')):  # fmt: skip
        code, _, notes = run(mono, "--format", form, stdin=text)
        assert code == 1, (form, text)
        assert "Traceback" not in notes
    code, output, notes = run(mono, "--format", "pcm", "--rate", "100", stdin=b"")
    assert (code, output) == (1, ""), notes
