"""The files of the report: figures, report.md, appendix.md, and a card for each final model (Mitchell et al. 2019)."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from stages.reporting import figures_models, figures_summary
from stages.reporting.context import context
from stages.reporting.figures_studies import draw_study
from stages.reporting.pictures import Pictures
from stages.reporting.studies import views
from stages.reporting.style import report_style, save, save_dark
from stages.verdicts.findings import Findings
from stages.verdicts.reading import Results

TEMPLATES = Path(__file__).parent / "templates"


def drawings(results: Results, findings: Findings, pictures: Mapping[str, Pictures]) -> dict[str, Callable[[], Figure]]:
    """A function that draws each figure, by the name of its file."""
    found: dict[str, Callable[[], Figure]] = {
        "summary": partial(figures_summary.draw_summary, results, findings),
        "error_signal": figures_summary.draw_error_signal,
        "bugs": partial(figures_summary.draw_effects, findings),
    }
    for framework in (results.numpy, results.torch):
        found |= {view.figure: partial(draw_study, view) for view in views(framework, findings)}
    for name, model in results.models.items():
        own = {
            "history": partial(figures_models.draw_history, model),
            "confusion": partial(figures_models.draw_confusion, model.confusion),
            "calibration": partial(figures_models.draw_calibration, model.calibration),
        }
        if len(model.errors):
            own["errors"] = partial(figures_models.draw_errors, model.errors, pictures[name].errors)
        if pictures[name].shows_patterns:
            own["weights"] = partial(figures_models.draw_weights, pictures[name].weights)
        found |= {f"model_{name}_{kind}": draw for kind, draw in own.items()}
    return found


def draw_figures(figures: Mapping[str, Callable[[], Figure]], folder: Path) -> None:
    """Write every figure to `folder`."""
    with report_style():
        for name, draw in figures.items():
            save(draw(), folder / f"{name}.svg")
    save_dark(folder / "summary.svg")


def write_report(results: Results, findings: Findings, pictures: Mapping[str, Pictures]) -> dict[str, str]:
    """The report, its appendix and the model cards in Markdown, by their paths; figures are in figures/, beside it."""
    known = context(results, findings, pictures)
    documents = {f"{name}.md": render(f"{name}.md.j2", known) for name in ("report", "appendix")}
    return documents | {f"cards/{name}.md": render("card.md.j2", known | {"name": name}) for name in results.models}


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
