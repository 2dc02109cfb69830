"""What the study concludes: which runs are reproduced, the effects of bugs, the verdicts. Written to these files:

verdicts/reproduction.csv   one row per published run
verdicts/bugs.csv           one row per effect of a bug
verdicts/claims.csv         one row per conclusion of the report, with its rule, verdict and robustness
verdicts/comparisons.csv    one row per comparison behind a verdict
metrics.json                counts, and the verdict on each conclusion, for `dvc metrics diff`
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.training.files import write_csv, write_json
from stages.verdicts import reproduction
from stages.verdicts.bugs import Bug, bug_table
from stages.verdicts.judging import (
    NOT_TESTABLE,
    UNDECIDED,
    VERDICTS,
    Analysis,
    Evidence,
    Finding,
    Judgement,
    NotRunError,
    Outcome,
    judge,
)
from stages.verdicts.quantities import Reading
from stages.verdicts.reading import PUBLISHED_ON, Results, data_set_name
from stages.verdicts.rules import Claim, read_entries
from stages.verdicts.statistics import LEVELS, LOOKS, seeds_to_show
from stages.verdicts.text import comparison_text, estimate_text, left_text, quantity_name, right_text

CLAIM_COLUMNS = ["claim", "text", "rule", "verdict", "as_run", "fixed", "bug", "comparison", "estimate", "low", "high"]
CLAIM_COLUMNS += ["seeds", "look", "margin", "robustness", "evidence"]
COMPARISON_COLUMNS = ["claim", "runs", "quantity", "left", "right", "margin", "estimate", "low", "high", "seeds"]
COMPARISON_COLUMNS += ["look", "p_holds", "p_against", "p_no_difference", "outcome"]
# Each verdict is determined again with one thing changed.
ROBUSTNESS = {
    "settled within 0.005": Analysis(reading=Reading(settled=0.005)),
    "settled within 0.015": Analysis(reading=Reading(settled=0.015)),
    "last epoch alone": Analysis(reading=Reading(last=1)),
    "half the margin": Analysis(margins=0.5),
    "one family": Analysis(family=lambda claim: "all"),
    "half of the seeds": Analysis(every=2),
}


@dataclass(frozen=True)
class Findings:
    """`runs`: the table of reproduced runs; `effects`: that of the effects of `bugs`; `judgements`: the verdicts;
    `robustness`: the verdicts with one thing changed, by what that is.
    """

    runs: pd.DataFrame
    bugs: list[Bug]
    effects: pd.DataFrame
    judgements: list[Judgement]
    robustness: Mapping[str, list[Judgement]]

    def changes(self, place: int) -> dict[str, str]:
        """The other verdicts on the claim at `place`, by what has to be changed for them."""
        verdicts = {name: judged[place].verdict for name, judged in self.robustness.items()}
        return {name: verdict for name, verdict in verdicts.items() if verdict != self.judgements[place].verdict}


def conclude(results: Results, published: Path) -> Findings:
    """Compare runs, measure effects and evaluate the rules in the folder `published`."""
    claims, bugs = read_entries(published / "claims.yaml", Claim), read_entries(published / "bugs.yaml", Bug)

    def evidence(claim: Claim) -> Evidence:
        half = results.torch if claim.framework == "torch" else results.numpy
        if not half.comparable:
            on, trained = (data_set_name(name) for name in (PUBLISHED_ON[half.name], half.dataset))
            raise NotRunError(f"it is about {on}, and the networks here were trained on {trained}")
        models = {name: each for name, each in results.models.items() if each.dataset == half.dataset}
        return Evidence(half.results, models)

    return Findings(
        runs=reproduction.reproduction_table(results.numpy, results.torch),
        bugs=bugs,
        effects=bug_table(bugs, results),
        judgements=judge(claims, evidence),
        robustness={name: judge(claims, evidence, analysis) for name, analysis in ROBUSTNESS.items()},
    )


def write_findings(findings: Findings, folder: Path) -> None:
    """Write the files."""
    tables = {
        "reproduction": findings.runs[list(reproduction.COLUMNS)],
        "bugs": findings.effects,
        "claims": claim_table(findings),
        "comparisons": comparison_table(findings.judgements)[COMPARISON_COLUMNS],
    }
    for name, table in tables.items():
        write_csv(folder / "verdicts" / f"{name}.csv", table)
    write_json(folder / "metrics.json", metrics(findings))


def metrics(findings: Findings) -> dict[str, Any]:
    """Counts that summarise the study, and the claims with each verdict, so that `dvc metrics diff` shows a change."""
    counts = reproduction.counts(findings.runs)
    verdicts = count_verdicts(findings.judgements)
    return {
        "runs": {name: counts[name] for name in ("published", "reproduced")},
        "verdicts": verdicts,
        "claims": {
            verdict: " ".join(each.claim.id for each in findings.judgements if each.verdict == verdict)
            for verdict in verdicts
        },
    }


def count_verdicts(judgements: Sequence[Judgement]) -> dict[str, int]:
    """How many claims have each verdict."""
    verdicts = [judgement.verdict for judgement in judgements]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS}


def claim_table(findings: Findings) -> pd.DataFrame:
    """One row per claim, in the columns of claims.csv. `as_run`, `fixed`: what those runs alone say.

    `comparison` is the one on which the verdict hangs; its interval is at the level of its look.
    """
    rows = []
    for place, judgement in enumerate(findings.judgements):
        claim, outcome = judgement.claim, judgement.decided_by
        as_run = [each.verdict for each in judgement.outcomes if not each.runs.fixes]
        fixed = [each.verdict for each in judgement.outcomes if each.runs.fixes]
        decisive = outcome.decisive if outcome else None
        comparison = decisive.comparison if decisive else None
        rows.append(
            {
                "claim": claim.id,
                "text": claim.claim,
                "rule": "; ".join(map(comparison_text, claim.rule.comparisons)) if claim.rule else "",
                "verdict": judgement.verdict,
                "as_run": as_run[0] if as_run else "",
                "fixed": fixed[-1] if fixed else "",
                "bug": judgement.bug,
                "comparison": comparison_text(comparison) if comparison else "",
                **(numbers(decisive, outcome) if decisive else {}),
                "look": judgement.look or np.nan,
                "margin": comparison.margin if comparison and comparison.margin_counts else np.nan,
                "robustness": robustness_text(findings, place),
                "evidence": evidence_text(judgement),
            }
        )
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS)


def numbers(finding: Finding, outcome: Outcome) -> dict[str, float]:
    """A comparison's estimate, its interval at the level of the look, and its seeds."""
    low, high = finding.estimate.interval(1 - outcome.level)
    return {"estimate": finding.estimate.value, "low": low, "high": high, "seeds": finding.estimate.seeds}


