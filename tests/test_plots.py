"""`dvc plots` draws every result: dvc.yaml lists them all, and each template, filled by DVC, compiles by Vega-Lite."""

import html
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import vl_convert
import yaml
from dvc_render.vega import VegaRenderer

from stages.common.params import load_params
from stages.common.sharing import shared_variants
from tests.project import BASELINE, ROOT, SHARING, Project

TEMPLATES = ROOT / ".dvc/plots"
ENTRIES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
PLOTS = {name: plot for entry in ENTRIES if isinstance(entry, dict) for name, plot in entry.items()}
PICTURES = {entry for entry in ENTRIES if isinstance(entry, str)}
REVISIONS = ("workspace", "HEAD")
VEGA_LITE = "5.20"  # the page that DVC writes loads a version 5


def study_rows() -> list[dict[str, Any]]:
    """As DVC reads a study's history.csv: strings, and an empty cell where a run diverged."""
    runs = itertools.product(REVISIONS, ("0.1", "none"), ("1", "2"), ("1", "2"))
    return [
        {
            "rev": rev,
            "variant": variant,
            "seed": seed,
            "epoch": epoch,
            "loss": "" if seed + epoch == "22" else f"0.{epoch}",
        }
        for rev, variant, seed, epoch in runs
    ]


def record_rows() -> list[dict[str, Any]]:
    return [{"rev": rev, "epoch": f"{epoch}", "loss": f"{1 / epoch:.3f}"} for rev in REVISIONS for epoch in range(1, 4)]


def confusion_rows() -> list[dict[str, Any]]:
    classes = ("Trouser", "Bag")
    return [
        {"rev": rev, "label": label, "predicted": predicted, "count": "900" if label == predicted else "3"}
        for rev, label, predicted in itertools.product(REVISIONS, classes, classes)
    ]


def calibration_rows() -> list[dict[str, Any]]:
    """The second bin is empty."""
    bins = ({"confidence": "0.3", "accuracy": "0.2", "count": "9"}, {"confidence": "", "accuracy": "", "count": "0"})
    return [{"rev": rev, **row} for rev, row in itertools.product(REVISIONS, bins)]


def reproduction_rows() -> list[dict[str, Any]]:
    """The second run was not run, so that it has no figures."""
    names = {"framework": "NumPy", "study": "batch_size"}
    ran = {"variant": "8", "published_accuracy": "0.84", "accuracy": "0.83", "low": "0.82", "high": "0.84"}
    left_out = {"variant": "16", "published_accuracy": "0.84", "accuracy": "", "low": "", "high": ""}
    rows = (names | ran | {"comes_back": "yes"}, names | left_out | {"comes_back": "not run"})
    return [{"rev": rev, **row} for rev, row in itertools.product(REVISIONS, rows)]


def fault_rows() -> list[dict[str, Any]]:
    """The second fault has evidence in words alone."""
    measured = {"fault": "F1", "setting": "here", "quantity": "final_accuracy", "effect": "0.1"}
    rows = (
        measured | {"low": "0.05", "high": "0.15"},
        {"fault": "F4", "setting": "there", "quantity": "count", "effect": "", "low": "", "high": ""},
    )
    return [{"rev": rev, **row} for rev, row in itertools.product(REVISIONS, rows)]


def claim_rows() -> list[dict[str, Any]]:
    """A verdict that changes from one revision to the other."""
    verdicts = dict(zip(REVISIONS, ("supported", "undecided"), strict=True))
    return [{"rev": rev, "claim": "N1", "text": "It is so.", "verdict": verdict} for rev, verdict in verdicts.items()]


def final_rows() -> list[dict[str, Any]]:
    """Two studies, of one of which nothing came but a diverged run and one without a figure."""
    good = {"filename": "learning_rate/runs.csv", "variant": "0.1", "status": "ok", "split": "test"}
    bad = {"filename": "batch_size/runs.csv", "variant": "8", "status": "diverged", "split": "validation"}
    runs = (*((good, accuracy) for accuracy in ("0.8", "0.9")), *((bad, accuracy) for accuracy in ("0.1", "")))
    return [
        {"rev": rev, "seed": "1", **run, "final_accuracy": accuracy}
        for rev, (run, accuracy) in itertools.product(REVISIONS, runs)
    ]


