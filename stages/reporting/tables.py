"""The tables of the report: data frames of strings, ready to print."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pandas as pd

from stages.params import Params
from stages.reporting.names import (
    all_settings,
    layers_name,
    model_name,
    regularisation_name,
    setting_texts,
    spaced,
    training_of,
)
from stages.reporting.sweeps import PUBLISHED, Sweep
from stages.verdicts.findings import Findings, claim_table, comparison_table
from stages.verdicts.reading import AS_RUN, DATA_SETS, Curves, Framework, ModelResult, Results, StudyResult
from stages.verdicts.reproduction import MARGIN, NOT_RUN, TOLERANCE
from stages.verdicts.selection import best_variant
from stages.verdicts.statistics import of_share
from stages.verdicts.text import NOTHING, interval, listed, mean_and_sd, number, p_text, quantity_name, signed, span

LIBRARIES = ("numpy", "torch", "torchvision", "safetensors", "pandas", "matplotlib", "dvc")
# The NumPy network that the published report chose.
NUMPY_CHOICE = ("architecture", "8")
# The published PyTorch runs in the headline, with test accuracy and loss, which the report gives only for the first.
TORCH_CHOICES = {
    ("baseline", "staircase"): (0.5194, 1.3511),
    ("final", "0.1_then_0.01"): (None, None),
    ("final", "0.01"): (None, None),
}
HEADLINE = ["network", "data set", "validation accuracy", "test accuracy", "test loss"]


def markdown(table: pd.DataFrame, left: int = 1) -> str:
    """A Markdown table: the first `left` columns flush left, the others right."""
    align = ["left" if place < left else "right" for place in range(table.shape[1])]
    cells = table.astype(str).map(lambda cell: cell.replace("|", "\\|"))
    return cells.to_markdown(index=False, disable_numparse=True, colalign=align)


def headline_table(results: Results) -> pd.DataFrame:
    """One row per network: published, retrained, and the final models in bold."""
    models = [model_row(f"**{model_name(name)}**", model) for name, model in results.models.items()]
    for row in models:
        row[3] = f"**{row[3]}**"
    rows = [*published_numpy_rows(results.numpy), models.pop(0)]
    if results.torch.comparable:
        rows += published_torch_rows(results.torch)
    final = model_row(f"{model_name('published')} in PyTorch, as reported", results.published)
    table = pd.DataFrame([*rows, final, *models], columns=HEADLINE)
    return table.assign(**{"data set": table["data set"].map(DATA_SETS)})


def model_row(name: str, model: ModelResult) -> list[str]:
    """A trained model; a dash for what a diverged model lacks."""
    validation, accuracy, loss = (
        model.metrics.get(figure) for figure in ("validation_accuracy", "test_accuracy", "test_loss")
    )
    return [name, model.dataset, number(validation), number(accuracy), number(loss, 3)]


def published_numpy_rows(numpy: Framework) -> list[list[str]]:
    """The highest of the published runs, the published choice, and its reproduction."""
    (study, variant), runs = NUMPY_CHOICE, numpy.published.runs
    choice = runs[(runs["study"] == study) & (runs["variant"] == variant)].iloc[0]
    best = runs.loc[runs["final_accuracy"].idxmax()]
    chosen = [
        (f"published: {spaced(best['study'])} {best['variant']}, the highest in NumPy", best),
        (f"published: {study} {variant}, the report's choice in NumPy", choice),
    ]
    for _, run in numpy.seeds_of(f"published_{study}", variant)[:1].iterrows():
        chosen.append((f"reproduced: {study} {variant}", run))
    return [
        [name, numpy.dataset, NOTHING, number(run["final_accuracy"]), number(run["final_loss"], 3)]
        for name, run in chosen
    ]


def published_torch_rows(torch: Framework) -> list[list[str]]:
    """The published baseline and final models, each followed by the seeds of what its code ran."""
    rows = []
    for (study, variant), (accuracy, loss) in TORCH_CHOICES.items():
        run = torch.published.runs_of(study).set_index("variant").loc[variant]
        name, figures = f"{study} {spaced(variant)}", [number(run["final_accuracy"]), number(accuracy), number(loss, 3)]
        rows.append([f"published: {name} in PyTorch", torch.dataset, *figures])
        ours = torch.seeds_of(study, variant + (AS_RUN if run["as_run"] is not None else ""))
        if len(ours):
            figures = [mean_and_sd(ours["final_accuracy"]), mean_and_sd(ours["test_accuracy"])]
            figures.append(mean_and_sd(ours["test_loss"], 3))
            rows.append([f"as run, {len(ours)} seeds: {name}", torch.dataset, *figures])
    return rows


def scores_table(published: ModelResult, models: Mapping[str, ModelResult]) -> pd.DataFrame:
    """One row per PyTorch model."""
    rows = [
        {
            "model": model_name(name, model.dataset),
            "data set": DATA_SETS[model.dataset],
            "epochs": len(model.history),
            "lowest loss in epoch": model.metrics.get("best_epoch") or NOTHING,
            "validation accuracy": number(model.metrics.get("validation_accuracy")),
            "test accuracy": number(model.metrics.get("test_accuracy")),
            "test loss": number(model.metrics.get("test_loss"), 3),
            "top-2 test accuracy": number(model.metrics.get("test_top2_accuracy")),
            "calibration error": number(model.metrics.get("test_calibration_error")),
        }
        for name, model in {"published": published, **models}.items()
        if name != "numpy"
    ]
    return pd.DataFrame(rows)


def card_table(model: ModelResult) -> pd.DataFrame:
    """One row per figure of merit, for the model card."""
    counts, metrics = model.confusion.to_numpy(), model.metrics
    accuracy = of_share(int(counts.trace()), int(counts.sum()), 0.5)
    means = [number(model.classes[figure].mean()) for figure in ("recall", "precision", "f1")]
    figures = {
        "test accuracy": f"{number(metrics.get('test_accuracy'))} {interval(accuracy.low, accuracy.high)}",
        "test loss (nats)": number(metrics.get("test_loss")),
        "top-2 test accuracy": number(metrics.get("test_top2_accuracy")),
        "mean recall, precision, F1": ", ".join(means),
        "expected calibration error": number(metrics.get("test_calibration_error")),
        "validation accuracy": number(metrics.get("validation_accuracy")),
    }
    return pd.DataFrame(figures.items(), columns=["figure", "value"])


def class_table(classes: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall, F1 and support of each class and, below them, their means."""
    figures = ["precision", "recall", "f1"]
    means = pd.DataFrame([{"class": "mean", **classes[figures].mean(), "support": classes["support"].sum()}])
    table = pd.concat([classes, means])[["class", *figures, "support"]]
    table[figures], table["support"] = table[figures].map(number), table["support"].map("{:,}".format)
    return table.rename(columns={"f1": "F1"})


