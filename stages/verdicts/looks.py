"""Which studies need the next look, and why.

    python -m stages.verdicts.looks

A study is trained with more seeds only while a claim on it is open; no seed is taken away again.
"""

from pathlib import Path

from stages.errors import exit_on_error
from stages.params import Params, load_params
from stages.verdicts.findings import Findings, conclude
from stages.verdicts.judging import UNDECIDED
from stages.verdicts.reading import read_results
from stages.verdicts.statistics import LOOKS
from stages.verdicts.text import listed

PUBLISHED = Path("data/published")


def open_studies(findings: Findings, params: Params) -> dict[tuple[str, str, int], list[str]]:
    """The claims that wait for a study's next look, by its section, its name and the seeds of that look."""
    found: dict[tuple[str, str, int], list[str]] = {}
    for judgement in findings.judgements:
        claim = judgement.claim
        section = "ablations" if claim.framework == "torch" else "tune"
        for outcome in judgement.outcomes if judgement.open else ():
            following = next((look for look in LOOKS if look > outcome.look), None)
            if outcome.verdict != UNDECIDED or following is None:
                continue
            names = [name for comparison in claim.rule.comparisons for name in comparison.names]
            for study in {name.rpartition("/")[0] or outcome.runs.study: None for name in names}:
                if len(getattr(params, section)[study].seeds) < following:
                    found.setdefault((section, study, following), []).append(f"{claim.id} ({outcome.runs.name})")
    return found


def main(arguments: list[str]) -> None:
    """Print one line per study that needs more seeds."""
    params = load_params()
    results = read_results(params, Path("reports"), PUBLISHED)
    for (section, study, seeds), claims in open_studies(conclude(results, PUBLISHED), params).items():
        print(f"{section}.{study}.seeds: {seeds}, as these are open: {listed(claims)}")


if __name__ == "__main__":
    exit_on_error(main)
