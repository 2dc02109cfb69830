"""The verdicts on the published conclusions: rules put to runs.

Each comparison is a t-test over seeds: of differences within a seed where both sides drew the same numbers from it
(the published code's protocol), Welch's where they didn't. The p-values of all claims about one study of the report
are corrected together, after Holm: 1 in 20 is the chance of any wrong outcome in a study. Where a run is missing,
nothing is judged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from stages.common.params import Variant
from stages.reporting.naming import AS_RUN
from stages.reporting.published import Published
from stages.reporting.quantities import measure
from stages.reporting.record import Record
from stages.reporting.rules import SINGLE, Claim, Comparison, Runs, Side
from stages.reporting.settings import Training
from stages.reporting.statistics import (
    LEVEL,
    Estimate,
    holm,
    of_difference,
    of_mean,
    of_paired_difference,
    of_share,
)
from stages.reporting.studies import Result

HOLDS, FAILS, OPEN = "holds", "fails", "open"
SUPPORTED, CONTRADICTED, UNDECIDED, ARTEFACT = "supported", "contradicted", "undecided", "artefact"
NOT_JUDGED = "not judged"  # what the rule needs isn't in params.yaml
VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, ARTEFACT)


class NotRunError(Exception):
    """A study, variant or record that a rule names isn't there."""


@dataclass(frozen=True)
class Evidence:
    """What rules are put to: a half's studies and published numbers, and the models of record."""

    results: Mapping[str, Result]
    published: Published
    records: Mapping[str, Record]


@dataclass(frozen=True)
class Finding:
    """A comparison put to some runs: its estimate (left minus right, or left), and its outcome once corrected."""

    claim: Claim
    runs: Runs
    comparison: Comparison
    estimate: Estimate
    p_corrected: float
    outcome: str


@dataclass(frozen=True)
class Judgement:
    """A claim with its findings by the runs' name, what these say together, and the verdict.

    `fault`: the runs in which an artefact fails, by their name. `missing`: why nothing was judged.
    """

    claim: Claim
    findings: dict[str, list[Finding]]
    outcomes: dict[str, str]
    verdict: str
    fault: str = ""
    missing: str = ""


def by_study(claim: Claim) -> str:
    """The family that a claim's tests are corrected in: those of the study that it was drawn from."""
    return claim.study


def judge(
    claims: Sequence[Claim], evidence: Callable[[Claim], Evidence], family: Callable[[Claim], str] = by_study
) -> list[Judgement]:
    """Put every rule to its runs. `evidence` returns what a claim is judged by, `family` what it is corrected with."""
    tests: list[tuple[Claim, Runs, Comparison, Estimate]] = []
    missing: dict[str, str] = {}
    for claim in claims:
        try:
            own = [
                (claim, runs, comparison, estimate(comparison, runs, evidence(claim)))
                for runs in claim.rule.runs
                for comparison in claim.rule.comparisons
            ]
        except NotRunError as error:
            missing[claim.id] = str(error)
        else:
            tests += own
    corrected = np.full(len(tests), np.nan)
    families = np.array([family(test[0]) for test in tests])
    for name in dict.fromkeys(families.tolist()):
        own = families == name
        corrected[own] = holm([test[-1].p for test, chosen in zip(tests, own, strict=True) if chosen])
    findings = [
        Finding(*test, float(p), outcome(test[2], test[3], float(p))) for test, p in zip(tests, corrected, strict=True)
    ]
    return [
        Judgement(claim, {}, {}, NOT_JUDGED, missing=missing[claim.id])
        if claim.id in missing
        else judgement(claim, [finding for finding in findings if finding.claim is claim])
        for claim in claims
    ]


def judgement(claim: Claim, findings: Sequence[Finding]) -> Judgement:
    """An artefact holds for the code as it ran and fails once a fault is mended; else the last runs decide."""
    by_runs = {runs.name: [each for each in findings if each.runs is runs] for runs in claim.rule.runs}
    outcomes = {name: together(own, existence=claim.rule.existence) for name, own in by_runs.items()}
    verdict, fault = outcomes[claim.rule.runs[-1].name], ""
    first, *others = claim.rule.runs
    if not first.mends and outcomes[first.name] == SUPPORTED:
        for runs in others:
            if outcomes[runs.name] == CONTRADICTED:
                verdict, fault = ARTEFACT, runs.name
                break
    return Judgement(claim, by_runs, outcomes, verdict, fault)


def together(findings: Sequence[Finding], *, existence: bool) -> str:
    """All comparisons must hold; one that fails contradicts, unless all that is said is that something can be."""
    outcomes = {finding.outcome for finding in findings}
    if outcomes == {HOLDS}:
        return SUPPORTED
    return CONTRADICTED if FAILS in outcomes and not existence else UNDECIDED


