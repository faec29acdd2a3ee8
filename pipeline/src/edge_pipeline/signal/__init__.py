"""Compute features of signals: scikit-learn transformers that are sealed with the model.

The last axis is time, also of a batch of several channels (n, channels, samples).  Every
transformer keeps the axes before it, so they follow each other in a Pipeline; :class:`Flatten`
makes the matrix for the estimator.  ``transform`` is numpy, and export traces the same code.
"""

from edge_pipeline.signal.frames import Flatten, Frames, Pool
from edge_pipeline.signal.mel import DCT, MFCC, LogScale, MelSpectrogram
from edge_pipeline.signal.periodicity import AutocorrelationPeak, EnvelopeSpectrum
from edge_pipeline.signal.spectra import BandPower, SpectralShape, Spectrum, Welch
from edge_pipeline.signal.statistics import Statistics

__all__ = [
    "DCT",
    "MFCC",
    "AutocorrelationPeak",
    "BandPower",
    "EnvelopeSpectrum",
    "Flatten",
    "Frames",
    "LogScale",
    "MelSpectrogram",
    "Pool",
    "SpectralShape",
    "Spectrum",
    "Statistics",
    "Welch",
]
