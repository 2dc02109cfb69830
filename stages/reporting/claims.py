"""The verdicts as tables: a row a claim, a row a comparison; rules and findings in words made from the data."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.reporting.judging import NOT_JUDGED, VERDICTS, Finding, Judgement
from stages.reporting.quantities import quantity_name
from stages.reporting.rules import SINGLE, Comparison, Rule, Side
from stages.reporting.tables import NOTHING, interval, listed, number, signed

WAYS = {
    "highest": "the highest of",
    "lowest": "the lowest of",
    "mean": "the mean of",
    "range": "the range over",
    "per_doubling_of_batch_size": "the change per doubling of the batch size over",
    "per_doubling_of_weights": "the change per doubling of the number of weights over",
}
# Slopes and changes from epoch to epoch are small numbers; epochs and seconds are large ones.
DIGITS = {"plateau_epoch": 1, "epochs_to": 1, "epoch_seconds": 2}
FEW = 4  # more variants than these are told by the first and the last
CLAIM_COLUMNS = ("claim", "text", "verdict", "as_run", "mended", "fault", "rule", "evidence")
COMPARISON_COLUMNS = (
    *("claim", "runs", "quantity", "left", "right", "margin"),
    *("estimate", "low", "high", "seeds", "p", "p_holm", "outcome"),
)


def side_text(side: Side) -> str:
    """`0.15`, or `the highest of 1, 2 and 3`."""
    names = [name.replace("_", " ").replace("/", " ") for name in side.variants]
    told = listed(names) if len(names) <= FEW else f"{names[0]} to {names[-1]}"
    return told if side.way == SINGLE else f"{WAYS[side.way]} {told}"


def left_text(comparison: Comparison) -> str:
    """What a comparison is about."""
    return side_text(comparison.left) if comparison.left else str(comparison.record).replace("_", " ")


def right_text(comparison: Comparison) -> str:
    """What it compares with."""
    return side_text(comparison.right) if comparison.right else f"{comparison.bound:g}"


def comparison_text(comparison: Comparison) -> str:
    """A comparison as a phrase: `final accuracy: 2 below 1 by more than 0.05`."""
    quantity = quantity_name(comparison.quantity, comparison.at)
    text = f"{quantity}: {left_text(comparison)} {comparison.sense} {right_text(comparison)}"
    if comparison.sense == "near":
        return f"{text}, within {comparison.margin:g}"
    return f"{text} by more than {comparison.margin:g}" if comparison.margin else text


def rule_text(rule: Rule) -> str:
    """All comparisons of a rule."""
    return "; ".join(map(comparison_text, rule.comparisons))


def finding_text(finding: Finding) -> str:
    """What a comparison came to: `+0.0123 [−0.0371, +0.0239], open`."""
    estimate, digits = finding.estimate, DIGITS.get(finding.comparison.quantity, 4)
    left = finding.comparison.left
    difference = finding.comparison.right is not None or (left is not None and left.way.startswith("per_doubling"))
    write = signed if difference else number
    reach = interval(estimate.low, estimate.high, digits, sign=difference)
    return f"{write(estimate.value, digits)} {reach}, {finding.outcome}"


def evidence_text(judgement: Judgement) -> str:
    """The numbers behind a verdict, runs by runs."""
    if judgement.missing:
        return judgement.missing
    return "; ".join(
        f"{name}: {', '.join(map(finding_text, findings))}" for name, findings in judgement.findings.items()
    )


def claim_table(judgements: Sequence[Judgement]) -> pd.DataFrame:
    """A row a claim, in the columns of reports/claims.csv. `as_run` and `mended` are what those runs alone say."""
    rows = []
    for judgement in judgements:
        runs = judgement.claim.rule.runs
        as_run = [judgement.outcomes.get(each.name, "") for each in runs if not each.mends]
        mended = [judgement.outcomes.get(each.name, "") for each in runs if each.mends]
        rows.append(
            {
                "claim": judgement.claim.id,
                "text": judgement.claim.claim,
                "verdict": judgement.verdict,
                "as_run": as_run[0] if as_run else "",
                "mended": mended[-1] if mended else "",
                "fault": judgement.fault,
                "rule": rule_text(judgement.claim.rule),
                "evidence": evidence_text(judgement),
            }
        )
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))


def comparison_table(judgements: Sequence[Judgement]) -> pd.DataFrame:
    """A row a comparison of every claim and runs, in the columns of reports/comparisons.csv."""
    rows = [
        {
            "claim": judgement.claim.id,
            "runs": name,
            "quantity": quantity_name(finding.comparison.quantity, finding.comparison.at),
            "left": left_text(finding.comparison),
            "right": f"{finding.comparison.sense} {right_text(finding.comparison)}",
            "margin": finding.comparison.margin,
            "estimate": finding.estimate.value,
            "low": finding.estimate.low,
            "high": finding.estimate.high,
            "seeds": finding.estimate.seeds,
            "p": finding.estimate.p,
            "p_holm": finding.p_corrected,
            "outcome": finding.outcome,
        }
        for judgement in judgements
        for name, findings in judgement.findings.items()
        for finding in findings
    ]
    return pd.DataFrame(rows, columns=list(COMPARISON_COLUMNS))


def verdict_counts(judgements: Sequence[Judgement]) -> dict[str, int]:
    """How many claims got each verdict; how many were not judged is told only where some were not."""
    counts = {verdict: sum(each.verdict == verdict for each in judgements) for verdict in VERDICTS}
    left_out = sum(each.verdict == NOT_JUDGED for each in judgements)
    return counts | ({NOT_JUDGED: left_out} if left_out else {})


def claims_printed(judgements: Sequence[Judgement]) -> pd.DataFrame:
    """The verdicts, ready to print."""
    table = claim_table(judgements)
    return pd.DataFrame(
        {
            "claim": table["claim"],
            "verdict": table["verdict"],
            "the report concludes": table["text"],
            "as run": table["as_run"].replace("", NOTHING),
            "mended": table["mended"].replace("", NOTHING),
            "fails with": table["fault"].replace("", NOTHING),
        }
    )


def comparisons_printed(judgements: Sequence[Judgement]) -> pd.DataFrame:
    """The comparisons, ready to print."""
    return pd.DataFrame(
        [
            {
                "claim": judgement.claim.id,
                "runs": name,
                "comparison": comparison_text(finding.comparison),
                "estimate": finding_text(finding).rpartition(",")[0],
                "seeds": finding.estimate.seeds,
                "p": p_text(finding.estimate.p),
                "p, Holm": p_text(finding.p_corrected),
                "outcome": finding.outcome,
            }
            for judgement in judgements
            for name, findings in judgement.findings.items()
            for finding in findings
        ]
    )


def p_text(p: float) -> str:
    """A p-value to two digits; very small ones by their bound."""
    if not np.isfinite(p):
        return NOTHING
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"
