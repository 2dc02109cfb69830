"""The report: every figure and table, written anew from what the other stages left. Nothing is trained here."""

from pathlib import Path

from stages.common.errors import StudyError, exit_on_error
from stages.common.files import write_text
from stages.common.params import load_params
from stages.reporting.document import Inputs, draw_figures, write_report
from stages.reporting.provenance import data_sets, data_table
from stages.reporting.published import read_published_history, read_published_runs
from stages.reporting.record import read_model
from stages.reporting.studies import read_result

PUBLISHED = Path("data/published")
PREPARED = Path("data/prepared/fashion_mnist.npz")
MODEL = Path("data/models/numpy.npz")
REPORTS = Path("reports")


def read_inputs() -> Inputs:
    """Read all that the report needs, before anything is drawn. The studies are those of params.yaml, no others."""
    params = load_params()
    return Inputs(
        params=params,
        data=data_table(REPORTS / "data", data_sets(params)),
        results={name: read_result(REPORTS / "tune" / name, name, study) for name, study in params.tune.items()},
        published_history=read_published_history(PUBLISHED / "published_history.csv"),
        published_runs=read_published_runs(PUBLISHED / "published_runs.yaml"),
        record=read_model(REPORTS / "train_numpy", MODEL, PREPARED, params.train_numpy.protocol),
    )


def main(arguments: list[str]) -> None:
    """`python -m stages.report`."""
    if arguments:
        raise StudyError(f"report takes no arguments, not {' '.join(arguments)}")
    inputs = read_inputs()
    draw_figures(inputs, REPORTS / "figures")
    write_text(REPORTS / "report.md", write_report(inputs))


if __name__ == "__main__":
    exit_on_error(main)
