"""The tables of the report: data frames of strings, ready to print."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pandas as pd

from stages.params import Params
from stages.reporting.names import all_settings, layers_name, model_name, setting_texts, spaced, training_of
from stages.reporting.studies import AS_RUN, FIXED, PUBLISHED, View
from stages.verdicts.findings import Findings, claim_table, comparison_table
from stages.verdicts.judging import NOT_TESTABLE, Judgement
from stages.verdicts.reading import Framework, ModelResult, Results, StudyResult, data_set_name
from stages.verdicts.reproduction import NO, YES
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
# The networks that the published report chose, with the test accuracy that it states.
NUMPY_CHOICE, TORCH_CHOICE = ("architecture", "8", 0.8551), ("baseline", "staircase", 0.5194)


def markdown(table: pd.DataFrame, left: int = 1) -> str:
    """A Markdown table: the first `left` columns flush left, the others right."""
    align = ["left" if place < left else "right" for place in range(table.shape[1])]
    cells = table.astype(str).map(lambda cell: cell.replace("|", "\\|"))
    return cells.to_markdown(index=False, disable_numparse=True, colalign=align)


def networks(results: Results) -> list[tuple[str, float, str, str]]:
    """Networks by data set: name, test accuracy, kind (published, as run: the same trained here, bugs fixed: a final
    model), and the accuracy in words.
    """
    choices = {"NumPy": (*NUMPY_CHOICE, "published_"), "PyTorch": (*TORCH_CHOICE, "")}
    rows = []
    for data_set in results.data:
        for half in (results.numpy, results.torch):
            if half.comparable and half.dataset == data_set:
                study, variant, accuracy, prefix = choices[half.name]
                rows.append((f"{data_set_name(data_set)}, published", accuracy, PUBLISHED, number(accuracy)))
                own = half.seeds_of(prefix + study, variant)
                if len(own):
                    again = own["final_accuracy" if half.published.split == "test" else "test_accuracy"]
                    rows.append((f"the same, {len(own)} seeds", again.mean(), AS_RUN, mean_and_sd(again)))
        for name, model in results.models.items():
            if model.dataset == data_set:
                reached = model.metrics.get("test_accuracy", float("nan"))
                again = results.repeats[name].runs["test_accuracy"]
                text = f"**{number(reached)}**; {len(again)} other seeds {mean_and_sd(again)}"
                rows.append((model_name(name), reached, FIXED, text))
    return rows


def networks_table(results: Results) -> pd.DataFrame:
    """Test accuracies: what was published, the same code retrained, and the final models in bold."""
    rows = [[name, accuracy] for name, _, _, accuracy in networks(results)]
    return pd.DataFrame(rows, columns=["network", "test accuracy"])


def reproduced_table(*frameworks: Framework, findings: Findings) -> pd.DataFrame:
    """One row per published study: how many of its runs are reproduced."""
    rows = []
    for framework in frameworks:
        own = findings.runs[findings.runs["framework"] == framework.name]
        for study, runs in own.groupby("study", sort=False):
            runs = runs[runs["reproduced"].isin((YES, NO))]
            if runs.empty:
                continue
            missing = list(runs[runs["reproduced"] == NO].itertuples())
            found = f"{len(runs) - len(missing)} of {len(runs)}"
            texts = [f"{spaced(run.variant)}: {run.published_accuracy:.3f}, ours {run.accuracy:.3f}" for run in missing]
            rows.append([f"{framework.name}, {spaced(study)}", found, "; ".join(texts) or NOTHING])
    return pd.DataFrame(rows, columns=["study", "reproduced", "not reproduced"])


def verdicts_table(findings: Findings) -> pd.DataFrame:
    """Every statement of the published report with its verdict; a star, if a change of the analysis changes it."""
    rows = []
    for place, each in enumerate(findings.judgements):
        star = r" \*" if each.claim.rule and findings.changes(place) else ""
        rows.append([f"{each.claim.id}: {each.claim.claim}{star}", each.verdict])
    return pd.DataFrame(rows, columns=["statement of the published report", "verdict"])


def claims_table(findings: Findings) -> pd.DataFrame:
    """What the verdicts on the statements that runs can test rest on."""
    table = claim_table(findings).assign(estimate=[estimate(each) for each in findings.judgements])
    table = table[table["verdict"] != NOT_TESTABLE]
    columns = {
        **{"claim": table["claim"], "verdict": table["verdict"]},
        **{"without a fix": table["as_run"], "bugs fixed": table["fixed"]},
        **{"bug": table["bug"], "hangs on": table["comparison"], "estimate": table["estimate"]},
        **{"seeds": table["seeds"].map(count), "look": table["look"].map(count)},
        **{"margin": table["margin"].map(margin), "robustness": table["robustness"]},
    }
    return pd.DataFrame(columns).replace("", NOTHING)


def estimate(judgement: Judgement) -> str:
    """The estimate of the comparison on which a verdict hangs, its interval at the level of the look."""
    outcome = judgement.decided_by
    finding = outcome.decisive if outcome else None
    return estimate_text(finding.comparison, finding.estimate, outcome.level) if finding else NOTHING


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


def reproduction_table(runs: pd.DataFrame) -> pd.DataFrame:
    """All published runs. `others passed`: the other variants of the study by whose seeds it would be reproduced."""
    table = {
        "network": runs["framework"],
        "study": runs["study"].map(spaced),
        "variant": runs["variant"].map(spaced),
        "published": runs["published_accuracy"].map(number),
        "mean": runs["accuracy"].map(number),
        "sd": runs["sd"].map(number),
        "95 % prediction interval": [interval(*ends) for ends in zip(runs["low"], runs["high"], strict=True)],
        "z": [signed(z, 1) for z in runs["z"]],
        "seeds": runs["seeds"].replace(0, NOTHING),
        "others passed": [f"{run.others_passed} of {run.others}" for run in runs.itertuples()],
        "bugs fixed": runs["corrected_accuracy"].map(number),
        "published loss": [number(loss, 3) for loss in runs["published_loss"]],
        "mean loss": [number(loss, 3) for loss in runs["loss"]],
        "reproduced": runs["reproduced"],
    }
    return pd.DataFrame(table)


def effects_table(effects: pd.DataFrame) -> pd.DataFrame:
    """The measured effects of the bugs."""
    measured = effects[effects["effect"].notna()]
    table = {
        "bug": measured["bug"],
        "in": measured["setting"],
        "of": measured["quantity"].map(quantity_name),
        "as published": measured["published"].map(number),
        "fixed": measured["fixed"].map(number),
        "effect": measured["effect"].map(signed),
        "95 % interval": [interval(*e, sign=True) for e in zip(measured["low"], measured["high"], strict=True)],
        "seeds": measured["seeds"].map(count),
    }
    return pd.DataFrame(table)


def study_table(view: View) -> pd.DataFrame:
    """One row per variant: from each source, the accuracy after training; and which runs collapsed."""
    rows = []
    for label in view.labels:
        row, collapsed = {"variant": label}, []
        for source, curves in view.sources.items():
            runs = curves.runs_of(label)
            row[source] = mean_and_sd(runs["end"])
            if source != PUBLISHED and (diverged := int((runs["status"] == "diverged").sum())):
                collapsed.append(f"{source} {diverged} of {len(runs)}")
        rows.append(row | {"collapsed": ", ".join(collapsed) or NOTHING})
    table = pd.DataFrame(rows)
    return table if (table["collapsed"] != NOTHING).any() else table.drop(columns="collapsed")


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
            "collapsed": len(result.diverged),
        }
        for framework in frameworks
        for name, result in framework.results.items()
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


def scores_table(results: Results) -> pd.DataFrame:
    """One row per final model, with the mean of its training with other seeds."""
    rows = [
        {
            "model": model_name(name),
            "data set": data_set_name(model.dataset),
            "precision": model.metrics["precision"],
            "epochs": len(model.history),
            "lowest loss in epoch": model.metrics.get("best_epoch") or NOTHING,
            "validation accuracy": number(model.metrics.get("validation_accuracy")),
            "test accuracy": number(model.metrics.get("test_accuracy")),
            "with other seeds": mean_and_sd(results.repeats[name].runs["test_accuracy"]),
            "test loss": number(model.metrics.get("test_loss"), 3),
        }
        for name, model in {**results.models, "published": results.published}.items()
    ]
    return pd.DataFrame(rows)


def card_table(model: ModelResult, again: StudyResult) -> pd.DataFrame:
    """One row per figure of merit, for the model card; `again`: the model with other seeds."""
    counts, metrics = model.confusion.to_numpy(), model.metrics
    accuracy = of_share(int(counts.trace()), int(counts.sum()))
    means = [number(model.classes[figure].mean()) for figure in ("recall", "precision", "f1")]
    figures = {
        "test accuracy": f"{number(metrics.get('test_accuracy'))} {interval(*accuracy)}",
        f"test accuracy with {len(again.seeds)} other seeds": mean_and_sd(again.runs["test_accuracy"]),
        "test loss (nats)": number(metrics.get("test_loss")),
        "top-2 test accuracy": number(metrics.get("test_top2_accuracy")),
        "mean recall, precision, F1": ", ".join(means),
        "expected calibration error": number(metrics.get("test_calibration_error")),
        "validation accuracy": number(metrics.get("validation_accuracy")),
    }
    return pd.DataFrame(figures.items(), columns=["figure", "value"])


def class_table(classes: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall, F1 and support of each class."""
    figures = ["precision", "recall", "f1"]
    table = classes[["class", *figures, "support"]].copy()
    table[figures], table["support"] = table[figures].map(number), table["support"].map("{:,}".format)
    return table.rename(columns={"f1": "F1"})


def settings_table(params: Params, name: str) -> pd.DataFrame:
    """One row per setting of a final model that has a value."""
    texts = setting_texts(all_settings(training_of(params, name)))
    rows = [(setting, text) for setting, text in texts.items() if text != NOTHING]
    return pd.DataFrame(rows, columns=["setting", "value"])


def data_table(data: Mapping[str, dict[str, Any]]) -> pd.DataFrame:
    """One row per data set: the edition and counts that `preprocess` found."""
    splits = ["training", "validation", "test"]
    rows = []
    for name, facts in data.items():
        counts = [f"{facts['images'][split]:,}" for split in splits]
        rows.append([data_set_name(name), facts["edition"], " × ".join(map(str, facts["image_shape"])), *counts])
    return pd.DataFrame(rows, columns=["data set", "edition", "image", *splits])


def versions_table() -> pd.DataFrame:
    """The software behind results and figures: the minor version of Python, the releases of libraries."""
    versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    versions |= {library: version(library).partition("+")[0] for library in LIBRARIES}
    return pd.DataFrame(versions.items(), columns=["software", "version"])
