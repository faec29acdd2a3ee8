"""Compare the signal transformers with scipy, and with librosa's formulas written out."""

from __future__ import annotations

from typing import Any

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
from scipy import fft, signal, stats
from sklearn.base import clone

RNG = np.random.default_rng(5)
X = RNG.normal(size=(5, 3, 400)) + RNG.normal(size=(5, 3, 1))
SILENT = np.stack([np.zeros((3, 400)), np.full((3, 400), 0.1)])
SOUND = RNG.normal(size=(3, 4000)) * np.hanning(4000)


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("window", ["boxcar", "hann", "hamming", "blackman", ("kaiser", 8.0)])
def test_frames_are_slices_times_a_periodic_window(window: Any) -> None:
    frames = Frames(64, 24, window).fit_transform(X)
    assert frames.shape == (5, 3, 15, 64)
    for i in range(15):
        close(frames[:, :, i], X[..., i * 24 : i * 24 + 64] * signal.get_window(window, 64))


STATISTICS = {
    "mean": lambda x: x.mean(-1),
    "std": lambda x: x.std(-1),
    "min": lambda x: x.min(-1),
    "max": lambda x: x.max(-1),
    "range": lambda x: np.ptp(x, -1),
    "energy": lambda x: (x**2).sum(-1),
    "rms": lambda x: np.sqrt((x**2).mean(-1)),
    "peak": lambda x: np.abs(x).max(-1),
    "crest": lambda x: np.abs(x).max(-1) / np.sqrt((x**2).mean(-1)),
    "impulse": lambda x: np.abs(x).max(-1) / np.abs(x).mean(-1),
    "shape": lambda x: np.sqrt((x**2).mean(-1)) / np.abs(x).mean(-1),
    "skew": lambda x: stats.skew(x, -1),
    "kurtosis": lambda x: stats.kurtosis(x, -1, fisher=False),
    "zero_crossings": lambda x: (np.signbit(x[..., 1:]) != np.signbit(x[..., :-1])).sum(-1),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_agree_with_numpy_and_scipy(name: str) -> None:
    close(Statistics([name]).fit_transform(X)[..., 0], STATISTICS[name](X))


def test_percentiles_are_those_of_numpy() -> None:
    transformer = Statistics(["mean"], [0, 12.5, 50, 100])
    expected = np.moveaxis(np.percentile(X, [0, 12.5, 50, 100], axis=-1), 0, -1)
    close(transformer.fit_transform(X)[..., 1:], expected)
    assert transformer.get_feature_names_out()[:3].tolist() == [
        "0_mean", "0_percentile0", "0_percentile12.5"
    ]  # fmt: skip


def test_ratios_of_a_silent_or_constant_signal_are_finite() -> None:
    values = Statistics(list(STATISTICS)).fit_transform(SILENT)
    assert np.isfinite(values).all()
    names = list(STATISTICS)
    for name in ("skew", "kurtosis"):
        assert (values[..., names.index(name)] == 0).all()
    assert (values[0, :, names.index("crest")] == 0).all()
    close(values[1, :, names.index("crest")], np.ones(3))


@pytest.mark.parametrize("n", [399, 400])
def test_spectra_are_those_of_numpy(n: int) -> None:
    x, window = X[..., :n], signal.get_window("hann", n)
    expected = np.abs(np.fft.rfft(x * window))
    close(Spectrum("magnitude", "hann").fit_transform(x), expected)
    close(Spectrum("power", "hann").fit_transform(x), expected**2)
    time = np.arange(n)
    wave = 3.0 * np.cos(2 * np.pi * 7 * time / n + 0.3)[np.newaxis]
    close(Spectrum("amplitude").fit_transform(wave)[0, 7], 3.0)
    close(Spectrum("amplitude").fit_transform(wave + 2.0)[0, 0], 2.0)


@pytest.mark.parametrize("nperseg", [64, 65, 400])
@pytest.mark.parametrize("window", ["hann", "boxcar"])
def test_welch_is_that_of_scipy(nperseg: int, window: str) -> None:
    frequencies, density = signal.welch(X, 50.0, window, nperseg)
    transformer = Welch(50.0, nperseg, window)
    close(transformer.fit_transform(X), density)
    close(transformer.frequencies_, frequencies)


def test_band_powers_are_sums_of_the_density() -> None:
    bands = [(0, 5), (5, 12.5), (12.5, 26)]
    frequencies, density = signal.welch(X, 50.0, "hann", 100)
    expected = [
        density[..., (frequencies >= a) & (frequencies < b)].sum(-1) * 0.5 for a, b in bands
    ]
    powers = BandPower(bands, 50.0, 100).fit_transform(X)
    close(powers, np.stack(expected, -1))
    shares = BandPower(bands, 50.0, 100, relative=True).fit_transform(X)
    close(shares.sum(-1), np.ones(shares.shape[:-1]))
    assert (BandPower(bands, 50.0, 100, relative=True).fit_transform(SILENT) == 0).all()
    with pytest.raises(ValueError, match=r"band \(30, 40\) holds no bin"):
        BandPower([(30, 40)], 50.0).fit(X)


def test_spectral_shape_has_the_formulas_of_librosa() -> None:
    S = np.abs(np.fft.rfft(X * signal.get_window("hann", 400)))
    f = np.fft.rfftfreq(400, 1 / 50)
    centroid = (f * S).sum(-1) / S.sum(-1)
    p = S / S.sum(-1, keepdims=True)
    bandwidth = np.sqrt(((f - centroid[..., None]) ** 2 * p).sum(-1))
    total = np.cumsum(S, -1)
    rolloff = np.nanmin(np.where(total < 0.85 * total[..., -1:], np.nan, 1.0) * f, axis=-1)
    power = np.maximum(1e-10, S**2)
    flatness = np.exp(np.log(power).mean(-1)) / power.mean(-1)
    expected = np.stack([centroid, bandwidth, rolloff, flatness], -1)
    close(SpectralShape(50.0).fit_transform(X), expected)
    close(SpectralShape().fit_transform(np.zeros((1, 8))), [[0.0, 0.0, 0.0, 1.0]])


@pytest.mark.parametrize("n", [399, 400])
def test_the_envelope_is_that_of_hilbert(n: int) -> None:
    x = X[..., :n]
    envelope = np.abs(signal.hilbert(x))
    spectrum = np.abs(np.fft.rfft(envelope - envelope.mean(-1, keepdims=True))) * 2 / n
    actual = EnvelopeSpectrum().fit_transform(x)
    close(actual[..., 1:-1], spectrum[..., 1:-1])
    frequencies = np.fft.rfftfreq(n, 1 / 50)
    passed = np.where((frequencies >= 5) & (frequencies <= 20), np.fft.rfft(x), 0)
    envelope = np.abs(signal.hilbert(np.fft.irfft(passed, n)))
    spectrum = np.abs(np.fft.rfft(envelope - envelope.mean(-1, keepdims=True))) * 2 / n
    close(EnvelopeSpectrum((5, 20), 50.0).fit_transform(x)[..., 1:-1], spectrum[..., 1:-1])


def test_the_autocorrelation_peak_is_that_of_correlate() -> None:
    transformer = AutocorrelationPeak(3, 150)
    actual = transformer.fit_transform(X)
    for row in np.ndindex(5, 3):
        d = X[row] - X[row].mean()
        r = np.correlate(d, d, "full")[399:] / (d**2).sum()
        lag = 3 + int(np.argmax(r[3:151]))
        close(actual[row], [lag, r[lag]])
    assert (transformer.transform(SILENT) == 0).all()
    beat = np.tile([4.0, 1, 0, 0, 1], 80)[np.newaxis]
    assert AutocorrelationPeak(1, 9).fit_transform(beat)[0, 0] == 5.0


def mel_by_loops(rate: float, n_fft: int, n_mels: int, *, htk: bool) -> Any:
    """Compute librosa's mel filters as its documentation writes them."""

    def to_mel(f: float) -> float:
        if htk:
            return 2595.0 * np.log10(1.0 + f / 700.0)
        return f / (200 / 3) if f < 1000 else 15.0 + np.log(f / 1000) / (np.log(6.4) / 27)

    def to_hertz(m: float) -> float:
        if htk:
            return 700.0 * (10.0 ** (m / 2595.0) - 1.0)
        return m * 200 / 3 if m < 15 else 1000 * np.exp(np.log(6.4) / 27 * (m - 15))

    high = to_mel(rate / 2)
    edges = [to_hertz(high * i / (n_mels + 1)) for i in range(n_mels + 2)]
    filters = np.zeros((n_fft // 2 + 1, n_mels))
    for k in range(n_fft // 2 + 1):
        f = k * rate / n_fft
        for m in range(n_mels):
            low, middle, top = edges[m : m + 3]
            height = max(0.0, min((f - low) / (middle - low), (top - f) / (top - middle)))
            filters[k, m] = height * 2.0 / (top - low)
    return filters


@pytest.mark.parametrize("htk", [False, True])
@pytest.mark.parametrize("center", [False, True])
def test_mel_spectrograms_and_mfcc_are_those_of_librosa(htk: bool, center: bool) -> None:
    options: dict[str, Any] = {
        "rate": 8000.0, "n_fft": 256, "hop_length": 80, "n_mels": 20, "htk": htk, "center": center
    }  # fmt: skip
    padded = np.pad(SOUND, ((0, 0), (128, 128))) if center else SOUND
    starts = range(0, padded.shape[1] - 255, 80)
    window = signal.get_window("hann", 256)
    S = np.stack([np.abs(np.fft.rfft(padded[:, s : s + 256] * window)) for s in starts], 1)
    expected = S**2 @ mel_by_loops(8000.0, 256, 20, htk=htk)
    close(MelSpectrogram(**options).fit_transform(SOUND), expected)
    decibels = 10 * np.log10(np.maximum(expected, 1e-10))
    decibels = np.maximum(decibels, decibels.max(axis=(1, 2), keepdims=True) - 80)
    close(LogScale(decibels=True, top_db=80).fit_transform(expected), decibels)
    coefficients = fft.dct(decibels, type=2, norm="ortho", axis=-1)[..., :13]
    close(DCT(13).fit_transform(decibels), coefficients)
    close(MFCC(n_mfcc=13, **options).fit_transform(SOUND), coefficients)


def test_pool_and_flatten_reduce_the_frames() -> None:
    expected = np.concatenate([X.mean(1), X.std(1), X.max(1)], axis=1)
    close(Pool(["mean", "std", "max"]).fit_transform(X), expected)
    assert Flatten().fit_transform(X).shape == (5, 1200)


TRANSFORMERS = [
    AutocorrelationPeak(), BandPower([(0, 0.2)]), DCT(5), EnvelopeSpectrum(), Flatten(), Frames(9),
    LogScale(), MFCC(400.0, 4, 64, n_mels=8), MelSpectrogram(400.0, 64, n_mels=8), Pool(),
    SpectralShape(), Spectrum(), Statistics(), Welch(),
]  # fmt: skip


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=lambda t: type(t).__name__)
def test_transformers_keep_the_conventions_of_scikit_learn(transformer: Any) -> None:
    from sklearn.exceptions import NotFittedError

    twin = clone(transformer)
    with pytest.raises(NotFittedError):
        twin.transform(X)
    output = twin.fit_transform(X)
    names = twin.get_feature_names_out()
    assert len(names) == len(set(names)) == np.prod(output.shape[1:])
    np.testing.assert_array_equal(
        twin.transform(X.astype(np.float32)), twin.transform(X.astype(np.float32).astype(float))
    )
    with pytest.raises(ValueError, match=r"shape \(3, 400\), as at fit, found \(3, 399\)"):
        twin.transform(X[..., 1:])
    with pytest.raises(ValueError, match="NaN"):
        twin.transform(np.full_like(X, np.nan))
    assert isinstance(type(transformer).__doc__, str)
    # A row's features do not depend on the other rows.
    np.testing.assert_allclose(twin.transform(X[1:2]), output[1:2], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "transformer",
    [
        Frames(0), Frames(401), Frames(10, 0), Frames(2.5), Frames(9, window="nonsense"),  # type: ignore[arg-type]
        Statistics(["median"]), Statistics("rms"), Statistics([], [101]), Statistics([]),
        Spectrum("phase"), Welch(0.0), Welch(nperseg=500), SpectralShape(rolloff=1.0),
        EnvelopeSpectrum((2, 3)), AutocorrelationPeak(9, 3), AutocorrelationPeak(0),
        MelSpectrogram(fmax=1e6), MelSpectrogram(rate=400.0, n_fft=64, n_mels=64),
        MelSpectrogram(norm="l1"), MelSpectrogram(power=3), MFCC(400.0, 9, 64, n_mels=8),
        LogScale(0.0), LogScale(top_db=3.0), DCT(401), Pool(["median"]), Pool([]),
    ],
    ids=repr,
)  # fmt: skip
def test_parameters_that_do_not_suit_are_refused(transformer: Any) -> None:
    with pytest.raises(ValueError, match=r"found|bin|window|frequenc"):
        transformer.fit(X)


def test_pool_needs_an_axis_of_frames() -> None:
    with pytest.raises(ValueError, match="put Frames before it"):
        Pool().fit(X[:, 0])
