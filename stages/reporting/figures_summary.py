"""The whole study on one page: reproduced runs, accuracies of the networks, effects of bugs, verdicts."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from stages.reporting import style
from stages.reporting.names import model_name
from stages.reporting.style import SMALL, new_figure
from stages.reporting.tables import NUMPY_CHOICE, TORCH_CHOICES
from stages.verdicts.findings import Findings, count_verdicts
from stages.verdicts.judging import Judgement
from stages.verdicts.reading import DATA_SETS, Results
from stages.verdicts.reproduction import NO, NOT_RUN, counts
from stages.verdicts.text import number, signed

FRAMEWORKS = {"NumPy": ("o", style.NAMED[1]), "PyTorch": ("s", style.NAMED[5])}
LINE, CLAIM = 47, 0.3  # characters of a claim that fit on a line of half the page; inches of a claim


def draw_summary(results: Results, findings: Findings) -> Figure:
    """Runs and models above, bugs in the middle, claims below in two columns."""
    columns = [
        [each for each in findings.judgements if (each.claim.framework == "torch") == torch] for torch in (False, True)
    ]
    heights = (2.7, 2.0, CLAIM * max(map(len, columns)))
    figure = new_figure(sum(heights))
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=heights, hspace=0.04)
    runs, reached = top.subplots(1, 2, width_ratios=(1, 1.15))
    draw_runs(runs, findings.runs)
    draw_reached(reached, results)
    draw_effects(middle.subplots(), findings)
    draw_claims(bottom, columns, count_verdicts(findings.judgements))
    return figure


def draw_runs(axes: Axes, runs: pd.DataFrame) -> None:
    """Each published accuracy against ours, with its interval; runs that are not reproduced by name."""
    run_here = runs[runs["reproduced"] != NOT_RUN]
    ends = (0.05, 0.95)
    axes.plot(ends, ends, color=style.FAINT, linewidth=0.8)
    for framework, (marker, colour) in FRAMEWORKS.items():
        own = run_here[run_here["framework"] == framework]
        reach = np.abs(own[["low", "high"]].to_numpy().T - own["accuracy"].to_numpy())
        bars = {"fmt": "none", "ecolor": colour, "lw": 0.8}
        axes.errorbar(own["published_accuracy"], own["accuracy"], np.nan_to_num(reach), **bars)
        axes.plot(own["published_accuracy"], own["accuracy"], marker, color=colour, alpha=0.75, label=framework)
    for run in run_here[run_here["reproduced"] == NO].itertuples():
        name, place = f"{run.study.replace('_', ' ')} {run.variant}", (run.published_accuracy, run.accuracy)
        arrow = {"arrowstyle": "-", "linewidth": 0.6}
        axes.annotate(name, place, (14, -22), textcoords="offset points", fontsize=SMALL, arrowprops=arrow)
    found = counts(runs)
    axes.set(xlim=ends, ylim=ends, xlabel="published accuracy", ylabel="accuracy here, mean over seeds")
    axes.set_aspect("equal")
    axes.set_title(f"{found['reproduced']} of {found['published']} published runs are reproduced")
    axes.legend(loc="upper left")


def draw_reached(axes: Axes, results: Results) -> None:
    """Test accuracy by data set: what was published, and the final models."""
    study, variant = NUMPY_CHOICE
    runs = results.numpy.published.runs_of(study).set_index("variant")
    published = {"fashion_mnist": ("published, NumPy", runs.loc[variant, "final_accuracy"])}
    if results.torch.comparable:
        published[results.torch.dataset] = ("published, PyTorch", next(iter(TORCH_CHOICES.values()))[0])
    rows: list[tuple[str, float, str, str]] = []
    for dataset, (name, accuracy) in published.items():
        rows.append((f"{DATA_SETS[dataset]}: {name}", accuracy, "o", style.PUBLISHED))
        rows += [
            (model_name(model), scores.metrics.get("test_accuracy", np.nan), "s", style.CORRECTED)
            for model, scores in results.models.items()
            if scores.dataset == dataset
        ]
    for place, (_, accuracy, marker, colour) in enumerate(rows):
        axes.hlines(place, 0, accuracy, color=colour, linewidth=1, alpha=0.5)
        axes.plot([accuracy], [place], marker, color=colour)
        axes.annotate(number(accuracy), (accuracy, place), (6, -3), textcoords="offset points", fontsize=SMALL)
    axes.set_yticks(range(len(rows)), [textwrap.fill(name, 24) for name, *_ in rows])
    axes.set(xlim=(0, 1.18), ylim=(len(rows) - 0.4, -0.6), xlabel="test accuracy", xticks=np.linspace(0, 1, 6))
    axes.grid(visible=False, axis="y")
    axes.set_title("Test accuracies")


def draw_effects(axes: Axes, findings: Findings) -> None:
    """The first effect, if any, of each bug, which is its main effect: fixed minus published, with its interval."""
    effects = findings.effects[findings.effects["effect"].notna()].drop_duplicates("bug")
    names = {bug.id: bug.name for bug in findings.bugs}
    for place, effect in enumerate(effects.itertuples()):
        colour = style.CORRECTED if effect.low > 0 or effect.high < 0 else style.NOTE
        axes.hlines(place, effect.low, effect.high, color=colour, linewidth=1.6)
        axes.plot([effect.effect], [place], "o", color=colour)
        text = f"{signed(effect.effect, 3)}  {effect.setting}"
        axes.annotate(text, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=SMALL)
    axes.axvline(0, color=style.INK, linewidth=0.8)
    axes.set_yticks(range(len(effects)), [f"{effect.bug} {names[effect.bug]}" for effect in effects.itertuples()])
    axes.set_ylim(len(effects) - 0.5, -0.5)
    axes.set_xlabel("change of accuracy when this bug alone is fixed, with its 95 % interval; grey: it contains 0")
    axes.grid(visible=False, axis="y")
    axes.set_title("The effects of the bugs")


def draw_claims(figure: SubFigure, columns: Sequence[Sequence[Judgement]], verdicts: Mapping[str, int]) -> None:
    """Every conclusion of the report with its verdict, those on the NumPy network at the left."""
    rows = max(map(len, columns))
    text = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items() if count)
    title = f"Verdicts on {sum(verdicts.values())} conclusions:\n{text}"
    figure.suptitle(title, fontsize=8.5, fontweight="bold")
    for axes, column in zip(figure.subplots(1, 2), columns, strict=True):
        axes.axis("off")
        axes.set(xlim=(0, 1), ylim=(rows - 0.5, -0.5))
        for place, judgement in enumerate(column):
            background, ink = style.VERDICTS[judgement.verdict]
            badge = {"boxstyle": "round,pad=0.2", "facecolor": background, "edgecolor": "none"}
            centred = {"va": "center", "fontsize": SMALL}
            axes.text(0.1, place, judgement.verdict, color=ink, ha="center", bbox=badge, **centred)
            axes.text(0.25, place, judgement.claim.id, fontweight="bold", **centred)
            axes.text(0.345, place, textwrap.fill(judgement.claim.claim, LINE), **centred)
