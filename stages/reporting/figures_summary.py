"""The whole study on one page: which runs come back, what the networks reach, what faults did, what to believe."""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from stages.reporting import colours
from stages.reporting.claims import verdict_counts
from stages.reporting.findings import Findings
from stages.reporting.halves import Inputs
from stages.reporting.headline import NUMPY_CHOICE, TORCH_TEST
from stages.reporting.judging import Judgement
from stages.reporting.naming import DATA_SETS, record_title
from stages.reporting.reproduction import NO, NOT_RUN, counts
from stages.reporting.statistics import LEVEL
from stages.reporting.style import SMALL, new_figure
from stages.reporting.tables import number, signed

FRAMEWORKS = {"NumPy": ("o", colours.NAMED[1]), "PyTorch": ("s", colours.NAMED[5])}
NEAR = {"arrowstyle": "-", "linewidth": 0.6}  # from a name to what it names
LINE = 50  # characters of a claim that fit on a line of half the page


def draw_summary(inputs: Inputs, findings: Findings) -> Figure:
    """Runs and models above, faults in the middle, claims below in two columns."""
    figure = new_figure(9.6)
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(2.7, 2.0, 4.9), hspace=0.04)
    runs, reached = top.subplots(1, 2, width_ratios=(1, 1.15))
    draw_runs(runs, findings.runs)
    draw_reached(reached, inputs)
    draw_effects(middle.subplots(), findings)
    draw_claims(bottom, findings.judgements)
    return figure


def draw_runs(axes: Axes, runs: pd.DataFrame) -> None:
    """Each published accuracy against ours, with its interval; the runs that don't come back by name."""
    shown = runs[runs["comes_back"] != NOT_RUN]
    ends = (0.05, 0.95)
    axes.plot(ends, ends, color=colours.FAINT, linewidth=0.8)
    for framework, (marker, colour) in FRAMEWORKS.items():
        own = shown[shown["framework"] == framework]
        reach = np.abs(own[["low", "high"]].to_numpy().T - own["accuracy"].to_numpy())
        axes.errorbar(
            own["published_accuracy"], own["accuracy"], np.nan_to_num(reach), fmt="none", ecolor=colour, lw=0.8
        )
        axes.plot(own["published_accuracy"], own["accuracy"], marker, color=colour, alpha=0.75, label=framework)
    for run in shown[shown["comes_back"] == NO].itertuples():
        text = f"{run.study.replace('_', ' ')} {run.variant}"
        axes.annotate(
            text,
            (run.published_accuracy, run.accuracy),
            (14, -22),
            textcoords="offset points",
            fontsize=SMALL,
            arrowprops=NEAR,
        )
    found = counts(runs)
    axes.set(xlim=ends, ylim=ends, xlabel="published accuracy", ylabel="accuracy here, mean over seeds")
    axes.set_aspect("equal")
    axes.set_title(f"{found['come_back']} of {found['published']} published runs come back")
    axes.legend(loc="upper left")


def draw_reached(axes: Axes, inputs: Inputs) -> None:
    """Test accuracy by data set: what was published, and the models of record."""
    study, variant = NUMPY_CHOICE
    runs = inputs.numpy.published.runs_of(study).set_index("variant")
    published = {"fashion_mnist": ("published, NumPy", runs.loc[variant, "final_accuracy"])}
    if inputs.torch.comparable:
        published[inputs.torch.dataset] = ("published, PyTorch", next(iter(TORCH_TEST.values()))[0])
    rows: list[tuple[str, float, str, str]] = []
    for dataset, (name, accuracy) in published.items():
        rows.append((f"{DATA_SETS[dataset]}: {name}", accuracy, "o", colours.PUBLISHED))
        for record, scores in inputs.records.items():
            if scores.dataset == dataset:
                accuracy = scores.metrics.get("test_accuracy", np.nan)
                rows.append((record_title(record), accuracy, "s", colours.CORRECTED))
    for place, (_, accuracy, marker, colour) in enumerate(rows):
        axes.hlines(place, 0, accuracy, color=colour, linewidth=1, alpha=0.5)
        axes.plot([accuracy], [place], marker, color=colour)
        axes.annotate(number(accuracy), (accuracy, place), (6, -3), textcoords="offset points", fontsize=SMALL)
    axes.set_yticks(range(len(rows)), [textwrap.fill(name, 24) for name, *_ in rows])
    axes.set(xlim=(0, 1.18), ylim=(len(rows) - 0.4, -0.6), xlabel="test accuracy", xticks=np.linspace(0, 1, 6))
    axes.grid(visible=False, axis="y")
    axes.set_title("What the networks reach")


def draw_effects(axes: Axes, findings: Findings) -> None:
    """The first effect of each fault that has one, which sums it up: mended minus published, with its interval."""
    effects = findings.effects[findings.effects["effect"].notna()].drop_duplicates("fault")
    names = {fault.id: fault.name for fault in findings.faults}
    for place, effect in enumerate(effects.itertuples()):
        sure = effect.low > 0 or effect.high < 0
        colour = colours.CORRECTED if sure else colours.NOTE
        axes.hlines(place, effect.low, effect.high, color=colour, linewidth=1.6)
        axes.plot([effect.effect], [place], "o", color=colour)
        text = f"{signed(effect.effect, 3)}  {effect.setting}"
        axes.annotate(text, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=SMALL)
    axes.axvline(0, color=colours.INK, linewidth=0.8)
    axes.set_yticks(range(len(effects)), [f"{effect.fault} {names[effect.fault]}" for effect in effects.itertuples()])
    axes.set_ylim(len(effects) - 0.5, -0.5)
    axes.set_xlabel(
        f"change of accuracy when this fault alone is mended, with its {100 * LEVEL:.0f} % interval; grey: it holds 0"
    )
    axes.grid(visible=False, axis="y")
    axes.set_title("What the faults did")


def draw_claims(figure: SubFigure, judgements: Sequence[Judgement]) -> None:
    """Every conclusion of the report with its verdict, those of the network in NumPy at the left."""
    torch = [judgement for judgement in judgements if judgement.claim.framework == "torch"]
    halves = [[judgement for judgement in judgements if judgement not in torch], torch]
    rows = max(len(half) for half in halves)
    told = ", ".join(f"{count} {verdict}" for verdict, count in verdict_counts(judgements).items())
    figure.suptitle(f"What to believe of {len(judgements)} conclusions: {told}", fontsize=8.5, fontweight="bold")
    for axes, half in zip(figure.subplots(1, 2), halves, strict=True):
        axes.axis("off")
        axes.set(xlim=(0, 1), ylim=(rows - 0.5, -0.5))
        for place, judgement in enumerate(half):
            chip = {"boxstyle": "round,pad=0.2", "facecolor": colours.VERDICTS[judgement.verdict], "edgecolor": "none"}
            ink = colours.ON_VERDICTS[judgement.verdict]
            centred = {"va": "center", "fontsize": SMALL}
            axes.text(0.1, place, judgement.verdict, color=ink, ha="center", bbox=chip, **centred)
            axes.text(0.235, place, judgement.claim.id, fontweight="bold", **centred)
            axes.text(0.33, place, textwrap.fill(judgement.claim.claim, LINE), **centred)
