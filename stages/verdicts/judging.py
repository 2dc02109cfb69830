"""The verdicts on the published conclusions: rules applied to runs, look by look.

A look is a number of seeds. Every comparison is paired by seed, and tested at the look's own level (statistics.LEVELS).
The first look that decides a claim for some runs is the last word on these runs. A claim about a final model has one
look, at statistics.ALPHA.

    supported      every comparison holds, each at the look's level (intersection-union: no correction)
    contradicted   one goes the other way, corrected over the comparisons of the family (Holm)
    no difference  the claim is of a difference, and every comparison shows one smaller than its margin (TOST); or one
                   does, corrected (Holm), and all others hold or do

A family is the claims about one published study. It has the same size at every look: comparisons without enough seeds
count as p-values of 1, or the correction would shrink as the claims that happen to be decided drop out.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from stages.params import Variant
from stages.verdicts.quantities import READING, Reading, measure
from stages.verdicts.reading import AS_RUN, ModelResult, StudyResult
from stages.verdicts.rules import Claim, Comparison, Runs
from stages.verdicts.statistics import ALPHA, LEVELS, Estimate, holm, of_mean, of_pairs, p_share

SUPPORTED, CONTRADICTED, NO_DIFFERENCE = "supported", "contradicted", "no difference"
ARTEFACT, NOT_TESTED, UNDECIDED, NOT_TESTABLE = "artefact", "not tested", "undecided", "not testable"
VERDICTS = (SUPPORTED, CONTRADICTED, NO_DIFFERENCE, ARTEFACT, NOT_TESTED, UNDECIDED, NOT_TESTABLE)


class NotRunError(Exception):
    """A study, variant or model that a rule names does not exist."""


@dataclass(frozen=True)
class Evidence:
    """What a rule is applied to: a framework's studies, and the final models."""

    results: Mapping[str, StudyResult]
    models: Mapping[str, ModelResult] = field(default_factory=dict)


@dataclass(frozen=True)
class Analysis:
    """What the robustness rows vary: how quantities are read, the margins, the families, the share of the seeds."""

    reading: Reading = READING
    margins: float = 1.0  # factor
    family: Callable[[Claim], str] = lambda claim: claim.study
    every: int = 1  # of so many seeds, one is used


@dataclass(frozen=True)
class Finding:
    """A comparison on some runs at a look, with the p-values of three tests.

    `p_for`: of the test that it holds; `p_against`: that the opposite holds; `p_none`: that the difference is smaller
    than the margin.
    `against_corrected`, `none_corrected`: the last two, corrected over the family.
    """

    comparison: Comparison
    estimate: Estimate
    p_for: float
    p_against: float
    p_none: float
    against_corrected: float = math.nan
    none_corrected: float = math.nan

    def outcome(self, level: float) -> str:
        """What the comparison alone says."""
        return combine([self], level)


@dataclass(frozen=True)
class Outcome:
    """What some runs say of a claim, at the look that decided it or at the last one; `look`: seeds, 0 for none."""

    runs: Runs
    verdict: str
    look: int = 0
    findings: Sequence[Finding] = ()

    @property
    def level(self) -> float:
        """The error that the look allows."""
        return LEVELS.get(self.look, ALPHA)

    @property
    def decisive(self) -> Finding | None:
        """The comparison on which the outcome hangs: the least certain one, or the one that goes the other way."""
        tested = [each for each in self.findings if np.isfinite(each.p_for)]
        if not tested:
            return None
        if self.verdict == CONTRADICTED:
            return min(tested, key=lambda each: each.p_against)
        if self.verdict == NO_DIFFERENCE:
            return max((each for each in tested if each.p_none <= self.level), key=lambda each: each.p_none)
        return max(tested, key=lambda each: each.p_for)


@dataclass(frozen=True)
class Judgement:
    """A claim with its outcomes, one for each of the rule's runs, and the verdict.

    `decided_by`: the outcome that the verdict follows. `missing`: why nothing was tested.
    """

    claim: Claim
    verdict: str
    outcomes: Sequence[Outcome] = ()
    decided_by: Outcome | None = None
    missing: str = ""

    @property
    def look(self) -> int:
        """The seeds of the last look that the verdict needed."""
        needed = [self.outcomes[0], self.decided_by] if self.verdict == ARTEFACT else [self.decided_by]
        return max((outcome.look for outcome in needed if outcome), default=0)

    @property
    def open(self) -> bool:
        """Whether more seeds could change it: it is undecided, or may yet be an artefact."""
        if self.verdict in (UNDECIDED, ARTEFACT) or not self.outcomes or self.outcomes[0].runs.fixes:
            return self.verdict == UNDECIDED
        as_run, fixed = self.outcomes[0].verdict, {outcome.verdict for outcome in self.outcomes[1:]}
        if as_run == SUPPORTED:
            return UNDECIDED in fixed
        return as_run == UNDECIDED and bool(fixed & {CONTRADICTED, NO_DIFFERENCE, UNDECIDED})

    @property
    def bug(self) -> str:
        """Of an artefact, the runs with which the claim fails."""
        return self.decided_by.runs.name if self.verdict == ARTEFACT else ""


