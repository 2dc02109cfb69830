"""What the report's templates may name: numbers, sentences made from the data, and texts in place of figures."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from stages.reporting import names, sweeps, tables
from stages.reporting.pictures import Pictures
from stages.reporting.sweeps import Sweep
from stages.verdicts import reproduction, text
from stages.verdicts.findings import Findings, count_verdicts, wanting_text
from stages.verdicts.judging import UNDECIDED, Judgement
from stages.verdicts.quantities import QUANTITIES, QUANTITIES_AT
from stages.verdicts.reading import DATA_SETS, GUESS, Curves, Framework, ModelResult, Results, StudyResult
from stages.verdicts.statistics import ALPHA, LEVELS
from stages.verdicts.text import NOTHING, listed, mean_and_sd, number, percent, quantity_name, span

# The conclusion that the report explains step by step, and its studies: as run, and with only F1 fixed.
STORY, STORY_STUDY, STORY_FIXED = "N1", "published_learning_rate", "objective_learning_rate"
FAILED = 0.2  # twice the accuracy of guessing: the bound of the rule
EPSILON = 1e-15  # what the published loss adds to a probability before taking its logarithm


def context(results: Results, findings: Findings, pictures: Mapping[str, Pictures]) -> dict[str, Any]:
    """What the report's templates may name."""
    judgements, models = findings.judgements, results.models
    rules = [each.claim.rule for each in judgements if each.claim.rule]
    functions = (sweep_text, study_text, groups_text, history_text, most_confused, calibration_text)
    return {
        **{function.__name__: function for function in (*functions, listed, number, percent, tables.markdown)},
        **{"results": results, "findings": findings, "params": results.params, "pictures": pictures},
        **{"names": names, "tables": tables, "data_sets": DATA_SETS},
        **{"level": f"{100 * (1 - ALPHA):.0f} %", "error": f"{100 * ALPHA:.0f} %"},
        "looks": listed(f"{seeds} ({number(level)})" for seeds, level in LEVELS.items()),
        "precision": listed(
            sorted({each.precision for study in results.params.ablations.values() for each in study.trainings.values()})
        ),
        "counts": reproduction.counts(findings.runs),
        "verdicts": text.counts_text(count_verdicts(judgements)),
        "artefacts": listed(f"{each.claim.id} ({each.bug})" for each in judgements if each.bug),
        "notes": [f"{each.claim.id}: {note}" for each in judgements for note in notes(each)],
        "definitions": {
            quantity_name(name): " ".join(inspect.getdoc(function).split())
            for name, function in {**QUANTITIES, **QUANTITIES_AT}.items()
            if any(each.quantity == name for rule in rules for each in rule.comparisons)
        },
        "effects": [(bug, findings.effects[findings.effects["bug"] == bug.id]) for bug in findings.bugs],
        "story": story_context(results, findings),
        "numpy": framework_context(results.numpy, findings),
        "torch": framework_context(results.torch, findings),
        "networks": {name: model for name, model in models.items() if name.startswith("cnn_")},
    }


def framework_context(framework: Framework, findings: Findings) -> dict[str, Any]:
    """The studies of a framework, and how many of its published runs are reproduced."""
    runs = findings.runs[findings.runs["framework"] == framework.name]
    diverged = runs["published_status"] == "diverged"
    return {
        "prefix": sweeps.PREFIXES[framework.name],
        "dataset": DATA_SETS[framework.dataset],
        "comparable": framework.comparable,
        "results": framework.results,
        "sweeps": sweeps.published_sweeps(framework),
        "further": sweeps.further_studies(framework),
        "runs": runs,
        **reproduction.counts(runs),
        "published_diverged": int(diverged.sum()),
        "both_diverged": int((diverged & (runs["diverged"] > 0)).sum()),
        "differs": int(runs["differs"].sum()),
    }


def notes(judgement: Judgement) -> list[str]:
    """Notes on a verdict: the claim's own note, and what an undecided one lacks."""
    claim, outcome = judgement.claim, judgement.decided_by
    found = [claim.note] if claim.note else []
    if judgement.verdict == UNDECIDED:
        if any(each.model for each in claim.rule.comparisons):
            found.append("undecided, as one network that falls short refutes nothing.")
        else:
            wanting = wanting_text(outcome) if outcome and outcome.findings else "there are too few seeds"
            found.append(f"undecided, as {judgement.missing or wanting}.")
    return found


def story_context(results: Results, findings: Findings) -> dict[str, Any] | None:
    """Why the published learning rates failed; None where params.yaml lacks the runs that show it."""
    as_run, fixed = (results.numpy.results.get(name) for name in (STORY_STUDY, STORY_FIXED))
    judged = {judgement.claim.id: judgement for judgement in findings.judgements}.get(STORY)
    if as_run is None or fixed is None or judged is None or not judged.decided_by:
        return None
    published = results.numpy.published.runs_of("learning_rate")
    failed = published[published["status"] == "diverged"]
    rates = [name for name in failed["variant"] if name in as_run.variants and name in fixed.variants]
    learnt = [name for name in rates if not (fixed.runs_of(name)["final_accuracy"] < FAILED).any()]
    return {
        "study": STORY_FIXED,
        "claim": judged.claim.claim,
        "verdict": judged.verdict,
        "rates": listed(f"{float(name):g}" for name in rates),
        "failed": failed_count(as_run.runs[as_run.runs["variant"].isin(rates)]),
        "fixed_failed": failed_count(fixed.runs[fixed.runs["variant"].isin(rates)]),
        "learnt": listed(f"{float(name):g}" for name in learnt),
        "bound": f"{FAILED:g}",
        "loss": number((1 - GUESS) * -math.log(EPSILON), 2),
        "published_losses": listed(number(loss, 2) for loss in failed["final_loss"]),
        "table": story_table(published, as_run, fixed),
    }


