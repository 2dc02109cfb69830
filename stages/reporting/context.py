"""What the report's templates may name: numbers, sentences made from the data, and texts in place of figures."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.reporting import names, tables
from stages.reporting.pictures import Pictures
from stages.reporting.studies import AS_RUN, F1_FIXED, FAILED, FIXED, View, views
from stages.verdicts import reproduction, text
from stages.verdicts.findings import Findings, count_verdicts, wanting_text
from stages.verdicts.judging import UNDECIDED, VERDICTS, Judgement
from stages.verdicts.quantities import QUANTITIES, QUANTITIES_AT
from stages.verdicts.reading import PUBLISHED_ON, Framework, ModelResult, Results, data_set_name
from stages.verdicts.statistics import ALPHA, LEVELS, Estimate
from stages.verdicts.text import listed, number, quantity_name

RELEASE = "F16"
STORY = "N1"  # the statement that the report explains step by step
HOURS = 7  # what `make retrain` takes on two cores, by simulation from measured times of its runs


def context(results: Results, findings: Findings, pictures: Mapping[str, Pictures]) -> dict[str, Any]:
    """What the report's templates may name."""
    judgements, studies = findings.judgements, [*results.numpy.results.values(), *results.torch.results.values()]
    rules = [each.claim.rule for each in judgements if each.claim.rule]
    halves = {"numpy": views(results.numpy, findings), "torch": views(results.torch, findings)}
    trained = {  # a run that several studies name counts once
        (study.trainings[run.variant].model_dump_json(), run.seed): run
        for study in studies
        for run in study.runs.itertuples()
    }
    fewest = min(len(study.seeds) for study in studies)
    functions = (history_text, most_confused, calibration_text, listed, number, tables.markdown)
    return {
        **{function.__name__: function for function in functions},
        **{"results": results, "findings": findings, "params": results.params, "pictures": pictures},
        **{"names": names, "tables": tables, "data_set_name": data_set_name, "views": halves},
        **{"level": f"{100 * (1 - ALPHA):.0f} %", "error": f"{100 * ALPHA:.0f} %"},
        "looks": listed(f"{seeds} ({number(level)})" for seeds, level in LEVELS.items()),
        "counts": reproduction.counts(findings.runs),
        "halves": {"numpy": half_counts(results.numpy, findings), "torch": half_counts(results.torch, findings)},
        "verdicts": text.counts_text(count_verdicts(judgements)),
        "with_verdict": {verdict: [each for each in judgements if each.verdict == verdict] for verdict in VERDICTS},
        "notes": [f"{each.claim.id}: {note}" for each in judgements for note in notes(each)],
        "definitions": {
            quantity_name(name): " ".join(inspect.getdoc(function).split())
            for name, function in {**QUANTITIES, **QUANTITIES_AT}.items()
            if any(each.quantity == name for rule in rules for each in rule.comparisons)
        },
        "trained": {
            "studies": len(studies),
            "runs": len(trained),
            "epochs": sum(int(run.epochs) for run in trained.values()),
            "collapsed": sum(run.status == "diverged" for run in trained.values()),
            "seeds": text.span(len(study.seeds) for study in studies),
        },
        "quick": text.listed(
            f"{data.share:.0%} of {data_set_name(name)}".replace("%", " %")
            for name, data in results.params.data.items()
            if data.share < 1 and name in results.data
        ),
        "elsewhere": [
            f"The {half.name} networks here were trained on {data_set_name(half.dataset)}, so no number published for "
            f"{data_set_name(PUBLISHED_ON[half.name])} is compared."
            for half in (results.numpy, results.torch)
            if not half.comparable
        ],
        "story": story(halves["numpy"], results, findings),
        "release": release_effect(findings),
        "hours": HOURS,
        "fewest": fewest,
        "width": number(Estimate(0, 1, fewest).prediction_interval()[1], 1),
    }


def half_counts(half: Framework, findings: Findings) -> dict[str, int]:
    """How many runs of a framework were published and are reproduced, and how many ran not what the report says."""
    runs = findings.runs[findings.runs["framework"] == half.name]
    return {**reproduction.counts(runs), "differs": int(runs["differs"].sum())}


def notes(judgement: Judgement) -> list[str]:
    """Notes on a verdict: the claim's own note, and what an undecided one lacks."""
    claim, outcome = judgement.claim, judgement.decided_by
    found = [claim.note] if claim.note else []
    if judgement.verdict == UNDECIDED:
        if judgement.missing:
            reason = judgement.missing
        elif any(each.model for each in claim.rule.comparisons):
            reason = "one network that falls short refutes nothing"
        else:
            reason = wanting_text(outcome) if outcome and outcome.findings else "there are too few seeds"
        found.append(f"undecided, as {reason}.")
    return found


def story(studies: Sequence[View], results: Results, findings: Findings) -> dict[str, Any] | None:
    """Why the published learning rates failed; None where params.yaml lacks the runs that show it."""
    view = next((each for each in studies if each.name == "learning_rate"), None)
    judged = next((each for each in findings.judgements if each.claim.id == STORY), None)
    told = view is not None and {AS_RUN, F1_FIXED} <= set(view.sources) and results.numpy.comparable
    if not told or judged is None or not judged.decided_by:
        return None
    published = results.numpy.published.runs_of("learning_rate")
    failed = published[published["status"] == "diverged"]
    rates = [names.label(rate) for rate in failed["variant"]]
    as_run, fixed = view.sources[AS_RUN].runs, view.sources[F1_FIXED].runs
    highest = max(rates, key=float)
    peak = as_run[as_run["variant"].isin(rates)]["best_accuracy"]
    all_fixed = view.sources[FIXED].runs_of(highest)["end"] if FIXED in view.sources else []
    return {
        "verdict": judged.verdict,
        "rates": listed(rates),
        "highest": highest,
        "failed": failed_count(as_run, rates),
        "peak": " to ".join(f"{end:.2f}" for end in (peak.min(), peak.max())),
        "lowest": text.mean_and_sd(as_run[~as_run["variant"].isin(rates)]["end"], 2),
        "fixed_failed": failed_count(fixed, rates),
        "fixed_rates": [(rate, failed_count(fixed, [rate])) for rate in rates],
        "all_fixed": text.mean_and_sd(all_fixed),
        "published_losses": listed(number(loss, 2) for loss in failed["final_loss"]),
    }


def release_effect(findings: Findings) -> str:
    """By how much today's division of Fashion-MNIST lowers the published code's accuracy."""
    effects = -findings.effects[findings.effects["bug"] == RELEASE]["effect"].dropna()
    return f"{effects.mean():.3f}" if len(effects) else ""


def failed_count(runs: pd.DataFrame, labels: Sequence[str]) -> str:
    """How many runs of some variants end hardly better than guessing: `1 of 3`."""
    own = runs[runs["variant"].isin(labels)]
    return f"{(own['end'] < FAILED).sum()} of {len(own)}"


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
    if not np.isfinite(confidence):
        return "without finite confidences"
    kind = "underconfident" if confidence < accuracy else "overconfident"
    return f"{kind}, with mean confidence {number(confidence)} and accuracy {number(accuracy)}"
