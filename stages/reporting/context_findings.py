"""What the template may name of the findings: counts, tables, definitions, and the learning-rate story."""

import inspect
import math
from collections.abc import Mapping

import pandas as pd

from stages.reporting import claims, faults, reproduction
from stages.reporting.evidence import collapses
from stages.reporting.faults import Fault
from stages.reporting.findings import Findings
from stages.reporting.halves import Inputs
from stages.reporting.judging import ARTEFACT, UNDECIDED, Judgement
from stages.reporting.published import CHANCE
from stages.reporting.quantities import QUANTITIES, QUANTITIES_AT
from stages.reporting.rules import Claim
from stages.reporting.statistics import LEVEL
from stages.reporting.studies import Result, diverged_count
from stages.reporting.tables import NOTHING, listed, markdown, mean_and_sd, number

# The conclusion whose story is told step by step, and the studies that tell it: as run, and with F1 alone mended.
STORY, STORY_STUDY, STORY_MENDED = "N1", "published_learning_rate", "objective_learning_rate"
LOST = 0.2  # twice the accuracy of guessing: the bound of the rule
EPSILON = 1e-15  # what the published loss adds to a probability before taking its logarithm


def findings_context(inputs: Inputs, findings: Findings) -> dict:
    """Counts, tables, definitions."""
    judgements = findings.judgements
    comparisons = claims.comparison_table(judgements)
    return {
        "counts": reproduction.counts(findings.runs),
        "tolerated": list(dict.fromkeys(findings.runs["rule"])),
        "runs": markdown(reproduction.printed(findings.runs), left=3),
        "verdicts": claims.verdict_counts(judgements),
        "told_verdicts": told_counts(claims.verdict_counts(judgements)),
        "judgements": judgements,
        "notes": [note for judgement in judgements for note in notes(judgement, inputs)],
        "artefacts": [f"{judgement.claim.id} ({judgement.fault})" for judgement in judgements if judgement.fault],
        "claims": markdown(claims.claims_printed(judgements), left=6),
        "comparisons": markdown(claims.comparisons_printed(judgements), left=3),
        "tests": int(comparisons["p"].notna().sum()),
        "stricter": [
            f"{judgement.claim.id} ({strict.verdict})"
            for judgement, strict in zip(judgements, findings.strictly, strict=True)
            if strict.verdict != judgement.verdict
        ],
        "level": f"{100 * LEVEL:.0f} %",
        "error": f"{100 * (1 - LEVEL):.0f} %",
        "definitions": definitions(judgements),
        "faults": [told_fault(fault, findings.effects) for fault in findings.faults],
    }


def told_counts(counts: Mapping[str, int]) -> str:
    """`7 are supported, 3 contradicted and 1 undecided`: the verdicts in a sentence."""
    (first, number_of_first), *others = counts.items()
    told = [f"{number_of_first} are {first}", *(f"{count} {verdict}" for verdict, count in others)]
    return f"{', '.join(told[:-1])} and {told[-1]}".replace(f" {ARTEFACT}", " artefacts of the code")


def notes(judgement: Judgement, inputs: Inputs) -> list[str]:
    """What a reader of a verdict should know beside it."""
    claim, told = judgement.claim, []
    if claim.note:
        told.append(claim.note)
    if claim.rule.existence and judgement.verdict == UNDECIDED:
        told.append(
            f"{claims.evidence_text(judgement)}. One network that falls short does not show that none gets there."
        )
    results = inputs.torch.results if claim.framework == "torch" else inputs.numpy.results
    for runs in claim.rule.runs if judgement.findings else ():
        if diverged := diverged_variants(claim, results.get(runs.study)):
            told.append(f"{runs.name}, some runs diverged: {listed(diverged)}.")
    if judgement.missing:
        told.append(f"Not judged: {judgement.missing}.")
    return [f"{claim.id}: {note}" for note in told]


def diverged_variants(claim: Claim, result: Result | None) -> list[str]:
    """Which of the variants that a rule names have diverged runs in a study, and how many: `5 (1 of 5)`."""
    sides = [side for comparison in claim.rule.comparisons for side in (comparison.left, comparison.right) if side]
    named = dict.fromkeys(variant for side in sides for variant in side.variants)
    known = [] if result is None else [name for name in named if name in result.variants]
    counts = {name: diverged_count(result.runs_of(name)) for name in known}
    return [f"{name.replace('_', ' ')} ({count})" for name, count in counts.items() if not count.startswith("0 ")]