def settings_table(params: Params, models: Sequence[str]) -> pd.DataFrame:
    """One row per setting, one column per model. Settings that no model has are left out."""
    texts = {name: setting_texts(all_settings(training_of(params, name))) for name in models}
    keys = list(dict.fromkeys(key for own in texts.values() for key in own))
    table = pd.DataFrame(texts, index=keys).fillna(NOTHING)
    table = table[(table != NOTHING).any(axis=1)].rename_axis("setting").reset_index()
    if len(models) == 1:
        return table.rename(columns={models[0]: "value"})
    return table.rename(columns={name: model_name(name, params.train_torch[name].dataset) for name in models})


def data_table(data: Mapping[str, dict[str, Any]]) -> pd.DataFrame:
    """One row per data set: the edition and counts that `preprocess` found."""
    splits = ["training", "validation", "test"]
    rows = []
    for name, facts in data.items():
        counts = [f"{facts['images'][split]:,}" for split in splits]
        rows.append([name, facts["edition"], " × ".join(map(str, facts["image_shape"])), *counts])
    return pd.DataFrame(rows, columns=["data set", "edition", "image", *splits])


def versions_table() -> pd.DataFrame:
    """The software behind results and figures: the minor version of Python, the releases of libraries."""
    versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    for library in LIBRARIES:
        try:
            versions[library] = version(library).partition("+")[0]
        except PackageNotFoundError:
            versions[library] = "not installed"
    return pd.DataFrame(versions.items(), columns=["software", "version"])