def outcome(comparison: Comparison, found: Estimate, p: float) -> str:
    """Whether a difference is on the side that the rule wants, on the other, or too near to tell."""
    if not p < 1 - LEVEL:
        return OPEN
    distance = found.value - (comparison.bound or 0.0)
    wanted = {
        "above": distance > comparison.margin,
        "below": distance < -comparison.margin,
        "near": abs(distance) < comparison.margin,
    }
    return HOLDS if wanted[comparison.sense] else FAILS


def estimate(comparison: Comparison, runs: Runs, evidence: Evidence) -> Estimate:
    """The difference that a comparison asks for, tested against the margin (near: against the nearer of two)."""
    if comparison.record is not None:
        return share_of_record(comparison, evidence)
    left = side(comparison.left, comparison, runs, evidence)
    right = side(comparison.right, comparison, runs, evidence) if comparison.right else None
    bound = comparison.bound or 0.0

    def against(null: float) -> Estimate:
        if right is None:
            return of_mean(list(left.values()), null)
        common = [seed for seed in left if seed in right]
        if seeds_pair(comparison, runs, evidence) and common:
            return of_paired_difference([left[seed] for seed in common], [right[seed] for seed in common], null)
        return of_difference(list(left.values()), list(right.values()), null)

    if comparison.sense == "near":
        # Two one-sided tests (Schuirmann 1987): what is near differs from both margins, of which the nearer decides.
        return min(
            (against(bound + sign * comparison.margin) for sign in (-1, 1)), key=lambda each: -np.nan_to_num(each.p)
        )
    return against(bound + comparison.margin * (1 if comparison.sense == "above" else -1))


def share_of_record(comparison: Comparison, evidence: Evidence) -> Estimate:
    """The test accuracy of a model of record; its test images are the sample."""
    record = evidence.records.get(comparison.record or "")
    if record is None:
        raise NotRunError(f"there is no model of record {comparison.record}")
    counts = record.confusion.to_numpy()
    return of_share(int(np.trace(counts)), int(counts.sum()), comparison.bound or 0.0)


def side(which: Side, comparison: Comparison, runs: Runs, evidence: Evidence) -> dict[int, float]:
    """One number a seed: a variant's quantity, or that of several made into one."""
    measured, sizes = [], []
    for name in which.variants:
        result, variant = found(name, runs, evidence)
        measured.append(measure(epochs_of(result, variant, runs, evidence), comparison.quantity, comparison.at))
        sizes.append(size_of(variant.training, which.way))
    if which.way == SINGLE:
        return measured[0]
    common = sorted(set.intersection(*map(set, measured)))
    way = ways(sizes)[which.way]
    return {seed: float(way(np.array([by_seed[seed] for by_seed in measured]))) for seed in common}


def ways(sizes: Sequence[float]) -> dict[str, Callable[[np.ndarray], float]]:
    """How values of several variants, in the rule's order, become one; `sizes` are what slopes are taken over."""

    def slope(values: np.ndarray) -> float:
        return float(np.polyfit(np.log2(sizes), values, 1)[0])

    return {
        "highest": np.max,
        "lowest": np.min,
        "mean": np.mean,
        "range": np.ptp,
        "per_doubling_of_batch_size": slope,
        "per_doubling_of_weights": slope,
    }


def size_of(training: Training, way: str) -> float:
    """What a slope is taken over: the batch size, or the number of weights between the layers; 1 for no slope."""
    if way == "per_doubling_of_batch_size":
        return float(training.batch_size)
    if way == "per_doubling_of_weights":
        nodes = [layer.input_nodes for layer in training.architecture]
        return float(sum(inputs * outputs for inputs, outputs in pairwise(nodes)))
    return 1.0


def found(name: str, runs: Runs, evidence: Evidence) -> tuple[Result, Variant]:
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


def epochs_of(result: Result, variant: Variant, runs: Runs, evidence: Evidence) -> pd.DataFrame:
    """A variant's epochs, of all seeds; or the published ones, which stand for seeds since there is one run."""
    if not runs.published:
        return result.history_of(variant.name)
    history = evidence.published.curves(result.name.removeprefix("published_")).history_of(variant.name)
    return history.assign(seconds=history["seconds"].diff().fillna(history["seconds"]), seed=history["epoch"])


def seeds_pair(comparison: Comparison, runs: Runs, evidence: Evidence) -> bool:
    """Whether both sides drew the same numbers from the same seeds."""
    names = [name for which in (comparison.left, comparison.right) if which for name in which.variants]
    return all(found(name, runs, evidence)[0].seeds_pair for name in names)
