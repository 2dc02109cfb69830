"""Studies as the report shows them: the numbers of a study side by side, by where they come from.

The NumPy network is trained by the code as published (a study `published_<name>`), with one bug fixed
(`objective_<name>`, `reduction_<name>`), and with all of them fixed (`<name>`). Of the PyTorch networks, one study has
all variants: `_as_run` ends the name of those that do what the code did, where the report says something else.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from stages.reporting.names import common_settings, differences, label, title
from stages.verdicts.findings import Findings
from stages.verdicts.judging import Judgement
from stages.verdicts.reading import AS_RUN as AS_RUN_NAME
from stages.verdicts.reading import Curves, Framework, StudyResult
from stages.verdicts.reproduction import NOT_RUN, YES

PUBLISHED, AS_RUN, FIXED, ADDED = "published", "as run", "bugs fixed", "added here"
PREFIXES = {"published_": AS_RUN, "objective_": "F1 fixed", "reduction_": "F2 fixed"}


@dataclass(frozen=True)
class View:
    """A study. `sources`: by where numbers come from, published first, the runs under labels that mean the same in all.

    `runs` of a source has a column `end`: the accuracy after training, on the images of the published number if there
    is one. `reproduced`: how many of the published runs are, and how many were trained here.
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


def views(framework: Framework, findings: Findings) -> list[View]:
    """All studies of a framework that have results, the published ones first."""
    published = list(dict.fromkeys(framework.published.runs["study"])) if framework.comparable else []
    names = dict.fromkeys([*published, *map(base_name, framework.results)])
    found = [view(framework, name, findings) for name in names]
    return [each for each in found if any(source != PUBLISHED for source in each.sources)]


def base_name(study: str) -> str:
    """What a study varies, without the prefix that says how the network is trained."""
    return next((study.removeprefix(prefix) for prefix in PREFIXES if study.startswith(prefix)), study)


def view(framework: Framework, name: str, findings: Findings) -> View:
    """One study with its sources."""
    parts = numpy_parts(framework, name) if framework.name == "NumPy" else torch_parts(framework, name)
    published = framework.published.runs_of(name) if framework.comparable else pd.DataFrame()
    split = framework.published.split if len(published) else next(iter(parts.values()))[0].split if parts else ""
    sources = {}
    if len(published):
        sources[PUBLISHED] = renamed(framework.published.curves(name), published["variant"], split)
    sources |= {source: renamed(result, variants, split) for source, (result, variants) in parts.items()}
    runs, half = findings.runs, framework.name.lower().removeprefix("py")
    own = runs[(runs["framework"] == framework.name) & (runs["study"] == name) & (runs["reproduced"] != NOT_RUN)]
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
            as_published = not prefix and result.split == "test"  # the published code with something changed
            found[AS_RUN if as_published else source] = result, result.variants
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
    chosen = curves.select({label(each.removesuffix(AS_RUN_NAME)): each for each in variants})
    end = "final_accuracy" if chosen.split == split else f"{split}_accuracy"
    return Curves(chosen.split, chosen.history, chosen.runs.assign(end=chosen.runs[end]))


def in_order(labels: Iterable[str]) -> list[str]:
    """Each label once; sorted, if all of them are numbers."""
    once = list(dict.fromkeys(labels))
    try:
        return sorted(once, key=float)
    except ValueError:
        return once
