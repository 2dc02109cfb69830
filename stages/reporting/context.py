"""What the report's template may name: tables as Markdown, counts and figures as they are printed."""

from collections.abc import Mapping

from stages.common.params import Params
from stages.reporting import comparison, comparison_torch, counterparts, naming, provenance, selection, tables
from stages.reporting.alt_text import counterparts_text, history_text, record_texts, study_text, sweep_text
from stages.reporting.cards import card_path
from stages.reporting.context_findings import findings_context, stuck_context
from stages.reporting.findings import Findings
from stages.reporting.halves import PUBLISHED_ON, Inputs
from stages.reporting.headline import NUMPY_CLAIM, headline_table
from stages.reporting.record import Record, class_table, scores_table
from stages.reporting.settings import common_settings, settings_table, training_of
from stages.reporting.studies import Result, summary_table
from stages.reporting.sweeps import Sweep, sweep_table

TORCH = "torch_"  # what the names of the PyTorch studies' figures begin with: both halves have studies of equal names


def record_figure(record: str, kind: str) -> str:
    """The name of a model of record's figure."""
    return f"record_{record}_{kind}"


def percent(share: float | None) -> str:
    """A share in percent: `90.46 %`."""
    return f"{tables.number(None if share is None else 100 * share, 2)} %"


def context(inputs: Inputs, findings: Findings) -> dict:
    """What the template may name."""
    params, both = inputs.params, {"NumPy": inputs.numpy.results, "PyTorch": inputs.torch.results}
    return {
        "params": params,
        "number": tables.number,
        "percent": percent,
        "listed": tables.listed,
        "figure_of": record_figure,
        "card_of": card_path,
        "headline": tables.markdown(headline_table(inputs), left=2),
        "claim": NUMPY_CLAIM,
        "data": tables.markdown(inputs.data, left=2),
        "cifar10_edition": params.data["cifar10"].edition if "cifar10" in inputs.data["data set"].values else None,
        "versions": tables.markdown(provenance.versions_table(), left=2),
        "studies": tables.markdown(provenance.studies_table(both), left=3),
        "records": {name: told_record(params, name, record) for name, record in inputs.records.items()},
        "numpy": numpy_context(inputs),
        "torch": torch_context(inputs),
        "found": findings_context(inputs, findings),
        "stuck": stuck_context(inputs, findings),
    }


def numpy_context(inputs: Inputs) -> dict:
    """Of the network from scratch."""
    params, half = inputs.params, inputs.numpy
    compared = comparison.compare(half.published, half.results)
    return {
        "sweeps": [told_sweep(sweep, sweep.name) for sweep in half.sweeps()],
        "further": [told_study(result, half.results, result.name) for result in half.further_studies()],
        "compared": compared,
        "tolerance": comparison.TOLERANCE,
        "comparison": tables.markdown(comparison.comparison_table(compared), left=2),
        "layers": naming.layers_name(params.train_numpy.architecture),
        "tried_as": selection.tried_as(params, half.results),
        "selection": tables.markdown(selection.selection_table(params, half.results), left=3),
    }


def torch_context(inputs: Inputs) -> dict:
    """Of the PyTorch networks. Where the published numbers are of another data set, nothing is compared."""
    params, half = inputs.params, inputs.torch
    compared = comparison_torch.compare_torch(half.published, half.results) if half.comparable else None
    models = {name: record for name, record in inputs.records.items() if name != "numpy"}
    titles = {name: naming.model_title(name, record.dataset) for name, record in models.items()}
    final = naming.model_title("final", half.dataset)
    networks = [name for name in models if name != "torch"]
    reached = [
        f"{percent(models[name].metrics.get('test_accuracy'))} on {naming.DATA_SETS[models[name].dataset]}"
        for name in networks
    ]
    return {
        "data_set": naming.DATA_SETS[half.dataset],
        "published_on": naming.DATA_SETS[PUBLISHED_ON],
        "sweeps": [told_sweep(sweep, TORCH + sweep.name) for sweep in half.sweeps()],
        "further": [told_study(result, half.results, TORCH + result.name) for result in half.further_studies()],
        "compared": compared,
        "margin": comparison_torch.MARGIN,
        "precision": tables.listed(
            sorted(
                {variant.training.precision for result in half.results.values() for variant in result.study.variants}
            )
        ),
        "comparison": tables.markdown(comparison_torch.torch_comparison_table(compared), left=2) if compared else None,
        "scores": tables.markdown(scores_table({final: half.final, **{titles[name]: models[name] for name in models}})),
        "perceptrons": tables.markdown(
            settings_table({final: params.train_torch.final, titles["torch"]: params.train_torch.record})
        ),
        "final_alt": history_text(half.final),
        "networks": tables.markdown(settings_table({titles[name]: training_of(params, name) for name in networks})),
        "reached": tables.listed(reached),
    }


def told_sweep(sweep: Sweep, figure: str) -> dict:
    """A published study beside ours."""
    return {
        "figure": figure,
        "title": sweep.title,
        "alt": sweep_text(sweep),
        "settings": sweep.settings,
        "otherwise": sweep.otherwise,
        "table": tables.markdown(sweep_table(sweep)),
    }


def told_study(result: Result, results: Mapping[str, Result], figure: str) -> dict:
    """A study beyond the published ones. `results`: all of its half, among which clipped runs have counterparts."""
    changes = counterparts.has_counterparts(result)
    arms = counterparts.arms(result, results) if changes else None
    table = counterparts.arms_table(arms) if changes else summary_table(result)
    return {
        "figure": figure,
        "title": naming.title(result.name),
        "alt": counterparts_text(arms) if changes else study_text(result),
        "changes": changes,
        "seeds": naming.seeds_name(result.seeds),
        "settings": common_settings(variant.training for variant in result.study.variants),
        "table": tables.markdown(table, left=2 if changes else 1),
    }


def told_record(params: Params, name: str, record: Record) -> dict:
    """A model of record."""
    return {
        "name": name,
        "title": naming.record_title(name),
        "alts": record_texts(record),
        "data_set": naming.DATA_SETS[record.dataset],
        "metrics": record.metrics,
        "epochs": len(record.history),
        "regularisation": naming.regularisation_name(training_of(params, name)),
        "classes": tables.markdown(class_table(record)),
        "bins": len(record.calibration),
        "mistakes": len(record.mistakes),
        "shown": len(record.weights),
        "units": record.units,
        "kind": "filters" if name.startswith("cnn_") else "units",
        "coloured": record.weights.shape[-1] == 3,
    }
