"""The report as a whole: which figures it has, and the text that comes out."""

import re
from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from stages.reporting import clipping
from stages.reporting.context import TORCH, context, record_figure
from stages.reporting.figures_calibration import draw_calibration
from stages.reporting.figures_record import draw_confusion, draw_history, draw_mistakes
from stages.reporting.figures_studies import draw_clipping, draw_study
from stages.reporting.figures_sweeps import draw_sweep
from stages.reporting.figures_weights import draw_weights
from stages.reporting.halves import Inputs
from stages.reporting.style import house_style, save

TEMPLATES = Path(__file__).parent / "templates"


def drawings(inputs: Inputs) -> dict[str, Callable[[], Figure]]:
    """Every figure of the report by the name of its file."""
    found: dict[str, Callable[[], Figure]] = {}
    for half, prefix in ((inputs.numpy, ""), (inputs.torch, TORCH)):
        for sweep in half.sweeps():
            found[prefix + sweep.name] = lambda sweep=sweep: draw_sweep(sweep)
        for result in half.further_studies():
            if clipping.is_clipping(result):
                arms = clipping.arms(result, half.results)
                found[prefix + result.name] = lambda arms=arms: draw_clipping(arms)
            else:
                found[prefix + result.name] = lambda result=result: draw_study(result)
    found[record_figure("final", "history")] = lambda: draw_history(inputs.torch.final)
    for name, record in inputs.records.items():
        kinds = {
            "history": lambda record=record: draw_history(record),
            "confusion": lambda record=record: draw_confusion(record.confusion),
            "calibration": lambda record=record: draw_calibration(record),
            "mistakes": lambda record=record: draw_mistakes(record),
            "weights": lambda record=record: draw_weights(record.weights),
        }
        if record.mistakes.empty:
            del kinds["mistakes"]
        found |= {record_figure(name, kind): draw for kind, draw in kinds.items()}
    return found


def draw_figures(inputs: Inputs, folder: Path) -> None:
    """Write every figure to `folder`."""
    with house_style():
        for name, draw in drawings(inputs).items():
            save(draw(), folder / f"{name}.png")


def write_report(inputs: Inputs) -> str:
    """The report in Markdown; pictures are at figures/*.png beside it."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template("report.md.j2").render(context(inputs))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"  # templates leave blank lines where they meet
