"""The report: every figure and table, written anew from what the other stages left. Nothing is trained here."""

from pathlib import Path

from stages.common.errors import StudyError, exit_on_error
from stages.common.files import write_text
from stages.common.params import Params, load_params
from stages.reporting.cards import write_cards
from stages.reporting.document import draw_figures, write_report
from stages.reporting.faults import read_faults
from stages.reporting.findings import Findings, find, write_findings
from stages.reporting.halves import Inputs, NumpyHalf, TorchHalf
from stages.reporting.page import write_page
from stages.reporting.provenance import data_sets, data_table
from stages.reporting.published import Published, read_published
from stages.reporting.record import Record, read_model, read_scores
from stages.reporting.rules import read_claims
from stages.reporting.studies import read_sharing

PUBLISHED = Path("data/published")
PREPARED = Path("data/prepared")
MODELS = Path("data/models")
REPORTS = Path("reports")


def read_inputs() -> Inputs:
    """Read all that the report needs, before anything is drawn. The studies are those of params.yaml, no others."""
    params = load_params()
    dataset = params.train_torch.dataset
    final = read_scores(REPORTS / "train_torch/final", dataset, params.train_torch.final.protocol)
    tune = read_sharing(REPORTS, "tune", params.tune)
    ablations = read_sharing(REPORTS, "ablations", params.ablations)
    return Inputs(
        params=params,
        data=data_table(REPORTS / "data", data_sets(params)),
        numpy=NumpyHalf(published("numpy"), tune),
        torch=TorchHalf(dataset, published("torch"), ablations, final),
        records=read_records(params),
    )


def published(framework: str) -> Published:
    """The published numbers of one half."""
    return read_published(PUBLISHED / "published_history.csv", PUBLISHED / "published_runs.yaml", framework)


def read_records(params: Params) -> dict[str, Record]:
    """The models of record by the names that their figures have."""
    dataset = params.train_torch.dataset
    records = {
        "numpy": read_model(
            REPORTS / "train_numpy",
            MODELS / "numpy.npz",
            PREPARED / "fashion_mnist.npz",
            params.train_numpy.protocol,
        ),
        "torch": read_model(
            REPORTS / "train_torch/record",
            MODELS / "torch_record.safetensors",
            PREPARED / f"{dataset}.npz",
            params.train_torch.record.protocol,
        ),
    }
    for name in data_sets(params):
        records[f"cnn_{name}"] = read_model(
            REPORTS / "train_cnn" / name,
            MODELS / f"cnn_{name}.safetensors",
            PREPARED / f"{name}.npz",
            params.train_cnn[name].protocol,
        )
    return records


def read_findings(inputs: Inputs) -> Findings:
    """Judge the inputs by the rules that stand beside the published numbers."""
    return find(inputs, read_claims(PUBLISHED / "claims.yaml"), read_faults(PUBLISHED / "faults.yaml"))


def main(arguments: list[str]) -> None:
    """`python -m stages.report`."""
    if arguments:
        raise StudyError(f"report takes no arguments, not {' '.join(arguments)}")
    inputs = read_inputs()
    findings = read_findings(inputs)
    write_findings(findings, REPORTS)
    draw_figures(inputs, findings, REPORTS / "figures")
    text = write_report(inputs, findings)
    write_text(REPORTS / "report.md", text)
    cards = write_cards(inputs)
    for path, card in cards.items():
        write_text(REPORTS / path, card)
    write_text(REPORTS / "report.html", write_page(text, cards, REPORTS / "figures"))


if __name__ == "__main__":
    exit_on_error(main)
