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
from stages.reporting.statistics import LEVEL
from stages.reporting.studies import Result, diverged_count
from stages.reporting.tables import NOTHING, markdown, mean_and_sd, number

# The conclusion whose story is told step by step, and the studies that tell it: as run, and with F1 alone mended.
STORY, STORY_STUDY, STORY_MENDED = "N1", "published_learning_rate", "objective_learning_rate"
EPSILON = 1e-15  # what the published loss adds to a probability before taking its logarithm


def findings_context(findings: Findings) -> dict:
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
        "notes": [note for judgement in judgements for note in notes(judgement)],
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


def notes(judgement: Judgement) -> list[str]:
    """What a reader of a verdict should know beside it."""
    claim, told = judgement.claim, []
    if claim.note:
        told.append(claim.note)
    if claim.rule.existence and judgement.verdict == UNDECIDED:
        told.append(
            f"{claims.evidence_text(judgement)}. One network that falls short does not show that none gets there."
        )
    if judgement.missing:
        told.append(f"Not judged: {judgement.missing}.")
    return [f"{claim.id}: {note}" for note in told]


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
    lost, kept = (of_variants(result, names) for result in (as_run, mended))
    return {
        "figure": STORY_MENDED,
        "claim": judged.claim.claim,
        "verdict": judged.verdict,
        "artefact": judged.verdict == ARTEFACT,
        "rates": [f"{float(name):g}" for name in names],
        "diverged": diverged_count(lost),
        "mended_diverged": diverged_count(kept),
        "loss": number((1 - CHANCE) * -math.log(EPSILON), 2),
        "published_losses": [number(loss, 2) for loss in failed["final_loss"]],
        "table": markdown(story_table(published, as_run, mended)),
    }


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
                "as run: lost": diverged_count(ours) if len(ours) else NOTHING,
                "as run: from epoch": "–".join(str(epoch) for epoch in sorted({min(epochs), max(epochs)}))
                if epochs
                else NOTHING,
                "F1 mended: accuracy": mean_and_sd(others["final_accuracy"]),
                "F1 mended: lost": diverged_count(others) if len(others) else NOTHING,
            }
        )
    return pd.DataFrame(rows)
