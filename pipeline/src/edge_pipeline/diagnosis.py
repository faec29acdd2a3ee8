"""Check the build machine: versions, engines, CPU, optional libraries, and a tiny conversion."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from edge_runtime.cli.doctor import machine_facts
from packaging.requirements import Requirement

from edge_pipeline.short_repr import short_repr

__all__ = ["Diagnosis", "doctor"]

_EXTRAS = {
    "pyarrow": ("Parquet and Arrow files", "parquet"),
    "polars": ("frames of polars", ""),
    "lightgbm": ("models of LightGBM", "boosters"),
    "xgboost": ("models of XGBoost", "boosters"),
    "catboost": ("models of CatBoost", "boosters"),
    "cryptography": ("signatures", "signing"),
    "distributed": ("searches on a Dask cluster", "dask"),
}
"""Distribution to what needs it, and to the extra of edge-pipeline that installs it."""

_SAME_PACKAGE = {"xgboost": ("xgboost", "xgboost-cpu")}
"""Distributions that hold one import package."""


@short_repr
@dataclass(frozen=True)
class Diagnosis:
    """The state of this machine.

    Attributes
    ----------
    facts
        Name to version or state.
    problems
        Faults that break a build, with the remedy.
    warnings
        What may go wrong, with the remedy.
    """

    facts: Mapping[str, str]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether this machine can build models."""
        return not self.problems


def doctor() -> Diagnosis:
    """Check whether this machine can build models, and say what is wrong and what to do.

    It takes some seconds: onnxruntime runs a graph in a process of its own, and a tiny estimator is
    trained, converted and run.
    """
    problems: list[str] = []
    warnings: list[str] = []
    facts = {"edge-pipeline": version("edge-pipeline"), **machine_facts(problems, warnings)}
    facts |= _libraries(problems)
    facts["optional"] = ", ".join(_optional_libraries())
    facts["conversion"] = _conversion(problems)
    facts["temporary files"] = _temporary_folder(problems)
    return Diagnosis(facts, tuple(problems), tuple(warnings))


def _libraries(problems: list[str]) -> dict[str, str]:
    """List what edge-pipeline requires, and whether the installed versions are the right ones."""
    facts = {}
    for requirement in map(Requirement, requires("edge-pipeline") or ()):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            problems.append(f"{requirement.name} is missing; pip install '{requirement}'")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            problems.append(
                f"{requirement.name} {installed} is installed, expected {requirement.specifier}; "
                f"pip install '{requirement}'"
            )
        if requirement.name in ("scikit-learn", "onnx", "skl2onnx", "pandas"):
            facts[requirement.name] = installed
    return facts


def _optional_libraries() -> Iterator[str]:
    for name, (purpose, extra) in _EXTRAS.items():
        number = _first_version(_SAME_PACKAGE.get(name, (name,)))
        if number is not None:
            yield f"{name} {number}"
        else:
            target = f"'edge-pipeline[{extra}]'" if extra else name
            yield f"no {name} (for {purpose}: pip install {target})"


def _first_version(names: tuple[str, ...]) -> str | None:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def _conversion(problems: list[str]) -> str:
    """Train, convert and run a line, which loads every library of a build."""
    try:
        import numpy as np
        from edge_runtime.model import Model
        from sklearn.linear_model import LinearRegression

        from edge_pipeline.conversion.convert import convert
        from edge_pipeline.verification.unverified_manifest import EXACT, unverified_manifest

        X = np.array([[0.0], [1.0]])
        estimator = LinearRegression().fit(X, [0.0, 2.0])
        converted = convert(estimator, X)
        with Model.from_parts(converted.graph, unverified_manifest(converted, EXACT)) as model:
            difference = abs(float(model.predict_one([3.0])) - float(estimator.predict([[3.0]])[0]))
    except Exception as error:  # a library that is broken may raise anything
        problems.append(
            f"a line cannot be converted: {type(error).__name__}: {error}; install edge-pipeline "
            "anew, in an environment of its own"
        )
        return "fails"
    if not difference <= EXACT:
        problems.append(f"a converted line predicts {difference:g} off; please report it")
        return "predicts differently"
    return "a line is trained, converted, and predicted the same"


def _temporary_folder(problems: list[str]) -> str:
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"\0" * 65536)
    except OSError as error:
        problems.append(f"no temporary file can be written: {error}; set TMPDIR to another folder")
        return "cannot be written"
    return f"in {tempfile.gettempdir()}"