def robustness_text(findings: Findings, place: int) -> str:
    """What would change a verdict: `half the margin: undecided`."""
    if findings.judgements[place].missing or findings.judgements[place].verdict == NOT_TESTABLE:
        return ""
    changes = findings.changes(place)
    return "; ".join(f"{name}: {verdict}" for name, verdict in changes.items()) or "same in all"


def evidence_text(judgement: Judgement) -> str:
    """The numbers behind a verdict, runs by runs: `as run: +0.0123 [−0.0371, +0.0239], undecided`."""
    if judgement.missing:
        return judgement.missing
    texts = []
    for outcome in judgement.outcomes:
        found = [
            f"{estimate_text(each.comparison, each.estimate, outcome.level)}, {each.outcome(outcome.level)}"
            for each in outcome.findings
        ]
        texts.append(f"{outcome.runs.name}: {', '.join(found) or outcome.runs.not_tested or 'too few seeds'}")
    if judgement.verdict == UNDECIDED and judgement.decided_by and judgement.decided_by.findings:
        texts.append(wanting_text(judgement.decided_by))
    return "; ".join(texts)


def wanting_text(outcome: Outcome) -> str:
    """How many seeds would decide some runs, by the comparison that needs most."""
    needed = [seeds_to_decide(each) for each in outcome.findings if each.outcome(outcome.level) == UNDECIDED]
    if not needed:
        return "its comparisons are decided one by one, not together"
    most = max(needed)
    if not np.isfinite(most):
        return "no number of seeds would decide it"
    return f"about {max(most, LOOKS[0]):.0f} seeds would decide it"


def seeds_to_decide(finding: Finding) -> float:
    """How many seeds would show the present difference at the level of the last look, or that there is none within the
    margin; inf for neither, and for a final model, of which there is one.
    """
    comparison, found, level = finding.comparison, finding.estimate, LEVELS[LOOKS[-1]]
    if comparison.model:
        return np.inf
    beyond = found.value - comparison.target
    inside = comparison.margin - abs(beyond if comparison.sense == "within" else found.value)
    corrected = finding.p_against / finding.against_corrected if finding.p_against < finding.p_for else 1.0
    needed = []
    if comparison.margin_counts and inside > 0:
        needed.append(seeds_to_show(inside, found.sd, 2 * level))
    if comparison.sense != "within" or inside <= 0:
        needed.append(seeds_to_show(inside if comparison.sense == "within" else beyond, found.sd, level * corrected))
    return min(needed)


def comparison_table(judgements: Sequence[Judgement]) -> pd.DataFrame:
    """One row per comparison: the columns of comparisons.csv, and the comparison and its estimate in words."""
    rows = []
    for judgement in judgements:
        for outcome in judgement.outcomes:
            for each in outcome.findings:
                comparison = each.comparison
                rows.append(
                    {
                        "claim": judgement.claim.id,
                        "runs": outcome.runs.name,
                        "quantity": quantity_name(comparison.quantity, comparison.at),
                        "left": left_text(comparison),
                        "right": right_text(comparison),
                        "margin": comparison.margin if comparison.margin_counts else np.nan,
                        **numbers(each, outcome),
                        "look": outcome.look or np.nan,
                        "p_holds": each.p_for,
                        "p_against": each.against_corrected,
                        "p_no_difference": each.p_none,
                        "outcome": each.outcome(outcome.level),
                        "comparison": comparison_text(comparison),
                        "text": estimate_text(comparison, each.estimate, outcome.level),
                    }
                )
    return pd.DataFrame(rows, columns=[*COMPARISON_COLUMNS, "comparison", "text"])