def studies_table(*frameworks: Framework) -> pd.DataFrame:
    """One row per study: its size, its seeds, its images. Runs that another study trained are only counted there."""
    rows = [
        {
            "network": framework.name,
            "study": name,
            "scored on": result.split,
            "variants": len(result.variants),
            "shared": len(result.shared) or NOTHING,
            "seeds": seeds_name(result),
            "runs": len(result.own_runs),
            "diverged": (result.own_runs["status"] == "diverged").sum(),
        }
        for framework in frameworks
        for name, result in framework.results.items()
    ]
    return pd.DataFrame(rows)


def seeds_name(result: StudyResult) -> str:
    """The seeds of a study, or the several lists of seeds that its variants have."""
    lists = [tuple(sorted(result.runs_of(variant)["seed"])) for variant in result.variants]
    return "; or ".join(map(listed, dict.fromkeys(lists)))


def diverged_count(runs: pd.DataFrame) -> str:
    """How many of some runs diverged: `1 of 3`."""
    return f"{(runs['status'] == 'diverged').sum()} of {len(runs)}"


def study_table(result: StudyResult) -> pd.DataFrame:
    """One row per variant: figures over seeds. A diverged run counts with its last figures."""
    rows = []
    for variant in result.variants:
        runs = result.runs_of(variant)
        row = {"variant": variant, f"{result.split} accuracy": mean_and_sd(runs["final_accuracy"])}
        row[f"{result.split} loss"] = mean_and_sd(runs["final_loss"], 3)
        if result.split != "test":
            row["test accuracy"] = mean_and_sd(runs["test_accuracy"])
        rows.append(row | {"diverged": diverged_count(runs)})
    return pd.DataFrame(rows)


def sweep_table(sweep: Sweep) -> pd.DataFrame:
    """One row per label, the columns' figures after training."""
    rows = []
    for variant in sweep.styles:
        row, diverged = {sweep.title.lower(): variant}, {}
        for column, curves in sweep.columns.items():
            if curves is None:
                continue
            own = curves.runs_of(variant)
            row[f"{column}: {curves.split} accuracy"] = mean_and_sd(own["final_accuracy"])
            if column != PUBLISHED:
                if curves.split != "test":
                    row[f"{column}: test accuracy"] = mean_and_sd(own["test_accuracy"])
                diverged[f"{column}: diverged"] = diverged_count(own) if len(own) else NOTHING
        rows.append(row | diverged)
    return pd.DataFrame(rows)


def groups_table(groups: Mapping[str, Curves]) -> pd.DataFrame:
    """One row per way of training in each group."""
    rows = [
        {
            "group": title,
            "training": variant,
            f"final {curves.split} accuracy": mean_and_sd(runs["final_accuracy"]),
            f"highest {curves.split} accuracy": number(runs["best_accuracy"].max()),
            f"final {curves.split} loss": mean_and_sd(runs["final_loss"], 3),
            "epochs": span(runs["epochs"]),
            "diverged": diverged_count(runs),
        }
        for title, curves in groups.items()
        for variant, runs in curves.runs.groupby("variant", sort=False)
    ]
    return pd.DataFrame(rows)


def selection_table(results: Results) -> pd.DataFrame:
    """One row per setting: the value of the final NumPy model, and the best value of its sweep, if there is one."""
    final = results.params.train_numpy
    chosen = {
        "learning_rate": f"{final.lr:g}, {spaced(final.schedule)}",
        "batch_size": final.batch_size,
        "architecture": layers_name(final),
        "optimiser": final.optimiser,
        "regularisation": regularisation_name(final),
    }
    rows = []
    for setting, value in chosen.items():
        result, figures = results.numpy.results.get(setting), [NOTHING] * 4
        if result is not None and result.split == "validation":
            best = best_variant(result)
            figures = [best.variant, number(best.accuracy), number(best.deviation), listed(best.near) or "no other"]
        rows.append([spaced(setting), value, *figures])
    columns = ["best of the sweep", "validation accuracy", "pooled sd", "within one sd of it"]
    return pd.DataFrame(rows, columns=["setting", "final model", *columns])


