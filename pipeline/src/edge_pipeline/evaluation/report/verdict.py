"""Judge a model in plain sentences: better than guessing or not, and where it is weakest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

from edge_runtime.bundle.manifest import Manifest

from edge_pipeline.evaluation.report.measurements import (
    CandidateRow,
    ClassScore,
    Evaluation,
    Group,
    Score,
)

__all__ = [
    "LOSS_PREFIX",
    "Verdict",
    "agreement_sentence",
    "judge",
    "metric_name",
    "search_noise",
    "shown_score",
]

FEW_ROWS = 30
"""With fewer test rows, an interval is so wide that the rows hardly judge the model."""

FEW_GROUP_ROWS = 10
POOR_CALIBRATION = 0.1
LOSS_PREFIX = "neg_"

Tone = Literal["good", "unsure", "bad", "neutral"]

_BASELINES = {
    "classification": "for always naming the most frequent class",
    "regression": "for always predicting the mean",
}


class Verdict(NamedTuple):
    """One sentence, whether it is good news, and remarks that a reader should know."""

    tone: Tone
    sentence: str
    remarks: tuple[str, ...]


def judge(manifest: Manifest, evaluation: Evaluation) -> Verdict:
    """Judge the model by its main metric, and name its weakest class, target or group."""
    remarks = tuple(_remarks(evaluation))
    if not evaluation.scores:
        return Verdict("neutral", _unknown(manifest, evaluation), remarks)
    score = _main_score(evaluation)
    name, value = metric_name(score.name), shown_score(score)
    if score.dummy is None:
        sentence = f"{name} {value}{_interval(score)}; no baseline is known."
        return Verdict("neutral", f"{sentence[0].upper()}{sentence[1:]}", remarks)
    low = score.value if score.low is None else score.low
    high = score.value if score.high is None else score.high
    task = "regression" if manifest.task == "regression" else "classification"
    comparison = (
        f"{name} {value}{_interval(score)} against {_number(score, score.dummy)} {_BASELINES[task]}"
    )
    if low > score.dummy:
        weakest = _weakest(evaluation)
        return Verdict("good", f"Clearly better than guessing: {comparison}{weakest}.", remarks)
    if high < score.dummy:
        return Verdict("bad", f"Worse than guessing: {comparison}.", remarks)
    return Verdict("unsure", f"Not shown to be better than guessing: {comparison}.", remarks)


def _main_score(evaluation: Evaluation) -> Score:
    """Return the metric by which the search chose, otherwise the first.

    Where classes are unbalanced, a search that seeks balanced accuracy may well lose accuracy.
    """
    scores = evaluation.scores
    return next((score for score in scores if score.name == evaluation.tried_of), scores[0])


def metric_name(name: str) -> str:
    """Name a metric in words; a negated loss is named as the loss."""
    metric, of, target = name.removeprefix(LOSS_PREFIX).partition(" of ")
    return f"{metric.replace('_', ' ')}{of}{target}"


def shown_score(score: Score) -> str:
    """Write the value of a metric; a negated loss is written as the loss."""
    return _number(score, score.value)


def agreement_sentence(manifest: Manifest) -> str:
    """Say in one sentence how far the file agrees with scikit-learn."""
    evidence = list(manifest.parity.outputs.values())
    rows = max((output.rows for output in evidence), default=0)
    worst = max((output.worst for output in evidence), default=0.0)
    n_different = sum(output.differing for output in evidence)
    labels = f"{n_different} labels differ, " if n_different else "every label equal, "
    numbers = "every number equal" if worst == 0 else f"numbers within {worst:.0e} of the largest"
    scope = ""
    if all(output.bound == 0 for output in evidence):
        scope = "; proven bit for bit for every row"
    elif all(output.bound is not None for output in evidence):
        scope = "; bounds are proven for every row within the columns' ranges"
    return f"{rows:,} rows compared, {labels if manifest.classes else ''}{numbers}{scope}"


def search_noise(candidates: tuple[CandidateRow, ...], folds: int, noise: float) -> bool:
    """Whether two candidates of the front are a choice between speed and score beyond noise.

    Parameters
    ----------
    folds
        Number of scores behind each mean.
    noise
        Relative difference of two measurements of the same time.
    """
    front = [c for c in candidates if c.front and c.latency_us is not None]
    for slow in front:
        for fast in front:
            error = math.hypot(slow.spread, fast.spread) / math.sqrt(max(folds, 1))
            is_better = slow.score - fast.score > error
            if is_better and (slow.latency_us or 0) > (1 + noise) * (fast.latency_us or 0):
                return True
    return False


def _unknown(manifest: Manifest, evaluation: Evaluation) -> str:
    answers = evaluation.answers
    if manifest.task == "anomaly" and answers is not None:
        counts = dict(zip(answers.labels, answers.counts, strict=True))
        n_rows, n_anomalies = sum(answers.counts), counts.get("-1", 0)
        return (
            f"Flags {n_anomalies:,} of {n_rows:,} rows ({100 * n_anomalies / n_rows:.1f} %) as "
            "anomalies; without true labels, nobody can say how many of them are right."
        )
    return "Not judged: there are no test rows with a known target."


def _weakest(evaluation: Evaluation) -> str:
    """Name the class with the lowest F1, where the classes differ."""
    scored = [item for item in evaluation.classes if item.rows and item.f1 is not None]
    targets = {item.target for item in scored}
    if len(scored) < 2 or max(_f1(item) for item in scored) - min(map(_f1, scored)) < 0.005:
        return ""
    worst = min(scored, key=_f1)
    of_target = f" of {worst.target}" if len(targets) > 1 else ""
    return f"; weakest on class {worst.label}{of_target} (F1 {_f1(worst):.2f})"


def _f1(item: ClassScore) -> float:
    return item.f1 or 0.0


_TRAINING_ROWS = (
    "The figures come from the table that trained the model. On new rows they are worse: pass rows "
    "that training did not see."
)


def _remarks(evaluation: Evaluation) -> Iterator[str]:
    source = evaluation.source
    if source is not None and source.tests_training_rows:
        yield _TRAINING_ROWS
    if source is not None and evaluation.scores and source.rows_test < FEW_ROWS:
        yield f"Only {source.rows_test} test rows: treat every figure with caution."
    if source is not None and source.rows_refused:
        yield f"The model refuses {source.rows_refused:,} of the test rows; no figure counts them."
    for item in evaluation.classes:
        of_target = f" of {item.target}" if item.target else ""
        if item.rows and not item.predicted:
            yield f"No test row is predicted as {item.label}{of_target}, though {item.rows} are."
    if evaluation.calibration is not None and evaluation.calibration.error > POOR_CALIBRATION:
        yield (
            f"Its probabilities are off by {evaluation.calibration.error:.2f} on average: rank by "
            "them, but do not read them as chances."
        )
    group = _worst_group(evaluation)
    if group is not None:
        yield (
            f"It errs more where {group.column} is {group.group}: {evaluation.groups_of} "
            f"{group.value:.3g} in {group.rows} rows."
        )
    if evaluation.residuals and not evaluation.residuals[0].name:
        quantiles = evaluation.residuals[0].quantiles
        yield (
            f"Half of the predictions are between {quantiles['25']:.3g} and "
            f"{quantiles['75']:+.3g} of the true value."
        )


def _worst_group(evaluation: Evaluation) -> Group | None:
    """Find the group whose interval lies above the error of all rows of the same column."""
    worst: Group | None = None
    for group in evaluation.groups:
        siblings = [g for g in evaluation.groups if g.column == group.column]
        total = sum(g.value * g.rows for g in siblings) / max(1, sum(g.rows for g in siblings))
        is_large = group.rows >= FEW_GROUP_ROWS
        is_worse = is_large and group.low is not None and group.low > total
        if is_worse and (worst is None or group.value > worst.value):
            worst = group
    return worst


def _interval(score: Score) -> str:
    if score.low is None or score.high is None:
        return ""
    low, high = sorted((_number(score, score.low), _number(score, score.high)), key=float)
    return f" (95 %: {low} to {high})"


def _number(score: Score, value: float) -> str:
    number = -value if score.name.startswith(LOSS_PREFIX) else value
    return f"{number + 0.0:.3f}" if abs(number) < 1000 else f"{number:.5g}"
