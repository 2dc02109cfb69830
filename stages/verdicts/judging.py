"""The verdicts on the published conclusions: rules applied to runs.

Each comparison is a t-test over seeds: paired where runs with equal seeds use the same random numbers (the published
protocol), Welch's elsewhere. The p-values of all claims about one study of the report are corrected together
(Holm), so that the probability of any wrong outcome in a study is at most 1 in 20. A claim whose runs are missing is
not tested.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from stages.params import Variant
from stages.verdicts.quantities import measure
from stages.verdicts.reading import AS_RUN, ModelResult, Published, StudyResult, Training
from stages.verdicts.rules import SINGLE, Claim, Comparison, Runs, Side
from stages.verdicts.statistics import LEVEL, Estimate, holm, of_mean, of_seeds, of_share

HOLDS, FAILS, OPEN = "holds", "fails", "open"
SUPPORTED, CONTRADICTED, UNDECIDED, ARTEFACT = "supported", "contradicted", "undecided", "artefact"
NOT_TESTED = "not tested"  # params.yaml lacks what the rule needs
VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, ARTEFACT)


class NotRunError(Exception):
    """A study, variant or model that a rule names does not exist."""


@dataclass(frozen=True)
class Evidence:
    """What a rule is applied to: a framework's studies and published numbers, and the final models."""

    results: Mapping[str, StudyResult]
    published: Published | None = None
    models: Mapping[str, ModelResult] | None = None


@dataclass(frozen=True)
class Finding:
    """A comparison on some runs: its estimate (left minus right, or left), the corrected p-value and the outcome."""

    runs: Runs
    comparison: Comparison
    estimate: Estimate
    p_corrected: float
    outcome: str


@dataclass(frozen=True)
class Judgement:
    """A claim with its findings and the outcome of these, both by the runs' name, and the verdict.

    `bug`: of an artefact, the name of the runs that contradict it. `missing`: why the claim was not tested.
    """

    claim: Claim
    findings: dict[str, list[Finding]]
    outcomes: dict[str, str]
    verdict: str
    bug: str = ""
    missing: str = ""


Test = tuple[Runs, Comparison, Estimate]


def apply_rules(claims: Sequence[Claim], evidence: Callable[[Claim], Evidence]) -> dict[str, list[Test] | str]:
    """The tests of each claim, by its id; of one whose runs are missing, what is missing."""
    tests: dict[str, list[Test] | str] = {}
    for claim in claims:
        pairs = [(runs, comparison) for runs in claim.rule.runs for comparison in claim.rule.comparisons]
        try:
            tests[claim.id] = [(*pair, estimate(*pair, evidence(claim))) for pair in pairs]
        except NotRunError as error:
            tests[claim.id] = str(error)
    return tests


def judge(
    claims: Sequence[Claim],
    tests: Mapping[str, list[Test] | str],
    family: Callable[[Claim], str] = lambda claim: claim.study,
) -> list[Judgement]:
    """The verdict on each claim. `family`: the tests of claims with equal values are corrected together."""
    missing = {name: found for name, found in tests.items() if isinstance(found, str)}
    tested = [claim for claim in claims if claim.id not in missing]
    rows = [(family(claim), found.p) for claim in tested for *_, found in tests[claim.id]]
    table = pd.DataFrame(rows, columns=["family", "p"])
    corrected = iter(table.groupby("family")["p"].transform(holm) if rows else ())
    return [
        Judgement(claim, {}, {}, NOT_TESTED, missing=missing[claim.id])
        if claim.id in missing
        else judgement(claim, [finding(*test, next(corrected)) for test in tests[claim.id]])
        for claim in claims
    ]


def judgement(claim: Claim, findings: Sequence[Finding]) -> Judgement:
    """An artefact is supported by the code as it ran, and contradicted with a bug fixed; else the last runs decide."""
    first, *others = claim.rule.runs
    by_runs = {runs.name: [each for each in findings if each.runs is runs] for runs in claim.rule.runs}
    outcomes = {name: combine(own, existence=claim.rule.existence) for name, own in by_runs.items()}
    if not first.fixes and outcomes[first.name] == SUPPORTED:
        for runs in others:
            if outcomes[runs.name] == CONTRADICTED:
                return Judgement(claim, by_runs, outcomes, ARTEFACT, runs.name)
    return Judgement(claim, by_runs, outcomes, outcomes[claim.rule.runs[-1].name])


