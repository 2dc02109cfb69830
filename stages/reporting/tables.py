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
    setting_texts,
    spaced,
    training_of,
)
from stages.reporting.sweeps import PUBLISHED, Sweep
from stages.verdicts.findings import Findings, claim_table, comparison_table
from stages.verdicts.judging import NOT_TESTABLE, Judgement
from stages.verdicts.reading import AS_RUN, DATA_SETS, Curves, Framework, ModelResult, Results, StudyResult
from stages.verdicts.selection import best_variant
from stages.verdicts.statistics import of_share
from stages.verdicts.text import (
    NOTHING,
    estimate_text,
    interval,
    listed,
    mean_and_sd,
    number,
    p_text,
    quantity_name,
    signed,
    span,
)

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
    """The highest of the published runs, and the published choice, followed by our seeds of it."""
    (study, variant), runs = NUMPY_CHOICE, numpy.published.runs
    choice = runs[(runs["study"] == study) & (runs["variant"] == variant)].iloc[0]
    best = runs.loc[runs["final_accuracy"].idxmax()]
    chosen = [
        (f"published: {spaced(best['study'])} {best['variant']}, the highest in NumPy", best),
        (f"published: {study} {variant}, the report's choice in NumPy", choice),
    ]
    rows = [
        [name, numpy.dataset, NOTHING, number(run["final_accuracy"]), number(run["final_loss"], 3)]
        for name, run in chosen
    ]
    ours = numpy.seeds_of(f"published_{study}", variant)
    if len(ours):
        figures = [mean_and_sd(ours["final_accuracy"]), mean_and_sd(ours["final_loss"], 3)]
        rows.append([f"as run, {len(ours)} seeds: {study} {variant}", numpy.dataset, NOTHING, *figures])
    return rows


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
            "precision": model.metrics.get("precision", NOTHING),
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
    accuracy = of_share(int(counts.trace()), int(counts.sum()))
    means = [number(model.classes[figure].mean()) for figure in ("recall", "precision", "f1")]
    figures = {
        "test accuracy": f"{number(metrics.get('test_accuracy'))} {interval(*accuracy)}",
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
    """One row per study: its size, its seeds, its images."""
    rows = [
        {
            "network": framework.name,
            "study": name,
            "scored on": result.split,
            "variants": len(result.variants),
            "seeds": span(result.seeds),
            "runs": len(result.runs),
            "diverged": len(result.diverged),
        }
        for framework in frameworks
        for name, result in framework.results.items()
    ]
    return pd.DataFrame(rows)


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
    """All published runs. `others passed`: the other variants of the study by whose seeds it would be reproduced."""
    table = {
        "network": runs["framework"],
        "study": runs["study"].map(spaced),
        "variant": runs["variant"],
        "published": runs["published_accuracy"].map(number),
        "mean": runs["accuracy"].map(number),
        "sd": runs["sd"].map(number),
        "95 % prediction interval": [interval(*ends) for ends in zip(runs["low"], runs["high"], strict=True)],
        "z": [signed(z, 1) for z in runs["z"]],
        "seeds": runs["seeds"].replace(0, NOTHING),
        "others passed": [f"{run.others_passed} of {run.others}" for run in runs.itertuples()],
        "corrected": runs["corrected_accuracy"].map(number),
        "sd, corrected": runs["corrected_sd"].map(number),
        "reproduced": runs["reproduced"],
    }
    return pd.DataFrame(table)


def published_table(runs: pd.DataFrame) -> pd.DataFrame:
    """What else was published of some runs, and our mean loss."""
    epochs = zip(runs["published_status"], runs["published_collapse"], strict=True)
    table = {
        "study": runs["study"].map(spaced),
        "variant": runs["variant"],
        "published accuracy": runs["published_accuracy"].map(number),
        "highest": runs["published_best"].map(number),
        "published loss": [number(loss, 3) for loss in runs["published_loss"]],
        "mean loss here": [number(loss, 3) for loss in runs["loss"]],
        "published run": [f"diverged, epoch {epoch:.0f}" if pd.notna(epoch) else status for status, epoch in epochs],
    }
    return pd.DataFrame(table)


def claims_table(findings: Findings) -> pd.DataFrame:
    """The verdicts on the conclusions that runs can test."""
    table = claim_table(findings).assign(estimate=[estimate(each) for each in findings.judgements])
    table = table[table["verdict"] != NOT_TESTABLE]
    columns = {
        **{"claim": table["claim"], "verdict": table["verdict"], "the report concludes": table["text"]},
        **{"as run": table["as_run"], "fixed": table["fixed"], "bug": table["bug"]},
        **{"hangs on": table["comparison"], "estimate": table["estimate"]},
        **{"seeds": table["seeds"].map(count), "look": table["look"].map(count)},
        **{"margin": table["margin"].map(margin), "robustness": table["robustness"]},
    }
    return pd.DataFrame(columns).replace("", NOTHING)


def estimate(judgement: Judgement) -> str:
    """The estimate of the comparison on which a verdict hangs, its interval at the level of the look."""
    outcome = judgement.decided_by
    finding = outcome.decisive if outcome else None
    return estimate_text(finding.comparison, finding.estimate, outcome.level) if finding else NOTHING


def not_testable_table(findings: Findings) -> pd.DataFrame:
    """The conclusions that no run can test, and why."""
    rows = [[each.claim.id, each.claim.claim, each.missing] for each in findings.judgements if each.claim.rule is None]
    return pd.DataFrame(rows, columns=["claim", "the report concludes", "not testable"])


def comparisons_table(findings: Findings) -> pd.DataFrame:
    """The comparisons behind the verdicts."""
    table = comparison_table(findings.judgements)
    columns = {
        **{"claim": table["claim"], "runs": table["runs"], "comparison": table["comparison"]},
        **{"estimate": table["text"], "seeds": table["seeds"].map(count), "look": table["look"].map(count)},
        **{"margin": table["margin"].map(margin), "p, holds": table["p_holds"].map(p_text)},
        **{"p, other way": table["p_against"].map(p_text), "p, no difference": table["p_no_difference"].map(p_text)},
        "outcome": table["outcome"],
    }
    return pd.DataFrame(columns)


def count(value: float) -> str:
    """A number of seeds; a dash for none."""
    return number(value, 0)


def margin(value: float) -> str:
    """A margin; a dash for none."""
    return NOTHING if pd.isna(value) else f"{value:g}"


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
        "seeds": measured["seeds"].map(count),
    }
    return pd.DataFrame(table)
