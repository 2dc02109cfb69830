"""What the study concludes: which runs are reproduced, the effects of bugs, the verdicts. Written to these files:

verdicts/reproduction.csv   one row per published run
verdicts/bugs.csv           one row per effect of a bug
verdicts/claims.csv         one row per conclusion of the report, with its verdict
verdicts/comparisons.csv    one row per comparison behind a verdict
metrics.json                counts, and the verdict on each conclusion, for `dvc metrics diff`
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stages.training.files import write_csv, write_json
from stages.verdicts import reproduction
from stages.verdicts.bugs import Bug, bug_table
from stages.verdicts.judging import NOT_TESTED, VERDICTS, Evidence, Judgement, NotRunError, apply_rules, judge
from stages.verdicts.reading import DATA_SETS, PUBLISHED_ON, Results
from stages.verdicts.rules import Claim, read_entries
from stages.verdicts.text import comparison_text, estimate_text, left_text, quantity_name, right_text

CLAIM_COLUMNS = ["claim", "text", "verdict", "as_run", "fixed", "bug", "rule", "evidence"]
COMPARISON_COLUMNS = ["claim", "runs", "quantity", "left", "right", "margin", "estimate", "low", "high", "seeds"]
COMPARISON_COLUMNS += ["p", "p_holm", "outcome"]


@dataclass(frozen=True)
class Findings:
    """`runs`: the table of reproduced runs; `effects`: that of the effects of `bugs`; `judgements`: the verdicts;
    `strict`: the verdicts if the tests of all studies are corrected together.
    """

    runs: pd.DataFrame
    bugs: list[Bug]
    effects: pd.DataFrame
    judgements: list[Judgement]
    strict: list[Judgement]


def conclude(results: Results, published: Path) -> Findings:
    """Compare runs, measure effects and evaluate the rules in the folder `published`."""
    claims, bugs = read_entries(published / "claims.yaml", Claim), read_entries(published / "bugs.yaml", Bug)

    def evidence(claim: Claim) -> Evidence:
        half = results.torch if claim.framework == "torch" else results.numpy
        if not half.comparable:
            on, trained = DATA_SETS[PUBLISHED_ON[half.name]], DATA_SETS[half.dataset]
            raise NotRunError(f"it is about {on}, and the networks here were trained on {trained}")
        return Evidence(half.results, half.published, results.models)

    tests = apply_rules(claims, evidence)
    return Findings(
        runs=reproduction.reproduction_table(results.numpy, results.torch),
        bugs=bugs,
        effects=bug_table(bugs, results),
        judgements=judge(claims, tests),
        strict=judge(claims, tests, family=lambda claim: "all"),
    )


def write_findings(findings: Findings, folder: Path) -> None:
    """Write the files."""
    tables = {
        "reproduction": findings.runs[list(reproduction.COLUMNS)],
        "bugs": findings.effects,
        "claims": claim_table(findings.judgements),
        "comparisons": comparison_table(findings.judgements)[COMPARISON_COLUMNS],
    }
    for name, table in tables.items():
        write_csv(folder / "verdicts" / f"{name}.csv", table)
    write_json(folder / "metrics.json", metrics(findings))


def metrics(findings: Findings) -> dict[str, Any]:
    """Counts that summarise the study, and the claims with each verdict, so that `dvc metrics diff` shows a change."""
    counts = reproduction.counts(findings.runs)
    return {
        "runs": {name: counts[name] for name in ("published", "reproduced")},
        "verdicts": {verdict: count_verdicts(findings.judgements)[verdict] for verdict in VERDICTS},
        "claims": {
            verdict: " ".join(each.claim.id for each in findings.judgements if each.verdict == verdict)
            for verdict in VERDICTS
        },
    }


def count_verdicts(judgements: Sequence[Judgement]) -> dict[str, int]:
    """How many claims have each verdict; `not tested` is included only if it occurs."""
    verdicts = [judgement.verdict for judgement in judgements]
    return {
        verdict: verdicts.count(verdict) for verdict in (*VERDICTS, NOT_TESTED) if verdict in {*VERDICTS, *verdicts}
    }


def claim_table(judgements: Sequence[Judgement]) -> pd.DataFrame:
    """One row per claim, in the columns of claims.csv. `as_run` and `fixed`: the outcome of those runs alone."""
    rows = []
    for judgement in judgements:
        claim, outcomes = judgement.claim, judgement.outcomes
        as_run = [outcomes.get(runs.name, "") for runs in claim.rule.runs if not runs.fixes]
        fixed = [outcomes.get(runs.name, "") for runs in claim.rule.runs if runs.fixes]
        verdicts = [judgement.verdict, as_run[0] if as_run else "", fixed[-1] if fixed else "", judgement.bug]
        rule = "; ".join(map(comparison_text, claim.rule.comparisons))
        rows.append([claim.id, claim.claim, *verdicts, rule, evidence_text(judgement)])
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS)


def evidence_text(judgement: Judgement) -> str:
    """The numbers behind a verdict, runs by runs: `as run: +0.0123 [−0.0371, +0.0239], open`."""
    if judgement.missing:
        return judgement.missing
    texts = {
        name: [f"{estimate_text(each.comparison, each.estimate)}, {each.outcome}" for each in findings]
        for name, findings in judgement.findings.items()
    }
    return "; ".join(f"{name}: {', '.join(own)}" for name, own in texts.items())


def comparison_table(judgements: Sequence[Judgement]) -> pd.DataFrame:
    """One row per comparison: the columns of comparisons.csv, and the comparison and its estimate in words."""
    rows = []
    for judgement in judgements:
        for name, findings in judgement.findings.items():
            for each in findings:
                comparison, found = each.comparison, each.estimate
                quantity = quantity_name(comparison.quantity, comparison.at)
                sides = [left_text(comparison), right_text(comparison), comparison.margin]
                numbers = [found.value, found.low, found.high, found.seeds, found.p, each.p_corrected]
                words = [comparison_text(comparison), estimate_text(comparison, found)]
                rows.append([judgement.claim.id, name, quantity, *sides, *numbers, each.outcome, *words])
    return pd.DataFrame(rows, columns=[*COMPARISON_COLUMNS, "comparison", "text"])
