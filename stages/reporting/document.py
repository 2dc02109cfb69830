"""The files of the report: figures, report.md, and a card for each final model (after Mitchell et al. 2019)."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from stages.reporting import figures_models, figures_studies
from stages.reporting.context import context
from stages.reporting.figures_summary import draw_summary
from stages.reporting.names import model_figure
from stages.reporting.pictures import Pictures
from stages.reporting.style import report_style, save
from stages.reporting.sweeps import PREFIXES, further_studies, published_sweeps
from stages.verdicts.findings import Findings
from stages.verdicts.reading import Results

TEMPLATES = Path(__file__).parent / "templates"


def drawings(results: Results, findings: Findings, pictures: Mapping[str, Pictures]) -> dict[str, Callable[[], Figure]]:
    """A function that draws each figure, by the name of its file."""
    found: dict[str, Callable[[], Figure]] = {"summary": partial(draw_summary, results, findings)}
    for framework in (results.numpy, results.torch):
        prefix = PREFIXES[framework.name]
        for sweep in published_sweeps(framework):
            found[prefix + sweep.name] = partial(figures_studies.draw_sweep, sweep)
        for result, groups in further_studies(framework):
            draw = partial(figures_studies.draw_study, result)
            found[prefix + result.name] = partial(figures_studies.draw_groups, groups) if groups else draw
        if framework.comparable:
            runs = findings.runs[findings.runs["framework"] == framework.name]
            found[f"{framework.name.lower()}_grid"] = partial(figures_studies.draw_grid, runs, framework)
    found[model_figure("published", "history")] = partial(figures_models.draw_history, results.published)
    for name, model in results.models.items():
        found[model_figure(name, "history")] = partial(figures_models.draw_history, model)
        found[model_figure(name, "confusion")] = partial(figures_models.draw_confusion, model.confusion)
        found[model_figure(name, "calibration")] = partial(figures_models.draw_calibration, model.calibration)
        found[model_figure(name, "weights")] = partial(figures_models.draw_weights, pictures[name].weights)
        if len(model.errors):
            found[model_figure(name, "errors")] = partial(
                figures_models.draw_errors, model.errors, pictures[name].errors
            )
    return found


def draw_figures(figures: Mapping[str, Callable[[], Figure]], folder: Path) -> None:
    """Write every figure to `folder`."""
    with report_style():
        for name, draw in figures.items():
            save(draw(), folder / f"{name}.png")


def write_report(results: Results, findings: Findings, pictures: Mapping[str, Pictures]) -> dict[str, str]:
    """The report and the model cards in Markdown, by their paths; pictures are in figures/, next to the report."""
    known = context(results, findings, pictures)
    cards = {f"cards/{name}.md": render("card.md.j2", known | {"name": name}) for name in results.models}
    return {"report.md": render("report.md.j2", known), **cards}


def render(template: str, known: Mapping[str, Any], *, html: bool = False) -> str:
    """Fill a template; a name that it uses and `known` lacks is an error. Blank lines are collapsed in Markdown."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=html,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template(template).render(known)
    return text if html else re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
