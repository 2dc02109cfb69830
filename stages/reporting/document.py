"""The report as a whole: which figures it has, and the text that comes out."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from stages.reporting import counterparts
from stages.reporting.context import TORCH, context, record_figure
from stages.reporting.figures_calibration import draw_calibration
from stages.reporting.figures_counterparts import draw_counterparts
from stages.reporting.figures_grid import draw_grid
from stages.reporting.figures_record import draw_confusion, draw_history, draw_mistakes
from stages.reporting.figures_studies import draw_study
from stages.reporting.figures_summary import draw_summary
from stages.reporting.figures_sweeps import draw_sweep
from stages.reporting.figures_weights import draw_weights
from stages.reporting.findings import Findings
from stages.reporting.halves import Inputs
from stages.reporting.rendering import render
from stages.reporting.reproduction import NOT_RUN
from stages.reporting.style import house_style, save


def drawings(inputs: Inputs, findings: Findings) -> dict[str, Callable[[], Figure]]:
    """Every figure of the report by the name of its file."""
    found: dict[str, Callable[[], Figure]] = {"summary": lambda: draw_summary(inputs, findings)}
    for half, prefix in ((inputs.numpy, ""), (inputs.torch, TORCH)):
        for sweep in half.sweeps():
            found[prefix + sweep.name] = lambda sweep=sweep: draw_sweep(sweep)
        for result in half.further_studies():
            if counterparts.has_counterparts(result):
                arms = counterparts.arms(result, half.results)
                found[prefix + result.name] = lambda arms=arms: draw_counterparts(arms)
            else:
                found[prefix + result.name] = lambda result=result: draw_study(result)
    for half, framework in ((inputs.numpy, "NumPy"), (inputs.torch, "PyTorch")):
        runs = findings.runs[findings.runs["framework"] == framework]
        if (runs["comes_back"] != NOT_RUN).any():
            name = f"{framework.lower()}_grid"
            found[name] = lambda runs=runs, half=half: draw_grid(runs, half.published, half.results)
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


def draw_figures(inputs: Inputs, findings: Findings, folder: Path) -> None:
    """Write every figure to `folder`."""
    with house_style():
        for name, draw in drawings(inputs, findings).items():
            save(draw(), folder / f"{name}.png")


def write_report(inputs: Inputs, findings: Findings) -> str:
    """The report in Markdown; pictures are at figures/*.png beside it."""
    return render("report.md.j2", context(inputs, findings))
