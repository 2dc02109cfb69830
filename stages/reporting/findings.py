"""What the study finds: published runs that come back, effects of faults, verdicts. Computed once; written as files.

reproduction.csv   a row a published run
faults.csv         a row an effect of a fault
claims.csv         a row a conclusion of the report, with its verdict
comparisons.csv    a row a comparison behind a verdict
metrics.json       the counts, which `dvc metrics diff` compares
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.common.files import write_json, write_text
from stages.reporting import claims, faults, reproduction
from stages.reporting.faults import Fault
from stages.reporting.halves import PUBLISHED_ON, Inputs
from stages.reporting.judging import VERDICTS, Evidence, Judgement, NotRunError, judge
from stages.reporting.naming import DATA_SETS
from stages.reporting.rules import Claim
from stages.reporting.tables import csv_text


@dataclass(frozen=True)
class Findings:
    """`runs` and `effects` are the tables of reproduction.csv and faults.csv; `faults` in the order of faults.yaml.

    `strictly` are the judgements if the tests of all studies are corrected together."""

    runs: pd.DataFrame
    faults: list[Fault]
    effects: pd.DataFrame
    judgements: list[Judgement]
    strictly: list[Judgement]


def find(inputs: Inputs, known_claims: Sequence[Claim], known_faults: Sequence[Fault]) -> Findings:
    """Compare, measure, judge."""

    def evidence(claim: Claim) -> Evidence:
        if claim.framework != "torch":
            return Evidence(inputs.numpy.results, inputs.numpy.published, inputs.records)
        if not inputs.torch.comparable:
            on, trained = DATA_SETS[PUBLISHED_ON], DATA_SETS[inputs.torch.dataset]
            raise NotRunError(f"it is about {on}, and the networks here were trained on {trained}")
        return Evidence(inputs.torch.results, inputs.torch.published, inputs.records)

    return Findings(
        runs=reproduction.reproduction_table(inputs.numpy, inputs.torch),
        faults=list(known_faults),
        effects=faults.fault_table(known_faults, inputs),
        judgements=judge(known_claims, evidence),
        strictly=judge(known_claims, evidence, family=lambda claim: "all"),
    )


def metrics(findings: Findings) -> dict[str, dict[str, int]]:
    """The counts that sum the study up."""
    counts = reproduction.counts(findings.runs)
    verdicts = claims.verdict_counts(findings.judgements)
    return {
        "runs": {name: counts[name] for name in ("published", "come_back")},
        "verdicts": {verdict: verdicts[verdict] for verdict in VERDICTS},
    }


def write_findings(findings: Findings, folder: Path) -> None:
    """Write the files."""
    tables = {
        "reproduction": findings.runs,
        "faults": findings.effects,
        "claims": claims.claim_table(findings.judgements),
        "comparisons": claims.comparison_table(findings.judgements),
    }
    for name, table in tables.items():
        write_text(folder / f"{name}.csv", csv_text(table))
    write_json(folder / "metrics.json", metrics(findings))