def failed_count(runs: pd.DataFrame) -> str:
    """How many runs end hardly better than guessing: `1 of 3`; a dash if there are no runs."""
    return f"{(runs['final_accuracy'] < FAILED).sum()} of {len(runs)}" if len(runs) else NOTHING


def story_table(published: pd.DataFrame, as_run: StudyResult, fixed: StudyResult) -> pd.DataFrame:
    """One row per published rate: how training ended as published, as run here, and with the output error fixed."""
    rows = []
    for run in published.itertuples():
        ours, others = as_run.runs_of(run.variant), fixed.runs_of(run.variant)
        diverged = ours[ours["status"] == "diverged"]["seed"]
        epochs = [reproduction.collapse_epoch(as_run.history_of(run.variant, seed)) for seed in diverged]
        rows.append(
            {
                "learning rate": f"{float(run.variant):g}",
                "published accuracy": number(run.final_accuracy),
                "published loss": number(run.final_loss, 2),
                "as run: accuracy": mean_and_sd(ours["final_accuracy"]),
                "as run: failed": failed_count(ours),
                "as run: from epoch": span(epoch for epoch in epochs if epoch is not None),
                "F1 fixed: accuracy": mean_and_sd(others["final_accuracy"]),
                "F1 fixed: failed": failed_count(others),
            }
        )
    return pd.DataFrame(rows)


def sweep_text(sweep: Sweep) -> str:
    """A published study and ours in words: the best and the worst variant of each column."""
    readings = [f"{column}, {extremes(each.runs, sweep.ends)}" for column, each in sweep.columns.items() if each]
    curves = f"Accuracy and loss by epoch for each variant of the study {sweep.title.lower()}: {listed(sweep.columns)}"
    return f"{curves}; below, the {sweep.split} accuracy that each ends on: {'; '.join(readings)}"


def study_text(result: StudyResult) -> str:
    """A further study in words: its best and worst variant, and how many runs diverged."""
    start = f"{result.split.capitalize()} accuracy and loss by epoch of {len(result.variants)} variants"
    sentence = f"{start}, and the final accuracy of each seed: {extremes(result.runs, 'final_accuracy')}"
    return f"{sentence}; {tables.diverged_count(result.runs)} runs diverged" if len(result.diverged) else sentence


def groups_text(groups: Mapping[str, Curves]) -> str:
    """Training runs with one change in words: the final accuracy of each, group by group."""
    readings = []
    for title, curves in groups.items():
        means = curves.runs.groupby("variant", sort=False)["final_accuracy"].mean()
        readings.append(f"{title}, {listed(f'{label} {number(mean)}' for label, mean in means.items())}")
    start = "Accuracy and loss by epoch, as published and with one thing changed"
    return f"{start}; mean final accuracy: {'; '.join(readings)}"


def extremes(runs: pd.DataFrame, column: str) -> str:
    """The variants with the highest and the lowest mean: `best adam with 0.8943, worst sgd with 0.8712`."""
    means = runs.groupby("variant", sort=False)[column].mean().dropna()
    if means.empty:
        return "no finite value"
    best, worst = (f"{names.label(name)} with {number(means[name])}" for name in (means.idxmax(), means.idxmin()))
    return f"best {best}, worst {worst}" if len(means) > 1 else f"{best}"


def history_text(model: ModelResult) -> str:
    """A training run in words: its last accuracy and loss."""
    last, best = model.history.iloc[-1], model.metrics.get("best_epoch")
    end = f"{model.split} accuracy {number(last['accuracy'])}, loss {number(last['loss'], 3)}"
    return f"{end} after {len(model.history)} epochs" + (f"; the loss is lowest in epoch {best}" if best else "")


def most_confused(confusion: pd.DataFrame) -> str:
    """The most frequent confusion: `cat taken for dog, 120 of 1,000`."""
    counts = confusion.to_numpy(copy=True)
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    label, predicted = np.unravel_index(counts.argmax(), counts.shape)
    classes = list(confusion.index)
    return f"{classes[label]} taken for {classes[predicted]}, {counts[label, predicted]:,} of {totals[label]:,}"


def calibration_text(calibration: pd.DataFrame) -> str:
    """Whether a model is over- or underconfident: mean confidence and accuracy over all test images."""
    filled = calibration[calibration["count"] > 0]
    confidence, accuracy = (np.average(filled[name], weights=filled["count"]) for name in ("confidence", "accuracy"))
    kind = "underconfident" if confidence < accuracy else "overconfident"
    return f"{kind}, with mean confidence {number(confidence)} and accuracy {number(accuracy)}"