CASES = {
    "finals": (final_rows(), "variant", "final_accuracy"),
    "reproduction": (reproduction_rows(), "published_accuracy", "accuracy"),
    "effects": (fault_rows(), "effect", "fault"),
    "verdicts": (claim_rows(), "claim", "verdict"),
    "study": (study_rows(), "epoch", "loss"),
    "record": (record_rows(), "epoch", "loss"),
    "confusion_counts": (confusion_rows(), "predicted", "label"),
    "calibration": (calibration_rows(), "confidence", "accuracy"),
}


def fill(name: str, *files: str) -> dict[str, Any]:
    """The template as `dvc plots` fills it, which tells the rows of several `files` apart by `filename`."""
    rows, x, y = CASES[name]
    properties = {"title": "A title", "x_label": "across", "y_label": "up"}
    properties |= {"anchors_y_definitions": [{"filename": file, "field": y} for file in files]}
    own = [dict(row) for row in rows]  # of which it may drop a column
    renderer = VegaRenderer(own, "plot", template=name, template_dir=str(TEMPLATES), x=x, y=y, **properties)
    return renderer.get_filled_template()


def test_every_template_has_a_case():
    assert {path.stem for path in TEMPLATES.glob("*.json")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_filled_template_has_no_anchor_left(name):
    assert "DVC_METRIC" not in json.dumps(fill(name))


@pytest.mark.parametrize("name", CASES)
def test_a_filled_template_draws_title_labels_and_revisions(name):
    drawing = vl_convert.vegalite_to_svg(fill(name), vl_version=VEGA_LITE)
    for words in ("A title", "across", "up", *REVISIONS):
        assert f">{words}</text>" in drawing


def test_a_study_draws_a_line_for_each_variant_and_revision():
    drawing = vl_convert.vegalite_to_svg(fill("study"), vl_version=VEGA_LITE)
    assert drawing.count('aria-roledescription="line mark"') == 4


def test_an_empty_bin_of_confidence_is_not_drawn():
    drawing = vl_convert.vegalite_to_svg(fill("calibration"), vl_version=VEGA_LITE)
    assert drawing.count('aria-roledescription="point"') == len(REVISIONS)


def test_only_runs_that_were_run_and_effects_that_were_measured_are_drawn():
    for name in ("reproduction", "effects"):
        drawing = vl_convert.vegalite_to_svg(fill(name), vl_version=VEGA_LITE)
        points = re.findall(r'aria-roledescription="(?:point|circle|cross)"', drawing)
        assert len(points) == len(REVISIONS), name


def test_a_changed_verdict_stands_beside_the_old_one_and_both_are_framed():
    drawing = vl_convert.vegalite_to_svg(fill("verdicts"), vl_version=VEGA_LITE)
    for words in ("supported", "undecided", "N1  It is so."):
        assert words in drawing
    assert drawing.count('stroke="#111111"') == len(REVISIONS)


def test_an_interval_that_leaves_the_scale_of_accuracies_is_cut_off():
    content = fill("reproduction")
    ran = next(row for row in content["data"]["values"] if row["comes_back"] == "yes")
    content["data"]["values"] = [ran | {"rev": "workspace", "low": "-0.2", "high": "1.2"}]
    drawing = vl_convert.vegalite_to_svg(content, vl_version=VEGA_LITE)
    assert "NaN" not in drawing
    assert "Infinity" not in drawing


def test_every_seed_at_the_end_of_training_is_drawn_in_the_panel_of_its_study():
    files = sorted({row["filename"] for row in final_rows()})
    drawing = vl_convert.vegalite_to_svg(fill("finals", *files), vl_version=VEGA_LITE)
    for words in ("learning rate, test images", "batch size, validation images"):
        assert f">{words}</text>" in drawing
    assert len(re.findall(r'aria-roledescription="(?:point|circle|cross)"', drawing)) == 3 * len(REVISIONS)
    assert "mean over seeds: 0.8500" in drawing


def wanted_plots() -> dict[str, tuple[str, dict[str, str]]]:
    """By params.yaml, the plots that there should be: template, and column of each file."""
    params = load_params(ROOT / "params.yaml")
    plots = {
        "verdicts": ("verdicts", {"reports/claims.csv": "verdict"}),
        "reproduction": ("reproduction", {"reports/reproduction.csv": "accuracy"}),
        "fault_effects": ("effects", {"reports/faults.csv": "fault"}),
    }
    for half, section in {"numpy": "tune", "torch": "ablations"}.items():
        files = {f"reports/{section}/{name}/runs.csv": "final_accuracy" for name in getattr(params, section)}
        plots[f"{half}_finals"] = "finals", files
    for figure in ("accuracy", "loss"):
        for name, study in params.tune.items():
            split = "test" if study.variants[0].training.protocol == "published" else "validation"
            plots[f"{name}_{figure}"] = "study", {f"reports/tune/{name}/history.csv": f"{split}_{figure}"}
        for name in params.ablations:
            files = {f"reports/ablations/{place}/history.csv": f"validation_{figure}" for place in (name, BASELINE)}
            plots[f"ablation_{name}_{figure}"] = "study", files
    records = {"record": "train_numpy", "torch_final": "train_torch/final", "torch_record": "train_torch/record"}
    for name, folder in (records | {f"cnn_{name}": f"train_cnn/{name}" for name in params.train_cnn}).items():
        for figure in ("accuracy", "loss"):
            plots[f"{name}_{figure}"] = "record", {f"reports/{folder}/history.csv": f"validation_{figure}"}
        prefix = "" if name == "record" else f"{name}_"
        plots[f"{prefix}confusion"] = "confusion_counts", {f"reports/{folder}/confusion.csv": "label"}
        plots[f"{prefix}calibration"] = "calibration", {f"reports/{folder}/calibration.csv": "accuracy"}
    return plots


def test_every_result_of_params_has_its_plots_and_no_other_is_plotted():
    assert {name: (plot["template"], plot["y"]) for name, plot in PLOTS.items()} == wanted_plots()


def test_pictures_that_no_data_file_holds_are_plots_too():
    models = ("numpy", "torch", *(f"cnn_{name}" for name in load_params(ROOT / "params.yaml").train_cnn))
    names = ["summary", *(f"record_{model}_{what}" for model in models for what in ("mistakes", "weights"))]
    assert {f"reports/figures/{name}.png" for name in names} == PICTURES


@pytest.fixture(scope="module")
def shown(reproduced_project: Project) -> dict[str, Any]:
    """What `dvc plots show` makes of the miniature's results: `data`, each plot's specification, and `errors`."""
    copies = str(reproduced_project.home / "plots")  # of the pictures; the project is not to be changed
    output = reproduced_project.dvc("plots", "show", "--json", "--out", copies)
    return json.loads(output[output.index("{") : output.rindex("}") + 1])


def test_dvc_draws_every_plot_under_its_title(shown: dict[str, Any]):
    assert set(shown["data"]) == {*PLOTS, *PICTURES}
    for name in PLOTS:
        (plot,) = shown["data"][name]
        drawing = vl_convert.vegalite_to_svg(plot["content"], vl_version=VEGA_LITE)
        assert html.escape(PLOTS[name]["title"], quote=False) in drawing
        assert "workspace" in drawing


def test_dvc_shows_the_pictures_as_they_are(shown: dict[str, Any], reproduced_project: Project):
    for name in PICTURES:
        (picture,) = shown["data"][name]
        assert picture["type"] == "image"
        assert Path(picture["url"]).read_bytes() == (reproduced_project.folder / name).read_bytes()


def test_dvc_misses_only_the_results_that_the_miniature_leaves_out(shown: dict[str, Any], reproduced_project: Project):
    there = load_params(reproduced_project.folder / "params.yaml").ablations
    left_out = [name for name in load_params(ROOT / "params.yaml").ablations if name not in there]
    missed = {error["source"] for error in shown.get("errors", [])}
    assert missed == {f"reports/ablations/{name}/{file}.csv" for name in left_out for file in ("history", "runs")}


def test_an_ablation_is_drawn_with_its_baseline(shown: dict[str, Any], reproduced_project: Project):
    """Beside what it trained itself, the variants that it may share, named as the baseline's; others would mislead."""
    studies = load_params(reproduced_project.folder / "params.yaml").ablations
    ((plot,), (alone,)) = (shown["data"][f"ablation_{name}_accuracy"] for name in (SHARING, BASELINE))
    drawing, baseline = (vl_convert.vegalite_to_svg(each["content"], vl_version=VEGA_LITE) for each in (plot, alone))
    own = {variant.name for variant in studies[SHARING].variants} - set(shared_variants(studies, SHARING))
    for name in (*own, "baseline: constant", "baseline: batch_256"):
        assert f">{name}</text>" in drawing
    assert drawing.count('aria-roledescription="line mark"') == len(own) + 2
    for variant in studies[BASELINE].variants:
        assert f">{variant.name}</text>" in baseline