def combine(findings: Sequence[Finding], *, existence: bool) -> str:
    """All comparisons must hold; one that fails contradicts, unless the claim is that something is possible."""
    outcomes = {each.outcome for each in findings}
    if outcomes == {HOLDS}:
        return SUPPORTED
    return CONTRADICTED if FAILS in outcomes and not existence else UNDECIDED


def finding(runs: Runs, comparison: Comparison, found: Estimate, p: float) -> Finding:
    """Whether a comparison holds, fails, or is open because the difference is not significant."""
    distance = found.value - (comparison.bound or 0.0)
    holds = {
        "above": distance > comparison.margin,
        "below": distance < -comparison.margin,
        "near": abs(distance) < comparison.margin,
    }
    outcome = OPEN if not p < 1 - LEVEL else HOLDS if holds[comparison.sense] else FAILS
    return Finding(runs, comparison, found, p, outcome)


def estimate(runs: Runs, comparison: Comparison, evidence: Evidence) -> Estimate:
    """The difference that a comparison asks for, tested against the margin (near: against the nearer of the two)."""
    bound = comparison.bound or 0.0
    if comparison.model is not None:
        model = (evidence.models or {}).get(comparison.model)
        if model is None:
            raise NotRunError(f"there is no final model {comparison.model}")
        counts = model.confusion.to_numpy()
        return of_share(int(np.trace(counts)), int(counts.sum()), bound)
    left, *others = (one_a_seed(side, runs, comparison, evidence) for side in comparison.sides)
    paired = all(find(name, runs, evidence)[0].pairs_seeds for side in comparison.sides for name in side.variants)

    def against(null: float) -> Estimate:
        if not others:
            return of_mean(list(left.values()), null)
        return of_seeds(left, *others, null, paired=paired)

    if comparison.sense == "near":
        # Two one-sided tests (Schuirmann 1987): near means different from both margins, of which the nearer decides.
        both = [against(bound + sign * comparison.margin) for sign in (-1, 1)]
        return min(both, key=lambda each: -np.nan_to_num(each.p))
    return against(bound + comparison.margin * (1 if comparison.sense == "above" else -1))


def one_a_seed(side: Side, runs: Runs, comparison: Comparison, evidence: Evidence) -> dict[int, float]:
    """One number per seed: a variant's quantity, or several variants' combined."""
    found = [find(name, runs, evidence) for name in side.variants]
    measured = [
        measure(epochs_of(result, variant, runs, evidence), comparison.quantity, comparison.at)
        for result, variant in found
    ]
    if side.way == SINGLE:
        return measured[0]
    sizes = [size_of(variant.training, side.way) for _, variant in found]
    ways: dict[str, Callable] = {"highest": np.max, "lowest": np.min, "mean": np.mean, "range": np.ptp}
    way = ways.get(side.way, lambda values: np.polyfit(np.log2(sizes), values, 1)[0])
    common = sorted(set.intersection(*map(set, measured)))
    return {seed: float(way(np.array([by_seed[seed] for by_seed in measured]))) for seed in common}


def size_of(training: Training, way: str) -> float:
    """The x value of a slope: the batch size, or the number of weights between the layers; 1 for no slope."""
    if way == "per_doubling_of_batch_size":
        return float(training.batch_size)
    if way == "per_doubling_of_weights":
        nodes = [layer.input_nodes for layer in training.architecture]
        return float(sum(inputs * outputs for inputs, outputs in pairwise(nodes)))
    return 1.0


def find(name: str, runs: Runs, evidence: Evidence) -> tuple[StudyResult, Variant]:
    """The study and the variant in params.yaml that a rule calls `name`."""
    study, _, label = name.rpartition("/")
    study = study or runs.study
    result = evidence.results.get(study)
    if result is None:
        raise NotRunError(f"the study {study} is not in params.yaml")
    known = {variant.name: variant for variant in result.study.variants}
    choices = [f"{label}{AS_RUN}", label] if runs.as_run else [runs.variants.get(label, label)]
    for choice in choices:
        if choice in known:
            return result, known[choice]
    raise NotRunError(f"the study {study} has no variant {choices[-1]} in params.yaml")


def epochs_of(result: StudyResult, variant: Variant, runs: Runs, evidence: Evidence) -> pd.DataFrame:
    """A variant's epochs, of all seeds; or the published epochs, each in the role of a seed, as there is one run."""
    if not runs.published:
        return result.history_of(variant.name)
    history = evidence.published.curves(result.name.removeprefix("published_")).history_of(variant.name)
    return history.assign(seconds=history["seconds"].diff().fillna(history["seconds"]), seed=history["epoch"])
