"""The figures of the first pages: the study in one picture, the published error signal, the effects of bugs."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.reporting import style
from stages.reporting.names import spaced
from stages.reporting.studies import FIXED, PUBLISHED
from stages.reporting.style import SMALL, new_figure
from stages.reporting.tables import networks
from stages.verdicts.findings import Findings, count_verdicts
from stages.verdicts.reading import Results
from stages.verdicts.reproduction import NO, YES, counts
from stages.verdicts.text import number

MEANINGS = {
    "supported": "every comparison holds",
    "contradicted": "at least one goes the other way",
    "no difference": "the effect is too small to matter",
    "artefact": "true only because of a bug in its code",
    "not tested": "its code ran something else",
    "undecided": "too few runs to tell",
    "not testable": "not a question for runs",
}
FARTHEST = 2  # half-widths of the interval: published numbers further away are drawn here


def draw_summary(results: Results, findings: Findings) -> Figure:
    """Which published numbers are reproduced, what became of the statements, what the networks reach."""
    found, statements = counts(findings.runs), len(findings.judgements)
    panels = {
        f"{found['reproduced']} of {found['compared']} published accuracies are reproduced": draw_runs,
        f"What became of the report's {statements} statements": draw_verdicts,
        "Test accuracy: the report's networks, and ours": draw_reached,
    }
    figure = new_figure(7.6)
    for part, (heading, draw) in zip(figure.subfigures(3, 1, height_ratios=(1.2, 1, 1)), panels.items(), strict=True):
        part.suptitle(heading, x=0.015, ha="left", fontsize=9.5, fontweight="bold")
        draw(part.subplots(), results, findings)
    return figure


def draw_runs(axes: Axes, results: Results, findings: Findings) -> None:
    """Each published accuracy in the prediction interval of our runs, whose ends are −1 and 1; study by study."""
    compared = findings.runs[findings.runs["reproduced"].isin((YES, NO))]
    place, middle, starts = 0, [], {}
    for (framework, study), own in compared.groupby(["framework", "study"], sort=False):
        starts.setdefault(framework, place)
        middle.append((place + (len(own) - 1) / 2, spaced(study)))
        for run in own.itertuples():
            away, reach = run.published_accuracy - run.accuracy, run.high - run.accuracy
            share = away / reach if reach else 0 if run.reproduced == YES else np.inf * np.sign(away)
            mark, colour = ("o", style.INK) if run.reproduced == YES else ("D", style.VERDICTS["contradicted"])
            axes.plot([place], [np.clip(share, -FARTHEST, FARTHEST)], mark, color=colour)
            place += 1
        axes.axvline(place + 0.25, color=style.GRID, linewidth=0.8)
        place += 1.5
    axes.axhspan(-1, 1, color=style.FIXED, alpha=0.14, linewidth=0)
    for framework, start in starts.items():
        axes.text(start - 0.5, FARTHEST + 0.25, framework, fontsize=SMALL, fontweight="bold", color=style.NOTE)
    axes.set_xlim(-1, max(place - 0.5, 1))
    axes.set_ylim(-FARTHEST - 0.2, FARTHEST + 0.2)
    axes.set_yticks([-1, 0, 1], ["low end", "our mean", "high end"])
    axes.set_xticks([at for at, _ in middle], [name for _, name in middle], rotation=90)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    words = "dots: published accuracies; band: 95 % of our runs"
    axes.set_title(words, fontsize=SMALL, fontweight="normal", color=style.NOTE, pad=14)


def draw_verdicts(axes: Axes, results: Results, findings: Findings) -> None:
    """How many statements have each verdict, and what it means."""
    verdicts = {verdict: count for verdict, count in count_verdicts(findings.judgements).items() if count}
    for place, (verdict, count) in enumerate(verdicts.items()):
        colour = style.VERDICTS[verdict]
        axes.barh(place, count, 0.62, color=colour, linewidth=0)
        axes.text(count + 0.3, place, f"{count}  {MEANINGS[verdict]}", va="center", fontsize=SMALL, color=style.NOTE)
    axes.set_yticks(range(len(verdicts)), list(verdicts))
    for tick, verdict in zip(axes.get_yticklabels(), verdicts, strict=True):
        tick.set(color=style.VERDICTS[verdict], fontweight="bold")
    axes.set_ylim(len(verdicts) - 0.4, -0.6)
    axes.set_xlim(0, 2.4 * max(verdicts.values()))
    bare(axes)


def draw_reached(axes: Axes, results: Results, findings: Findings) -> None:
    """Test accuracy by data set: what was published, and the final models."""
    colours = {PUBLISHED: style.PUBLISHED, FIXED: style.FIXED}
    rows = [(name, accuracy, colours[kind]) for name, accuracy, kind, _ in networks(results) if kind in colours]
    for place, (_, accuracy, colour) in enumerate(rows):
        axes.hlines(place, 0, accuracy, color=colour, linewidth=1.2, alpha=0.6)
        axes.plot([accuracy], [place], "o", color=colour)
        axes.text(accuracy + 0.02, place, number(accuracy), va="center", fontsize=SMALL, color=colour)
    names = [name if colour == style.PUBLISHED else f"ours: {name}" for name, _, colour in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set(xlim=(0, 1.15), ylim=(len(rows) - 0.4, -0.6))
    bare(axes)


def bare(axes: Axes) -> None:
    """Without a horizontal axis, as the numbers are written."""
    axes.grid(visible=False)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0)


def draw_error_signal() -> Figure:
    """What the output unit of the right class sends back, by the probability p that the network gives to that class."""
    figure = new_figure(4.4)
    sizes, signals = figure.subplots(2, 1)
    p = np.linspace(0, 1, 400)
    sizes.plot(p, 1 - p, color=style.FIXED)
    sizes.plot(p, 0.2 * p * (1 - p) ** 2, color=style.AS_RUN)
    sizes.text(0.3, 0.74, "cross-entropy: 1 − p", color=style.FIXED)
    sizes.text(0.06, 0.06, "published: 0.2 · p (1 − p)²", color=style.AS_RUN)
    sizes.set(xlim=(0, 1), ylim=(0, 1), xlabel="p, probability of the right class", ylabel="error signal")
    title = "A network that is certain and wrong gets no signal"
    figure.suptitle(title, x=0.015, ha="left", fontsize=9.5, fontweight="bold")
    logit = np.linspace(-25, 8, 400)
    p = 1 / (1 + np.exp(-logit))
    signals.semilogy(logit, 1 - p, color=style.FIXED)
    signals.semilogy(logit, 0.2 * p * (1 - p) ** 2, color=style.AS_RUN)
    signals.text(-24, 0.12, "cross-entropy", color=style.FIXED)
    signals.text(-14.5, 2e-9, "published", color=style.AS_RUN)
    signals.set(xlim=(-25, 8), ylim=(1e-12, 3), ylabel="the same, log scale")
    signals.set_xlabel("log-odds of the right class (left: certain and wrong)")
    return figure


def draw_effects(findings: Findings) -> Figure:
    """The effects on accuracy of fixing one bug alone, with intervals; grey where the interval contains zero."""
    effects = findings.effects[findings.effects["effect"].notna()]
    effects = effects[effects["quantity"].str.endswith("accuracy")]
    names = {bug.id: bug.name for bug in findings.bugs}
    lines = len(effects) + 1.2 * effects["bug"].nunique()
    figure = new_figure(0.145 * lines + 0.85)
    axes = figure.subplots()
    place, ticks = 0.0, {}
    for bug, own in effects.groupby("bug", sort=False):
        heading = {"ha": "right", "va": "center", "fontweight": "bold", "fontsize": SMALL}
        axes.text(0, place, f"{bug} {names[bug]}", transform=axes.get_yaxis_transform(), **heading)
        for effect in own.itertuples():
            place += 1
            ticks[place] = effect.setting
            colour = style.FIXED if effect.low > 0 or effect.high < 0 else style.NOTE
            axes.hlines(place, effect.low, effect.high, color=colour, linewidth=1.6)
            axes.plot([effect.effect], [place], "o", color=colour, markersize=4)
        place += 1.3
    axes.axvline(0, color=style.NOTE, linewidth=0.8)
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set_ylim(place - 0.8, -0.8)
    axes.set_xscale("symlog", linthresh=0.02)
    farthest = 1.3 * max(0.1, *effects[["low", "high"]].abs().max())
    axes.set_xlim(-farthest, farthest)
    axes.set_xticks([-0.5, -0.02, 0, 0.02, 0.5], ["−0.5", "−0.02", "0", "0.02", "0.5"])
    axes.minorticks_off()
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("change of accuracy (logarithmic beyond ± 0.02)", loc="right")
    figure.suptitle(
        "Accuracy with one bug fixed, minus as published", x=0.015, ha="left", fontsize=9.5, fontweight="bold"
    )
    return figure