def judge(
    claims: Sequence[Claim], evidence: Callable[[Claim], Evidence], analysis: Analysis | None = None
) -> list[Judgement]:
    """The verdict on each claim. `evidence` raises a NotRunError for a claim that the results are not about."""
    analysis = analysis or Analysis()
    missing: dict[str, str] = {}
    decided: dict[tuple[str, str], Outcome] = {}  # by claim and runs
    tested: list[tuple[Claim, Runs, Evidence]] = []
    for claim in claims:
        if claim.rule is None:
            continue
        try:
            found = evidence(claim)
            for runs in claim.rule.runs:
                if runs.not_tested:
                    decided[claim.id, runs.name] = Outcome(runs, NOT_TESTED)
                    continue
                check_names(claim.rule.comparisons, runs, found)
                tested.append((claim, runs, found))
        except NotRunError as error:
            missing[claim.id] = str(error)
    for look in LEVELS:
        take_look(look, [each for each in tested if each[0].id not in missing], decided, analysis)
    return [judgement(claim, decided, missing.get(claim.id, "")) for claim in claims]


def take_look(
    look: int,
    tested: Sequence[tuple[Claim, Runs, Evidence]],
    decided: dict[tuple[str, str], Outcome],
    analysis: Analysis,
) -> None:
    """Test all that have enough seeds; add to `decided`, or replace, what is not decided yet."""
    found = {}
    for claim, runs, evidence in tested:
        findings = [finding(each, runs, evidence, look, analysis) for each in claim.rule.comparisons]
        if None not in findings:
            found[claim.id, runs.name] = claim, runs, findings
    for family in {analysis.family(claim) for claim, *_ in found.values()}:
        own = {key: each for key, each in found.items() if analysis.family(each[0]) == family}
        measured = [each for *_, findings in own.values() for each in findings]
        waiting = [
            comparison
            for claim, runs, _ in tested
            if analysis.family(claim) == family and (claim.id, runs.name) not in own
            for comparison in claim.rule.comparisons
        ]
        against = iter(holm([*(each.p_against for each in measured), *(1.0 for _ in waiting)]).tolist())
        none = iter(holm([*(each.p_none for each in measured), *(1.0 for each in waiting if each.differs)]).tolist())
        for key, (_, runs, findings) in own.items():
            findings = [replace(each, against_corrected=next(against), none_corrected=next(none)) for each in findings]
            if key not in decided or decided[key].verdict == UNDECIDED:
                seeds = look if any(each.comparison.names for each in findings) else 0
                decided[key] = Outcome(runs, combine(findings, LEVELS.get(seeds, ALPHA)), seeds, findings)


def combine(findings: Sequence[Finding], level: float) -> str:
    """What the comparisons of a claim say together."""
    if all(each.p_for <= level for each in findings):
        return SUPPORTED
    if any(each.against_corrected <= level for each in findings):
        return CONTRADICTED
    if all(each.p_none <= level for each in findings):
        return NO_DIFFERENCE
    # A sentence fails with one of its comparisons; more seeds would not change that.
    settled = all(min(each.p_for, each.p_none) <= level for each in findings)
    return NO_DIFFERENCE if settled and any(each.none_corrected <= level for each in findings) else UNDECIDED


def judgement(claim: Claim, decided: Mapping[tuple[str, str], Outcome], missing: str) -> Judgement:
    """An artefact is supported by the code as it ran, and not once a bug is fixed; else the last runs decide."""
    if claim.rule is None:
        return Judgement(claim, NOT_TESTABLE, missing=claim.not_testable)
    outcomes = [decided.get((claim.id, runs.name), Outcome(runs, UNDECIDED)) for runs in claim.rule.runs]
    if missing:
        return Judgement(claim, UNDECIDED, missing=missing)
    first, last = outcomes[0], outcomes[-1]
    if first.verdict == SUPPORTED and not first.runs.fixes:
        for outcome in outcomes[1:]:
            if outcome.verdict in (CONTRADICTED, NO_DIFFERENCE):
                return Judgement(claim, ARTEFACT, outcomes, outcome)
    return Judgement(claim, last.verdict, outcomes, last)


