"""What a figure says, in words and numbers: for whoever can't see it, and wherever it doesn't load."""

from collections.abc import Mapping

import pandas as pd

from stages.reporting.cards import most_confused, sureness
from stages.reporting.counterparts import Arm
from stages.reporting.naming import label
from stages.reporting.record import Record, Scores
from stages.reporting.studies import Result
from stages.reporting.sweeps import Sweep
from stages.reporting.tables import listed, number


def sweep_text(sweep: Sweep) -> str:
    """Of a published study beside ours: the best and the worst variant of each column."""
    readings = [
        f"{column}, {extremes(runs.runs, sweep.ends)}" for column, runs in sweep.columns.items() if runs is not None
    ]
    columns = listed(list(sweep.columns))
    curves = f"Accuracy and loss by epoch for each variant of the study {sweep.title.lower()}: {columns}"
    return f"{curves}; below, the {sweep.split} accuracy that each ends on: {'; '.join(readings)}"


def study_text(result: Result) -> str:
    """Of a further study: its best and worst variant, and how many runs were given up."""
    start = f"{result.split.capitalize()} accuracy and loss by epoch of {len(result.variants)} variants"
    text = f"{start}, and the final accuracy of each seed: {extremes(result.runs, 'final_accuracy')}"
    given_up = len(result.diverged)
    return f"{text}; {given_up} of {len(result.runs)} runs diverged" if given_up else text


def counterparts_text(groups: Mapping[str, list[Arm]]) -> str:
    """Of a study beside the same trainings as published: where each way of training ends, group by group."""
    readings = []
    for title, group in groups.items():
        means = [f"{arm.label} {number(arm.result.runs_of(arm.variant)['final_accuracy'].mean())}" for arm in group]
        readings.append(f"{title}, {listed(means)}")
    start = "Accuracy and loss by epoch, as published and with one thing changed"
    return f"{start}; mean final accuracy: {'; '.join(readings)}"


def extremes(runs: pd.DataFrame, column: str) -> str:
    """The variants with the highest and the lowest mean: `best adam with 0.8943, worst sgd with 0.8712`."""
    means = runs.groupby("variant", sort=False)[column].mean().dropna()
    if means.empty:
        return "no number"
    best, worst = (f"{label(name)} with {number(means[name])}" for name in (means.idxmax(), means.idxmin()))
    return f"best {best}, worst {worst}" if len(means) > 1 else f"{best}"


def history_text(scores: Scores) -> str:
    """Of a training: what it ends on."""
    last = scores.history.iloc[-1]
    end = f"{scores.split} accuracy {number(last['accuracy'])}, loss {number(last['loss'], 3)}"
    best = scores.metrics.get("best_epoch")
    return f"{end} after {len(scores.history)} epochs" + (f"; the loss is lowest in epoch {best}" if best else "")


def record_texts(record: Record) -> dict[str, str]:
    """Of a model of record, by the kind of its figures: what each of them comes to."""
    sure = sureness(record.calibration)
    texts = {
        "history": history_text(record),
        "confusion": f"the commonest mistake is {most_confused(record.confusion)}",
        "calibration": f"mean confidence {sure['confidence']}, accuracy {sure['accuracy']}: {sure['kind']}",
    }
    if not record.mistakes.empty:
        first = record.mistakes.iloc[0]
        texts["mistakes"] = (
            f"the surest is {first['label']} taken for {first['predicted']} at {number(first['confidence'])}"
        )
    return texts
