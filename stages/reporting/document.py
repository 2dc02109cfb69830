"""The report as a whole: which figures it has, what the template is given, and the text that comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from stages.common.params import Params
from stages.reporting import clipping, comparison, naming, provenance, record, selection, studies, sweeps, tables
from stages.reporting.figures_record import draw_confusion, draw_history, draw_mistakes, draw_weights
from stages.reporting.figures_studies import draw_clipping, draw_study
from stages.reporting.figures_sweeps import draw_sweep
from stages.reporting.style import house_style, save

# The network that the published report settled on, and the accuracy that it states for it in words.
PUBLISHED_CHOICE = ("architecture", "8")
PUBLISHED_CLAIM = 0.85


@dataclass(frozen=True)
class Inputs:
    """All that the report is written from, read and checked."""

    params: Params
    data: pd.DataFrame
    results: Mapping[str, studies.Result]
    published_history: pd.DataFrame
    published_runs: pd.DataFrame
    record: record.Record

    def sweeps(self) -> list[sweeps.Sweep]:
        """The published sweeps beside ours."""
        return [
            sweeps.build_sweep(name, self.published_history, self.published_runs, self.results)
            for name in sweeps.SWEEPS
        ]

    def further_studies(self) -> list[studies.Result]:
        """The studies that the published report didn't make."""
        known = {*sweeps.SWEEPS, *(f"published_{name}" for name in sweeps.SWEEPS)}
        return [result for name, result in self.results.items() if name not in known]


def drawings(inputs: Inputs) -> dict[str, Callable[[], Figure]]:
    """Every figure of the report by the name of its file, in the order of the report."""
    found: dict[str, Callable[[], Figure]] = {}
    for sweep in inputs.sweeps():
        found[sweep.name] = lambda sweep=sweep: draw_sweep(sweep)
    for result in inputs.further_studies():
        if clipping.is_clipping(result):
            found[result.name] = lambda result=result: draw_clipping(clipping.arms(result, inputs.results))
        else:
            found[result.name] = lambda result=result: draw_study(result)
    found["record_history"] = lambda: draw_history(inputs.record)
    found["record_confusion"] = lambda: draw_confusion(inputs.record.confusion)
    if len(inputs.record.mistakes):
        found["record_mistakes"] = lambda: draw_mistakes(inputs.record)
    found["record_weights"] = lambda: draw_weights(inputs.record.weights)
    return found


def draw_figures(inputs: Inputs, folder: Path) -> None:
    """Write every figure to `folder`."""
    with house_style():
        for name, draw in drawings(inputs).items():
            save(draw(), folder / f"{name}.png")


def write_report(inputs: Inputs) -> str:
    """The report in Markdown; pictures are at figures/*.png beside it."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.md.j2").render(context(inputs))


def context(inputs: Inputs) -> dict:
    """What the template may name: tables as Markdown, counts and figures as they are printed."""
    compared = comparison.compare(inputs.published_runs, inputs.published_history, inputs.results)
    return {
        "params": inputs.params,
        "record": inputs.record,
        "record_layers": naming.layers_name(inputs.params.train_numpy.architecture),
        "regularisation": naming.regularisation_name(inputs.params.train_numpy),
        "headline": tables.markdown(headline(inputs)),
        "claim": PUBLISHED_CLAIM,
        "data": tables.markdown(inputs.data, left=2),
        "cifar10_edition": inputs.params.data["cifar10"].edition
        if "cifar10" in inputs.data["data set"].values
        else None,
        "versions": tables.markdown(provenance.versions_table(), left=2),
        "studies": tables.markdown(provenance.studies_table(inputs.results), left=2),
        "sweeps": [
            {
                "figure": number,
                "name": sweep.name,
                "title": naming.title(sweep.name),
                "settings": {
                    kind: naming.common_settings(inputs.params.tune[name])
                    for kind, name in (
                        ("Published and reproduced", f"published_{sweep.name}"),
                        ("Corrected", sweep.name),
                    )
                    if name in inputs.params.tune
                },
                "table": tables.markdown(sweeps.sweep_table(sweep)),
            }
            for number, sweep in enumerate(inputs.sweeps(), start=1)
        ],
        "further": [further_study(result, inputs.results) for result in inputs.further_studies()],
        "compared": compared,
        "tolerance": comparison.TOLERANCE,
        "comparison": tables.markdown(comparison.comparison_table(compared), left=2),
        "tried_as": selection.tried_as(inputs.params, inputs.results),
        "selection": tables.markdown(selection.selection_table(inputs.params, inputs.results), left=3),
        "classes": tables.markdown(record.class_table(inputs.record)),
        "number": tables.number,
        "listed": tables.listed,
    }


def further_study(result: studies.Result, results: Mapping[str, studies.Result]) -> dict:
    """What the template is given of a study beyond the published ones."""
    clips = clipping.is_clipping(result)
    table = clipping.clipping_table(clipping.arms(result, results)) if clips else studies.summary_table(result)
    trainings = [variant.training for variant in result.study.variants]
    return {
        "name": result.name,
        "title": naming.title(result.name),
        "clips": clips,
        "split": result.split,
        "seeds": result.study.seeds,
        "architectures": sorted({naming.layers_name(training.architecture) for training in trainings}),
        "epochs": sorted({training.epochs for training in trainings}),
        "table": tables.markdown(table, left=2 if clips else 1),
    }


def headline(inputs: Inputs) -> pd.DataFrame:
    """The model of record beside the published numbers."""
    published = inputs.published_runs
    study, variant = PUBLISHED_CHOICE
    choice = published[(published["study"] == study) & (published["variant"] == variant)].iloc[0]
    best = published.loc[published["final_accuracy"].idxmax()]
    rows = [
        {
            "network": f"published: {row['study'].replace('_', ' ')} {row['variant']}, {why}",
            "validation accuracy": tables.NOTHING,
            "test accuracy": tables.number(row["final_accuracy"]),
            "test loss": tables.number(row["final_loss"], 3),
        }
        for row, why in ((choice, "the report's choice"), (best, "the highest of its runs"))
    ]
    reproduced = comparison.reproduction(inputs.results.get(f"published_{study}"), variant)
    if reproduced:
        rows.append(
            {
                "network": f"reproduced: {study} {variant}",
                "validation accuracy": tables.NOTHING,
                "test accuracy": tables.number(reproduced["accuracy"]),
                "test loss": tables.number(reproduced["loss"], 3),
            }
        )
    metrics = inputs.record.metrics
    rows.append(
        {
            "network": "**model of record**",
            "validation accuracy": tables.number(metrics.get("validation_accuracy")),
            "test accuracy": f"**{tables.number(metrics.get('test_accuracy'))}**",
            "test loss": tables.number(metrics.get("test_loss"), 3),
        }
    )
    return pd.DataFrame(rows)