def reproduction_table(runs: pd.DataFrame) -> pd.DataFrame:
    """All published runs."""
    table = {
        "network": runs["framework"],
        "study": runs["study"].map(spaced),
        "variant": runs["variant"],
        "published": runs["published_accuracy"].map(number),
    }
    for prefix, first, suffix in (("", "as run", ""), ("corrected_", "corrected", ", corrected")):
        table[first] = runs[f"{prefix}accuracy"].map(number)
        table[f"sd{suffix}"] = runs[f"{prefix}sd"].map(number)
        ends = zip(runs[f"{prefix}low"], runs[f"{prefix}high"], strict=True)
        table[f"95 % interval{suffix}"] = [interval(*pair) for pair in ends]
        table[f"seeds{suffix}"] = runs[f"{prefix}seeds"].replace(0, NOTHING)
    return pd.DataFrame({**table, "reproduced": runs["reproduced"]})


def numpy_runs_table(runs: pd.DataFrame) -> pd.DataFrame:
    """The published NumPy runs, and ours with the published seed."""

    def outcomes(source: str) -> list[str]:
        pairs = zip(runs[f"{source}_status"], runs[f"{source}_collapse"], strict=True)
        return [
            f"diverged, epoch {epoch:.0f}" if status == "diverged" and pd.notna(epoch) else status
            for status, epoch in pairs
        ]

    table = {
        "study": runs["study"].map(spaced),
        "variant": runs["variant"],
        "published accuracy": runs["published_accuracy"].map(number),
        "reproduced accuracy": runs["first_accuracy"].map(number),
        "difference": runs["difference"].map(signed),
        f"within {TOLERANCE}": runs["reproduced"].replace(NOT_RUN, NOTHING),
        "published best": runs["published_best"].map(number),
        "published loss": [number(loss, 3) for loss in runs["published_loss"]],
        "reproduced loss": [number(loss, 3) for loss in runs["first_loss"]],
        "published run": outcomes("published"),
        "reproduced run": outcomes("first"),
    }
    return pd.DataFrame(table)


def torch_runs_table(runs: pd.DataFrame) -> pd.DataFrame:
    """The published PyTorch runs, and the range over our seeds."""
    table = {
        "study": runs["study"].map(spaced),
        "variant": runs["variant"],
        "published accuracy": runs["published_accuracy"].map(number),
        "as run, mean": runs["accuracy"].map(number),
        "lowest": runs["lowest"].map(number),
        "highest": runs["highest"].map(number),
        "seeds": runs["seeds"].replace(0, NOTHING),
        f"within {MARGIN}": runs["reproduced"].replace(NOT_RUN, NOTHING),
        "published loss": [number(loss, 3) for loss in runs["published_loss"]],
        "as run, mean loss": [number(loss, 3) for loss in runs["loss"]],
        "as reported, mean": runs["corrected_accuracy"].where(runs["differs"]).map(number),
    }
    return pd.DataFrame(table)


def claims_table(findings: Findings) -> pd.DataFrame:
    """The verdicts."""
    names = {"claim": "claim", "verdict": "verdict", "text": "the report concludes"}
    names |= {"as_run": "as run", "fixed": "fixed", "bug": "fails with"}
    return claim_table(findings.judgements)[list(names)].rename(columns=names).replace("", NOTHING)


def comparisons_table(findings: Findings) -> pd.DataFrame:
    """The comparisons behind the verdicts."""
    table = comparison_table(findings.judgements)
    table["p"], table["p, Holm"], table["estimate"] = table["p"].map(p_text), table["p_holm"].map(p_text), table["text"]
    return table[["claim", "runs", "comparison", "estimate", "seeds", "p", "p, Holm", "outcome"]]


def effects_table(effects: pd.DataFrame) -> pd.DataFrame:
    """The measured effects of a bug."""
    measured = effects[effects["effect"].notna()]
    table = {
        "in": measured["setting"],
        "of": measured["quantity"].map(quantity_name),
        "as published": measured["published"].map(number),
        "fixed": measured["fixed"].map(number),
        "effect": measured["effect"].map(signed),
        "95 % interval": [interval(*e, sign=True) for e in zip(measured["low"], measured["high"], strict=True)],
        "seeds": measured["seeds"].map("{:.0f}".format),
    }
    return pd.DataFrame(table)
