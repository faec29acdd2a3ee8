"""Seal the signal transformers: what export traces is what scikit-learn computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edge_pipeline
import numpy as np
import pytest
from edge_pipeline.signal import (
    DCT,
    MFCC,
    AutocorrelationPeak,
    BandPower,
    EnvelopeSpectrum,
    Flatten,
    Frames,
    LogScale,
    MelSpectrogram,
    Pool,
    SpectralShape,
    Spectrum,
    Statistics,
    Welch,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import edge_runtime

RNG = np.random.default_rng(3)
Y = RNG.integers(0, 2, size=40)
TIME = np.arange(480) / 100
WAVES = np.sin(2 * np.pi * (5 + 8 * Y[:, None, None]) * TIME) + RNG.normal(size=(40, 2, 480)) / 3
EVERY_STATISTIC = (
    *("mean", "std", "min", "max", "range", "energy", "rms", "peak", "crest", "impulse", "shape"),
    *("skew", "kurtosis", "zero_crossings"),
)
CHAINS: dict[str, Any] = {
    "statistics": [Statistics(EVERY_STATISTIC, [5, 50, 95])],
    "frames": [Frames(80, 40, "hann"), Statistics(), Pool(("mean", "std", "min", "max", "sum"))],
    "spectrum": [Spectrum("amplitude", "hann"), LogScale()],
    "power": [Spectrum("power"), LogScale(decibels=True)],
    "welch": [Welch(100.0, 120), LogScale(decibels=True, top_db=60.0), DCT(9)],
    "bands": [BandPower([(2, 8), (8, 20), (20, 51)], 100.0, 100, relative=True)],
    "shape": [SpectralShape(100.0)],
    "envelope": [EnvelopeSpectrum((3, 30), 100.0)],
    "autocorrelation": [AutocorrelationPeak(5, 90)],
    "mel": [MelSpectrogram(100.0, 128, 64, 12), LogScale()],
    "mfcc": [MFCC(100.0, 8, 128, 48, 12), Pool()],
}


def seal(estimator: Any, X: Any, path: Path) -> Any:
    edge_pipeline.export(estimator, X[:30], path, X_test=X[30:])
    return [edge_runtime.load(path, engine=engine) for engine in ("onnxruntime", "numpy")]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CHAINS)
def test_every_feature_is_sealed_exactly(name: str, tmp_path: Path) -> None:
    pipeline = make_pipeline(*CHAINS[name]).fit(WAVES[:30])
    expected = pipeline.transform(WAVES)
    for model in seal(pipeline, WAVES, tmp_path / "features.onnx"):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(model.transform(WAVES), expected, rtol=1e-9, atol=1e-12 * scale)
        one = np.array(model.transform_one(WAVES[3]))
        np.testing.assert_allclose(one, expected[3], rtol=1e-9, atol=1e-12 * scale)


def test_several_features_and_a_classifier_make_one_file(tmp_path: Path) -> None:
    union = FeatureUnion(
        [
            ("statistics", make_pipeline(Statistics(), Flatten())),
            ("bands", make_pipeline(BandPower([(2, 8), (8, 20)], 100.0, 100), Flatten())),
        ]
    )
    pipeline = make_pipeline(union, StandardScaler(), LogisticRegression()).fit(WAVES[:30], Y[:30])
    assert pipeline.score(WAVES[30:], Y[30:]) == 1.0
    sound = (WAVES * 5000).astype(np.int16)
    pipeline.fit(sound[:30], Y[:30])
    for model in seal(pipeline, sound, tmp_path / "waves.onnx"):
        assert model.predict(sound).tolist() == pipeline.predict(sound).tolist()
        np.testing.assert_allclose(
            model.predict_proba(sound), pipeline.predict_proba(sound), rtol=1e-9
        )
    assert "statistics__0_crest" not in edge_runtime.load(tmp_path / "waves.onnx").schema.names


def high_pass(X: Any) -> Any:
    keep = np.fft.rfftfreq(X.shape[-1]) >= 0.08
    return np.fft.irfft(np.where(keep, np.fft.rfft(X), 0), X.shape[-1])


def phases(X: Any) -> Any:
    spectrum = np.fft.fft(X, 64, axis=-1, norm="ortho")[..., 1:9]
    mixture = spectrum * (0.5 - 0.25j) + spectrum.conj() / 2.0 - 1.0
    return np.concatenate(
        [mixture.real, mixture.imag, np.abs(-mixture) ** 2, np.angle(spectrum)], axis=-1
    )


def along_time_first(X: Any) -> Any:
    turned = np.swapaxes(X, 1, 2)
    return np.abs(np.fft.rfft(turned, axis=1)).max(axis=2)


def zero_padded(X: Any) -> Any:
    return np.abs(np.fft.rfft(X[:, 0], 500) - np.fft.rfft(X[:, 1], 500))


def several_percentiles(X: Any) -> Any:
    return np.percentile(X[:, 0], [10, 50, 90], axis=-1).T


@pytest.mark.parametrize(
    "function", [high_pass, phases, along_time_first, zero_padded, several_percentiles]
)
def test_the_fourier_transforms_of_a_users_function_are_traced(
    function: Any, tmp_path: Path
) -> None:
    transformer = FunctionTransformer(function).fit(WAVES)
    expected = function(WAVES)
    for model in seal(transformer, WAVES, tmp_path / "function.onnx"):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(model.transform(WAVES), expected, rtol=1e-9, atol=1e-12 * scale)


@pytest.mark.parametrize("n", [1, 2, 7, 128, 129, 131, 210, 256, 255, 1000, 1031])
def test_transforms_of_every_length_are_those_of_numpy(n: int) -> None:
    from edge_pipeline.verification.unverified_manifest import unverified_manifest

    x = RNG.normal(size=(4, n))

    def there_and_back(X: Any) -> Any:
        spectrum = np.fft.rfft(X)
        back = np.fft.irfft(spectrum, X.shape[1])
        return np.concatenate([spectrum.real, spectrum.imag, back], axis=1)

    model = edge_pipeline.convert(FunctionTransformer(there_and_back), x)
    with edge_runtime.Model.from_parts(model.graph, unverified_manifest(model)) as device:
        expected = there_and_back(x)
        np.testing.assert_allclose(
            device.transform(x), expected, atol=1e-13 * np.abs(expected).max()
        )


def test_a_long_prime_length_is_refused_with_a_remedy() -> None:
    X = RNG.normal(size=(3, 2053))
    transformer = FunctionTransformer(lambda x: np.abs(np.fft.rfft(x)))
    with pytest.raises(edge_pipeline.UnsupportedEstimatorError, match="product of small numbers"):
        edge_pipeline.convert(transformer, X)


@pytest.mark.parametrize("mutant", ["window", "scale", "bins"])
def test_mutants_of_a_feature_are_caught(
    mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong Hann window, a wrong mel scale, a frame that is one sample late."""
    transformer = MelSpectrogram(100.0, 128, 64, 12, center=False)
    pipeline = make_pipeline(transformer, LogScale(), Pool(), Flatten()).fit(WAVES[:30])
    compute = MelSpectrogram.compute

    def wrong(self: Any, X: Any) -> Any:
        if isinstance(X, np.ndarray) and type(X) is np.ndarray:
            return compute(self, X)
        window, filters, positions = self.window_, self.filters_, self.positions_
        try:
            if mutant == "window":
                self.window_ = np.hanning(128)
            elif mutant == "scale":
                self.filters_ = MelSpectrogram(100.0, 128, 64, 12, htk=True).fit(WAVES).filters_
            else:
                self.positions_ = positions + 1
            return compute(self, X)
        finally:
            self.window_, self.filters_, self.positions_ = window, filters, positions

    monkeypatch.setattr(MelSpectrogram, "compute", wrong)
    with pytest.raises(edge_pipeline.ParityError):
        edge_pipeline.export(pipeline, WAVES[:30], tmp_path / "mutant.onnx")