def definitions(judgements: list[Judgement]) -> dict[str, str]:
    """The quantities that the rules use, in words, and what they are."""
    used = {comparison.quantity for judgement in judgements for comparison in judgement.claim.rule.comparisons}
    functions = {name: function for name, function in {**QUANTITIES, **QUANTITIES_AT}.items() if name in used}
    return {name.replace("_", " "): " ".join(inspect.getdoc(function).split()) for name, function in functions.items()}


def told_fault(fault: Fault, effects: pd.DataFrame) -> dict:
    """A fault with its measured effects as a table, and its evidence in words."""
    own = effects[effects["fault"] == fault.id]
    measured = own[own["effect"].notna()]
    return {
        "id": fault.id,
        "name": fault.name,
        "what": fault.what.rstrip("."),
        "table": markdown(faults.printed(measured).drop(columns=["fault", "evidence"])) if len(measured) else None,
        "evidence": [f"{row.setting}: {row.evidence}" for row in own.itertuples() if row.evidence],
    }


def stuck_context(inputs: Inputs, findings: Findings) -> dict | None:
    """Why the published learning rates failed; None where params.yaml lacks the runs that tell."""
    results = inputs.numpy.results
    as_run, mended = results.get(STORY_STUDY), results.get(STORY_MENDED)
    judged = {judgement.claim.id: judgement for judgement in findings.judgements}.get(STORY)
    if as_run is None or mended is None or judged is None or not judged.findings:
        return None
    published = inputs.numpy.published.runs_of("learning_rate")
    failed = published[published["status"] == "diverged"]
    names = [name for name in failed["variant"] if name in as_run.variants and name in mended.variants]
    learnt = [name for name in names if not is_lost(mended.runs_of(name)).any()]
    return {
        "figure": STORY_MENDED,
        "claim": judged.claim.claim,
        "verdict": judged.verdict,
        "artefact": judged.verdict == ARTEFACT,
        "rates": [f"{float(name):g}" for name in names],
        "lost": lost_count(of_variants(as_run, names)),
        "mended_lost": lost_count(of_variants(mended, names)),
        "learnt": [f"{float(name):g}" for name in learnt],
        "bound": f"{LOST:g}",
        "loss": number((1 - CHANCE) * -math.log(EPSILON), 2),
        "published_losses": [number(loss, 2) for loss in failed["final_loss"]],
        "table": markdown(story_table(published, as_run, mended)),
    }


def is_lost(runs: pd.DataFrame) -> pd.Series:
    """Which of some runs end no better than guessing, or little better."""
    return runs["final_accuracy"] < LOST


def lost_count(runs: pd.DataFrame) -> str:
    """How many of some runs are lost: `1 of 3`; a dash for no runs."""
    return f"{is_lost(runs).sum()} of {len(runs)}" if len(runs) else NOTHING


def of_variants(result: Result, names: list[str]) -> pd.DataFrame:
    """The runs of some variants."""
    return result.runs[result.runs["variant"].isin(names)]


def story_table(published: pd.DataFrame, as_run: Result, mended: Result) -> pd.DataFrame:
    """A row a published rate: where its training ended, and ends, as run and with the output error mended."""
    rows = []
    for run in published.itertuples():
        ours, others = as_run.runs_of(run.variant), mended.runs_of(run.variant)
        epochs = collapses(as_run, run.variant) if run.variant in as_run.variants else []
        rows.append(
            {
                "learning rate": f"{float(run.variant):g}",
                "published accuracy": number(run.final_accuracy),
                "published loss": number(run.final_loss, 2),
                "as run: accuracy": mean_and_sd(ours["final_accuracy"]),
                "as run: lost": lost_count(ours),
                "as run: from epoch": "–".join(str(epoch) for epoch in sorted({min(epochs), max(epochs)}))
                if epochs
                else NOTHING,
                "F1 mended: accuracy": mean_and_sd(others["final_accuracy"]),
                "F1 mended: lost": lost_count(others),
            }
        )
    return pd.DataFrame(rows)
