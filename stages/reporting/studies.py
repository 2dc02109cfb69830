"""Studies as the report shows them: the numbers of a study side by side, by where they come from.

The NumPy network is trained by the code as published (a study `published_<name>`), with one bug fixed
(`objective_<name>`, `reduction_<name>`), and with all of them fixed (`<name>`). Of the PyTorch networks, one study has
all variants: `_as_run` ends the name of those that do what the code did, where the report says something else.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from stages.reporting.names import common_settings, differences, label, spaced, title
from stages.verdicts.findings import Findings
from stages.verdicts.judging import Judgement
from stages.verdicts.reading import AS_RUN as AS_RUN_NAME
from stages.verdicts.reading import Curves, Framework, StudyResult
from stages.verdicts.reproduction import NO, YES

PUBLISHED, AS_RUN, FIXED, ADDED = "published", "as run", "bugs fixed", "added here"
F1_FIXED, F2_FIXED, CHANGED = "F1 fixed", "F2 fixed", "published code, changed"
PREFIXES = {"published_": AS_RUN, "objective_": F1_FIXED, "reduction_": F2_FIXED}
FAILED = 0.2  # twice the accuracy of guessing: a run that ends below has collapsed


@dataclass(frozen=True)
class View:
    """A study. `sources`: by where numbers come from, published first, the runs under labels that mean the same in all.

    `runs` of a source has a column `end`: the accuracy after training, on the images of the published number if there
    is one. `reproduced`: how many of the published runs are, and how many were compared.
    """

    framework: str
    name: str
    sources: dict[str, Curves]
    labels: list[str]
    split: str
    settings: dict[str, str]
    differences: list[str]
    reproduced: tuple[int, int]
    judgements: list[Judgement]

    @property
    def title(self) -> str:
        """What the study varies, as a heading."""
        return title(self.name)

    @property
    def figure(self) -> str:
        """The name of its figure; both frameworks have studies of equal names."""
        return f"{self.framework.lower()}_{self.name}"

    @property
    def captions(self) -> list[str]:
        """What it shows: how much of it is reproduced, and the best and the worst variant of each source."""
        reproduced, compared = self.reproduced
        found = f": {reproduced} of {compared} published runs reproduced" if compared else ""
        return [self.title + found, *(extremes(name, curves) for name, curves in self.sources.items())]

    def sources_of(self, variant: str) -> dict[str, Curves]:
        """The sources that have a variant."""
        return {name: curves for name, curves in self.sources.items() if variant in curves.variants}


def views(framework: Framework, findings: Findings) -> list[View]:
    """All studies of a framework that have results, the published ones first."""
    published = list(framework.published.runs["study"]) if framework.comparable else []
    found = []
    for name in dict.fromkeys([*published, *map(base_name, framework.results)]):
        parts = numpy_parts(framework, name) if framework.name == "NumPy" else torch_parts(framework, name)
        if parts:
            found.append(view(framework, name, parts, findings))
    return found


def base_name(study: str) -> str:
    """What a study varies, without the prefix that says how the network is trained."""
    return next((study.removeprefix(prefix) for prefix in PREFIXES if study.startswith(prefix)), study)


def view(framework: Framework, name: str, parts: dict[str, tuple[StudyResult, list[str]]], findings: Findings) -> View:
    """One study. `parts`: the results and variants of each source of ours."""
    published = framework.published.runs_of(name) if framework.comparable else pd.DataFrame()
    splits = {result.split for result, _ in parts.values()}
    split = framework.published.split if len(published) else splits.pop() if len(splits) == 1 else "test"
    sources = {}
    if len(published):
        sources[PUBLISHED] = renamed(framework.published.curves(name), published["variant"], split)
    sources |= {source: renamed(result, variants, split) for source, (result, variants) in parts.items()}
    runs, half = findings.runs, framework.name.lower().removeprefix("py")
    own = runs[(runs["framework"] == framework.name) & (runs["study"] == name) & runs["reproduced"].isin((YES, NO))]
    return View(
        framework=framework.name,
        name=name,
        sources=sources,
        labels=in_order(each for curves in sources.values() for each in curves.variants),
        split=split,
        settings={
            source: common_settings(result.trainings[each] for each in variants)
            for source, (result, variants) in parts.items()
        },
        differences=differences(published) if len(published) and framework.name == "PyTorch" else [],
        reproduced=(int((own["reproduced"] == YES).sum()), len(own)),
        judgements=[each for each in findings.judgements if each.claim.study == f"{half}/{name}"],
    )


def numpy_parts(framework: Framework, name: str) -> dict[str, tuple[StudyResult, list[str]]]:
    """The results and variants of each source of a NumPy study."""
    found = {}
    for prefix, source in (*PREFIXES.items(), ("", FIXED)):
        if result := framework.results.get(prefix + name):
            found[CHANGED if not prefix and result.split == "test" else source] = result, result.variants
    return found


def torch_parts(framework: Framework, name: str) -> dict[str, tuple[StudyResult, list[str]]]:
    """The results and variants of each source of a PyTorch study: what the code ran, what the report says, others."""
    result = framework.results.get(name)
    if result is None:
        return {}
    published = framework.published.runs_of(name).set_index("variant")["as_run"]
    differs = {variant for variant, settings in published.items() if settings is not None}
    as_run = [f"{each}{AS_RUN_NAME}" if each in differs else each for each in published.index]
    parts = {
        AS_RUN: [each for each in result.variants if each in as_run or each.endswith(AS_RUN_NAME)],
        FIXED: [each for each in result.variants if each in differs or f"{each}{AS_RUN_NAME}" in result.variants],
    }
    known = {each for variants in parts.values() for each in variants}
    parts[ADDED] = [each for each in result.variants if each not in known]
    return {source: (result, variants) for source, variants in parts.items() if variants}


def renamed(curves: Curves, variants: Iterable[str], split: str) -> Curves:
    """Some variants by their labels, with the accuracy after training on the images of `split`."""
    labels = {each: label(each.removesuffix(AS_RUN_NAME)) for each in variants}
    if len(set(labels.values())) < len(labels):  # such as 1 and 1.0
        labels = {each: spaced(each) for each in labels}
    chosen = curves.select({text: each for each, text in labels.items()})
    end = "final_accuracy" if chosen.split == split else f"{split}_accuracy"
    return Curves(chosen.split, chosen.history, chosen.runs.assign(end=chosen.runs[end]))


def in_order(labels: Iterable[str]) -> list[str]:
    """Each label once; sorted, if all of them are numbers."""
    once = list(dict.fromkeys(labels))
    try:
        return sorted(once, key=float)
    except ValueError:
        return once


def extremes(source: str, curves: Curves) -> str:
    """The best and the worst variant of a source: `as run: best 16, 0.890; worst 4096, 0.832`."""
    means = curves.runs.groupby("variant", sort=False)["end"].mean()
    best, worst = means.idxmax(), means.idxmin()
    if best == worst:
        return f"{source}: {means[best]:.3f}"
    return f"{source}: best {best}, {means[best]:.3f}; worst {worst}, {means[worst]:.3f}"