def finding(comparison: Comparison, runs: Runs, evidence: Evidence, look: int, analysis: Analysis) -> Finding | None:
    """A comparison at a look; None if there are not enough seeds for it."""
    target, sense = comparison.target, comparison.sense
    if comparison.model:
        counts = evidence.models[comparison.model].confusion.to_numpy()
        hits, images = int(np.trace(counts)), int(counts.sum())
        share = Estimate(hits / images, math.sqrt(hits / images * (1 - hits / images)), images)
        # One network that falls short refutes nothing.
        return Finding(comparison, share, min(2 * p_share(hits, images, target, sense), 1), math.nan, math.nan)
    values = {name: numbers(name, comparison, runs, evidence, look, analysis) for name in comparison.names}
    if None in values.values():
        return None
    if comparison.some:
        # One configuration with every seed beyond the bound is enough; without any, the search has failed.
        best = {name: (min if sense == "above" else max)(own.values()) for name, own in values.items()}
        name = (max if sense == "above" else min)(best, key=best.get)
        holds = best[name] > target if sense == "above" else best[name] < target
        return Finding(comparison, of_mean(list(values[name].values())), float(not holds), float(holds), math.nan)
    if comparison.slope:
        sizes = [np.log2(find(name, runs, evidence)[1].training.batch_size) for name in comparison.slope]
        common = [seed for seed in values[comparison.slope[0]] if all(seed in own for own in values.values())]
        lines = [[values[name][seed] for name in comparison.slope] for seed in common]
        estimate = of_mean([np.polyfit(sizes, line, 1)[0] if np.isfinite(line).all() else np.nan for line in lines])
    elif comparison.right:
        estimate = of_pairs(values[comparison.left], values[comparison.right])
    else:
        estimate = of_mean(list(values[comparison.left].values()))
    # Seeds without a number (a collapsed run has no volatility) are left out, but not most of them.
    if estimate.seeds < max(look / analysis.every / 2, 2):
        return Finding(comparison, estimate, math.nan, math.nan, math.nan)
    margin = comparison.margin * analysis.margins
    above, below = estimate.p_above(target), estimate.p_below(target)
    if sense == "within":
        low, high = target - margin, target + margin
        outside = min(2 * min(estimate.p_above(high), estimate.p_below(low)), 1.0)
        return Finding(comparison, estimate, estimate.p_within(low, high), outside, math.nan)
    above, below = min(2 * above, 1.0), min(2 * below, 1.0)
    p_for, p_against = (above, below) if sense == "above" else (below, above)
    p_none = estimate.p_within(-margin, margin) if comparison.differs else math.nan
    return Finding(comparison, estimate, p_for, p_against, p_none)


def numbers(
    name: str, comparison: Comparison, runs: Runs, evidence: Evidence, look: int, analysis: Analysis
) -> dict[int, float] | None:
    """A variant's quantity for each of the look's seeds; None if there are fewer seeds."""
    result, variant = find(name, runs, evidence)
    if len(result.seeds) < look:
        return None
    curves, seeds = result.curves[variant.name], result.seeds[: look : analysis.every]
    return {seed: measure(curves[seed], analysis.reading, comparison.quantity, comparison.at) for seed in seeds}


def check_names(comparisons: Sequence[Comparison], runs: Runs, evidence: Evidence) -> None:
    """Raise a NotRunError for what params.yaml lacks."""
    for comparison in comparisons:
        if comparison.model and comparison.model not in evidence.models:
            raise NotRunError(f"there is no final model {comparison.model}")
        for name in comparison.names:
            find(name, runs, evidence)


def find(name: str, runs: Runs, evidence: Evidence) -> tuple[StudyResult, Variant]:
    """The study and the variant that a rule calls `name`."""
    study, _, label = name.rpartition("/")
    study = study or runs.study
    result = evidence.results.get(study)
    if result is None:
        raise NotRunError(f"the study {study} has no results")
    known = {variant.name: variant for variant in result.study.variants}
    label = runs.variants.get(label, label)
    for choice in [f"{label}{AS_RUN}", label] if runs.as_run else [label]:
        if choice in known:
            return result, known[choice]
    raise NotRunError(f"the study {study} has no variant {label}")
