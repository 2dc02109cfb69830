"""The report states what the result files hold; figures are legible; the page needs no other file."""

import html
import itertools
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from safetensors.numpy import save_file

from stages import report
from stages.errors import StudyError
from stages.params import load_params
from stages.reporting import document, style
from stages.reporting.context import most_confused
from stages.reporting.curves import accuracy_axis, over_seeds, spread_out
from stages.reporting.document import drawings, write_report
from stages.reporting.names import common_settings
from stages.reporting.page import write_page
from stages.reporting.pictures import largest, read_network, read_pictures
from stages.reporting.style import HEAVY, SCALES, SMALL, VERDICTS, WIDTH, new_figure, report_style, save, styles_of
from stages.reporting.sweeps import baseline_label
from stages.verdicts.findings import Findings, conclude
from stages.verdicts.reading import read_results
from stages.verdicts.reproduction import NO, reproduction_table
from tests.results import ROOT, edit_params, write_perceptrons

SMALL_FIGURES = {"figure.dpi": 40}
# One figure of each kind; the others are left empty, as drawing is slow.
KINDS = ("history", "confusion", "calibration", "errors", "weights")
DRAWN = ("summary", "learning_rate", "objective_learning_rate", "optimiser", "torch_activation", "pytorch_grid")
DRAWN += (*(f"final_mlp_{kind}" for kind in KINDS), "final_numpy_weights")


@pytest.fixture(scope="session")
def written(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after the report stage, its figures small. Not to be changed."""
    folder = tmp_path_factory.mktemp("written") / "project"
    shutil.copytree(results, folder)

    def check_and_save(figure, path):
        sizes = [text.get_fontsize() for text in figure.findobj(lambda artist: hasattr(artist, "get_fontsize"))]
        assert min(sizes, default=SMALL) >= SMALL, path
        assert figure.get_figwidth() <= WIDTH, path
        assert to_rgb(figure.get_facecolor()) == (1, 1, 1), path
        save(figure, path)

    def some_drawings(*given):
        return {name: draw if name in DRAWN else lambda: new_figure(1, 1) for name, draw in drawings(*given).items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(style, "STYLE_FILE", [style.STYLE_FILE, SMALL_FIGURES])
        patch.setattr(document, "save", check_and_save)
        patch.setattr(report, "drawings", some_drawings)
        report.main([])
    return folder / "reports"


@pytest.fixture
def project(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the made-up results to work in."""
    shutil.copytree(results, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture(scope="session")
def text(written: Path) -> str:
    return (written / "report.md").read_text(encoding="utf-8")


def reported() -> tuple[Findings, dict[str, str], dict]:
    """Findings, texts and drawings of the project at hand."""
    found = read_results(load_params(), Path("reports"), Path("data/published"))
    pictures = read_pictures(found.models, Path("data/models"), Path("data/prepared"))
    findings = conclude(found, Path("data/published"))
    return findings, write_report(found, findings, pictures), drawings(found, findings, pictures)


def section(text: str, heading: str) -> str:
    """The text between a heading and the next one of any level."""
    return re.split(r"\n##+ ", re.split(rf"\n##+ {re.escape(heading)}\n", text)[1])[0]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without their headings."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    headings = {line for line, rule in pairwise(lines) if rule.startswith("|:")}
    body = [line for line in lines if line not in headings and not line.startswith("|:")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body]


# The text


def test_the_headline_counts_reproduced_runs_and_compares_published_numbers_with_ours(text):
    headline = section(text, "Headline")
    assert "44 of the 46 published runs are reproduced: 21 of 22 in NumPy, 23 of 24 in PyTorch." in headline
    table = {row[0]: row[1:] for row in rows(headline)}
    assert table["published: baseline staircase in PyTorch"] == ["CIFAR-10", "0.5104", "0.5194", "1.351"]
    assert table["as run, 5 seeds: baseline staircase"][1] == "0.5104 ± 0.0016"
    assert table["as run, 5 seeds: architecture 8"][2] == "0.8551 ± 0.0016"
    assert table["**network in NumPy**"][1:3] == ["0.9000", "**0.9000**"]
    wrong = [row[:4] for row in rows(section(text, "The published runs")) if row[-1] == "no"]
    assert wrong == [["NumPy", "batch size", "8", "0.8389"], ["PyTorch", "hidden layers", "1", "0.3982"]]
    assert not re.search(r"\b(nan|None|NaT|inf)\b|\| *NaN", text)
    assert "> **Warning.**" not in text


def test_published_runs_have_a_row_each_with_ours(text):
    table = {tuple(row[:3]): row[3:] for row in rows(section(text, "The published runs"))}
    assert len(table) == 46
    # The seeds end 0.001 apart from each other: the interval is 0.8386 ± 2.776 · 0.001581 · sqrt(6 / 5).
    own = ["0.8386", "0.8386", "0.0016", "[0.8338, 0.8434]", "0.0", "5", "0 of 3", "0.6800", "0.0016", "yes"]
    assert table["NumPy", "learning rate", "0.001"] == own
    assert table["NumPy", "batch size", "8"][4:7] == ["−11.5", "5", "8 of 9"]
    # The baseline at batch size 256 lies in neither of the intervals around 0.4503 and 0.3786.
    assert table["PyTorch", "hidden layers", "1"][5:7] == ["5", "0 of 2"]
    numpy = {tuple(row[:2]): row[2:] for row in rows(section(text, "The published NumPy runs, one by one"))}
    torch = {tuple(row[:2]): row[2:] for row in rows(section(text, "The published PyTorch runs, one by one"))}
    assert (len(numpy), len(torch)) == (22, 24)
    assert numpy["learning rate", "0.1"] == ["0.1000", "0.8537", "31.030", "–", "diverged, epoch 5"]
    assert torch["hidden layers", "1"][2:] == ["1.676", "0.138", "ok"]
    power = "of 194 comparisons of a published accuracy with another variant of its study, 78 pass as well"
    assert power in section(text, "The published runs")


def test_the_learning_rate_story_and_the_changed_runs_follow_from_the_runs(text):
    story = section(text, "Why the published learning rates failed")
    assert "15 of 15 runs at the rates 0.1, 0.01 and 0.005\nfail: they end below 0.2" in story
    assert "0 of 15 fail, none at 0.1, 0.01 and 0.005" in story
    assert "31.08; the published runs\nended at losses of 31.03, 31.00 and 31.05" in story
    table = {row[0]: row[1:] for row in rows(story)}
    assert table["0.01"] == ["0.1000", "31.00", "0.1000 ± 0.0000", "5 of 5", "8", "0.6100 ± 0.0016", "0 of 5"]
    changed = {tuple(row[:2]): row[2] for row in rows(section(text, "Divergence"))}
    assert len(changed) == 5 + 4
    assert changed["learning rate 0.1", "as published"] == "0.1000 ± 0.0000"
    ways = {"norm to 0.01": "0.64", "xavier weights": "0.65", "l2 0.001": "0.66"}
    for way, mean in ways.items():
        assert changed["learning rate 0.005", way] == f"{mean}00 ± 0.0016"


def test_verdicts_have_a_row_each_and_what_no_run_can_test_a_reason(text):
    verdicts = {row[0]: row for row in rows(section(text, "Verdicts"))}
    reasons = {row[0]: row[2] for row in rows(section(text, "Conclusions that no run can test"))}
    assert (len(verdicts), len(reasons)) == (42, 7)
    assert verdicts["N8"][3:] == [
        *("supported", "contradicted", "F1 fixed", "final accuracy: 2 below 1 by more than 0.05"),
        # The differences are 0.007, 0.009, 0.010, 0.011 and 0.013: 0.01 ± t · 0.002236 / sqrt(5), t = 4.64.
        *("+0.0100 [+0.0054, +0.0146]", "5", "5", "0.01", "same in all"),
    ]
    assert verdicts["T1"][-1] == "half the margin: undecided"
    assert reasons["T19"].startswith("It follows from what an epoch is")
    assert "N13: undecided, as one network that falls short refutes nothing." in text


def test_settings_differences_and_seeds_are_stated(text):
    assert "`1e-5`: momentum 1e-05, weight decay 0" in section(text, "Weight decay")
    counted = {tuple(row[:2]): row for row in rows(section(text, "Provenance"))}
    assert counted["PyTorch", "batch_size"][3:] == ["3", "101–105", "15", "0"]
    assert counted["NumPy", "published_learning_rate"][3:] == ["4", "101–105", "20", "15"]
    params = load_params(ROOT / "params.yaml")
    common = common_settings(variant.training for variant in params.tune["published_learning_rate"].variants)
    shared = "architecture 784-64-10, relu; objective published; optimiser sgd; batch size 1; epochs 30"
    assert common == f"{shared}; division random"
    assert "; division original" in section(text, "Release")
    changed = section(text, "Final models")
    assert "phases 0.1 for 10 epochs, then 0.01 for 10 epochs with momentum 0.0001 and weight decay 0" in changed
    (model,) = (
        row for row in rows(section(text, "The PyTorch models")) if row[0] == "multi-layer perceptron, CIFAR-10"
    )
    assert "bfloat16" in model


def test_links_pictures_and_texts_of_the_report_resolve(text, written):
    targets = set(re.findall(r"\]\(([^)]*)\)", text))
    pictures = {target for target in targets if target.startswith("figures/")}
    assert pictures == {f"figures/{path.name}" for path in (written / "figures").iterdir()}
    assert {target for target in targets if target.startswith("cards/")} == {
        f"cards/{name}.md" for name in ("numpy", "mlp", "cnn_fashion_mnist", "cnn_cifar10")
    }
    for target in targets:
        assert (written / target).exists(), target
    texts = {name: words for words, name in re.findall(r"!\[([^\]]*)\]\(figures/([^)]*)\.png\)", text)}
    assert "published, best 0.001 with 0.8386" in texts["learning_rate"]


def test_a_card_has_the_numbers_of_its_model(written):
    card = (written / "cards/cnn_cifar10.md").read_text(encoding="utf-8")
    assert "with 72 trained weights, in `data/models/cnn_cifar10.safetensors`" in card
    assert "`dvc repro train_torch@cnn_cifar10` from seed\n42" in card
    assert "| test accuracy              | 0.9000 [" in card
    assert "edition `jpeg`: 90 images for training, 10 for" in card
    assert ("JPEG" in card, "JPEG" in (written / "cards/numpy.md").read_text(encoding="utf-8")) == (True, False)
    confusion = pd.DataFrame([[5, 1], [3, 1]], index=["cat", "dog"], columns=["cat", "dog"])
    assert most_confused(confusion) == "dog taken for cat, 3 of 4"


def test_one_changed_number_reaches_table_figure_and_verdict(project, written, text):
    path = Path("reports/ablations/activation/history.csv")
    table = pd.read_csv(path)
    last = table[(table["variant"] == "sigmoid") & (table["seed"] == 101)].index[-1]
    table.loc[last, "validation_accuracy"] = 0.0
    table.to_csv(path, index=False)
    findings, texts, figures = reported()
    verdicts = [{row[0]: row[1] for row in rows(section(each, "Verdicts"))} for each in (text, texts["report.md"])]
    assert [each["T12"] for each in verdicts] == ["contradicted", "undecided"]
    assert {each.claim.id: each.verdict for each in findings.judgements}["T12"] == "undecided"
    tables = [section(each, "Activation") for each in (text, texts["report.md"])]
    cells = [{row[0]: row[1] for row in rows(table)}["sigmoid"] for table in tables]
    assert cells == ["0.6100 ± 0.0016", "0.4884 ± 0.2730"]
    with matplotlib.style.context([style.STYLE_FILE, SMALL_FIGURES], after_reset=True):
        save(figures["torch_activation"](), Path("changed.png"))
    assert Path("changed.png").read_bytes() != (written / "figures/torch_activation.png").read_bytes()


def test_without_cifar10_nothing_is_compared_with_its_published_numbers(project):
    def change(content: dict) -> None:
        content["torch_defaults"]["dataset"] = "fashion_mnist"
        for name in ("published_learning_rate", "published_batch_size", "published_architecture"):
            del content["tune"][name]

    edit_params(project, change)
    for path in ("reports/data/cifar10.json", "data/prepared/cifar10.npz", "data/models/cnn_cifar10.safetensors"):
        Path(path).unlink()
    shutil.rmtree("reports/train_torch/cnn_cifar10")
    write_perceptrons(project, "fashion_mnist")
    findings, texts, figures = reported()
    text = texts["report.md"]
    assert "no comparison with them is made" in section(text, "Headline")
    assert "no comparison is made" in section(text, "The published PyTorch runs, one by one")
    assert "CIFAR-10 is the edition" not in text
    (baseline,) = (row for row in rows(section(text, "The published runs")) if row[1] == "baseline")
    assert baseline[-1] == "not run"
    assert not [name for name in figures if "cifar10" in name]
    assert "Why the published learning rates failed" not in text
    assert "22 have no results here." in section(text, "The published NumPy runs, one by one")
    assert "N1: undecided, as the study published_learning_rate has no results." in text
    assert {each.verdict for each in findings.judgements if each.claim.id.startswith("T")} == {
        "undecided",
        "not testable",
    }
    with report_style():
        for name in ("summary", "learning_rate", "torch_dropout"):
            save(figures[name](), Path(f"{name}.png"))


def test_studies_of_the_first_edition_are_named_and_left_out(project):
    params = load_params()
    stages = [f"tune@{name}" for name in params.tune] + [f"ablations@{name}" for name in params.ablations]
    kept = ("tune@divergence", "ablations@dropout")  # so that no published NumPy run has results
    Path("reports/first_edition.txt").write_text("\n".join(stage for stage in stages if stage not in kept))
    findings, texts, figures = reported()
    text = texts["report.md"]
    assert text.index("> **Warning.** These stages have not been trained again") < text.index("## Headline")
    assert "tune@learning_rate, " in text
    decided = {each.claim.id for each in findings.judgements if each.verdict not in ("undecided", "not testable")}
    assert decided == {"N11", "N16", "N17", "T2", "T14"}
    assert "T12: undecided, as the study activation has no results." in text
    assert {row[1] for row in rows(section(text, "Provenance")) if row[0] in ("NumPy", "PyTorch")} == {
        "divergence",
        "dropout",
    }
    with report_style():
        for name in ("summary", "learning_rate", "divergence", "torch_dropout", "numpy_grid", "pytorch_grid"):
            save(figures[name](), Path(f"{name}.png"))
    shown = set(re.findall(r"\]\(figures/([^)]*)\.png\)", text))
    assert shown == set(figures)


def test_the_same_results_give_the_same_bytes_in_another_process(project, written):
    """With another hash seed."""
    script = f"""
from stages import report
from stages.reporting import style
style.STYLE_FILE = [style.STYLE_FILE, {SMALL_FIGURES}]
everything = report.drawings
report.drawings = lambda *given: {{name: draw for name, draw in everything(*given).items() if name in {DRAWN[:4]}}}
report.write_page = lambda *_: ""
report.main([])
"""
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
    files = [path for path in Path("reports").rglob("*") if path.is_file() and path.name != "report.html"]
    assert len([path for path in files if path.suffix == ".png"]) == 4
    for path in files:
        assert path.read_bytes() == (written / path.relative_to("reports")).read_bytes(), path


# Figures

# How people with each kind of dichromacy see linear RGB: Viénot, Brettel and Mollon (1999).
VISION = {
    "usual": np.eye(3),
    "protan": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
    "deutan": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
}


def lab(colour: object, vision: str = "usual") -> np.ndarray:
    """CIELAB of a colour under daylight."""
    rgb = np.array(to_rgb(colour))
    linear = VISION[vision] @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear.clip(0, 1)
    x, y, z = np.cbrt(np.maximum(xyz / [0.9505, 1, 1.089], 1e-6))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_colours_can_be_distinguished_with_any_colour_vision(vision):
    for colours, least in (((style.PUBLISHED, style.REPRODUCED, style.CORRECTED), 20), ((style.INK, *style.NAMED), 7)):
        pairs = itertools.combinations([lab(colour, vision) for colour in colours], 2)
        assert min(np.linalg.norm(one - other) for one, other in pairs) > least


def test_variants_have_one_style_in_all_figures_and_different_ones_in_each():
    few, many = styles_of("learning_rate", ["0.1", "0.01"]), styles_of("published_learning_rate", ["1", "0.1", "0.05"])
    assert few["0.1"] == many["0.1"]
    torch = styles_of("optimiser", ["adam", "sgd", "adam 0.001"])
    assert torch["sgd"] == styles_of("optimiser", ["sgd"])["sgd"]
    assert torch["adam 0.001"]["color"] == torch["adam"]["color"]
    dropout = styles_of("dropout", ["0", "0.25"], baseline="0.25")
    assert (dropout["0"]["color"], dropout["0.25"]["linewidth"]) == (style.INK, HEAVY)
    params = load_params(ROOT / "params.yaml")
    studies = [*params.tune.items(), *params.ablations.items()]
    labels = [(name, [each.name for each in study.variants]) for name, study in studies]
    for name, variants in [*labels, ("activation", ["relu", *"abcdefghijkl"])]:
        styles = styles_of(name, list(dict.fromkeys(each.removesuffix("_as_run") for each in variants)))
        assert len({(to_rgb(each["color"]), str(each["linestyle"])) for each in styles.values()}) == len(styles), name
    for scale in SCALES.values():
        lightness = [lab(scale.style(value)["color"])[0] for value in np.geomspace(scale.low, scale.high, 5)]
        assert lightness == sorted(lightness)


def test_the_grid_has_a_panel_a_published_run_on_one_scale(results):
    read = read_results(load_params(results / "params.yaml"), results / "reports", results / "data/published")
    runs = reproduction_table(read.torch)
    with report_style():
        panels = [axes for axes in document.figures_studies.draw_grid(runs, read.torch).axes if axes.axison]
    assert len(panels) == 24
    assert len({(*axes.get_xlim(), *axes.get_ylim()) for axes in panels}) == 1
    coloured = [to_rgb(axes.get_facecolor()) == to_rgb(style.OUTSIDE) for axes in panels]
    assert coloured == list(runs["reproduced"] == NO)
    for axes, run in zip(panels, runs.itertuples(), strict=True):
        published = read.torch.published.curves(run.study).history_of(run.variant)
        np.testing.assert_array_equal(axes.lines[-1].get_ydata(), published["accuracy"])
    labels = [baseline_label(name, read.torch.results) for name in ("batch_size", "learning_rate", "final")]
    assert labels == ["128", "0.1", None]


def test_curves_ticks_and_labels():
    history = pd.DataFrame({"seed": [1, 1, 2], "epoch": [1, 2, 1], "loss": [1.0, np.nan, 3.0]})
    assert over_seeds(history, "loss").to_dict("records") == [{"epoch": 1, "mean": 2.0, "low": 1.0, "high": 3.0}]
    axes = new_figure(3).subplots()
    axes.plot([0, 1], [0.3, 0.55])
    accuracy_axis(axes)
    assert list(axes.yaxis.get_majorticklocs()) == [0.3, 0.35, 0.4, 0.45, 0.5, 0.55]
    np.testing.assert_allclose(spread_out([0.5, 0.9, 0.52], 0.1), [0.46, 0.9, 0.56])


def test_first_layers_are_pictures_in_the_order_of_their_pixels(tmp_path):
    shape = (2, 3, 3)
    weights = np.arange(36, dtype=np.float32).reshape(2, *shape)
    weights[1, 0, 0, 0] = np.nan
    np.savez(tmp_path / "numpy.npz", allow_pickle=False, weights_1=weights.reshape(2, -1).T)
    save_file({"layers.0.weight": weights.reshape(2, -1)}, tmp_path / "mlp.safetensors")
    save_file({"stem.weight": np.ascontiguousarray(weights.transpose(0, 3, 1, 2))}, tmp_path / "cnn.safetensors")
    for name, images in (("numpy.npz", shape), ("mlp.safetensors", shape), ("cnn.safetensors", (8, 8, 3))):
        np.testing.assert_array_equal(read_network(tmp_path / name, images)[1], np.nan_to_num(weights))
    np.testing.assert_array_equal(largest(np.nan_to_num(weights), 1), np.nan_to_num(weights[1:]))


# The page


def attributes(page: str, name: str) -> list[str]:
    """The values of an attribute anywhere in the body of a page."""
    return [html.unescape(value) for value in re.findall(rf'<[^>]*\s{name}="([^"]*)"', page.partition("</head>")[2])]


def test_the_page_holds_the_report_and_needs_no_other_file(written, text):
    page = (written / "report.html").read_text(encoding="utf-8")
    assert {source.partition(",")[0] for source in attributes(page, "src")} == {"data:image/webp;base64"}
    assert not re.search(r"<(script|link|iframe|object|embed)\b[^>]*(src|href)=\"(?!data:,)", page)
    assert not re.search(r"@import|url\(", page.partition("</head>")[0])
    ids, links = attributes(page, "id"), attributes(page, "href")
    assert len(ids) == len(set(ids))
    assert {"#card-numpy", "#cards", "#verdicts"} <= set(links) <= {f"#{name}" for name in ids}
    headings = [re.sub("<[^>]+>", "", each) for each in re.findall(r"(?s)<h[1-6]\b[^>]*>(.*?)</h", page)]
    wanted = [re.sub("[`*]", "", each) for each in re.findall(r"(?m)^#+ (.*)$", text)]
    assert [html.unescape(heading) for heading in headings[: len(wanted)]] == wanted
    assert attributes(page, "alt") == re.findall(r"!\[([^\]]+)\]", text)
    badges = re.findall(r'<td[^>]*><span class="verdict [a-z-]+">([^<]+)</span></td>', page)
    assert {*VERDICTS} - {"not testable"} == set(badges)


def test_links_out_of_the_page_are_named_as_files(tmp_path):
    sample = (
        "# T\n\n[a card](cards/a.md#limits), [b](cards/b.md), [`x.yaml`](../data/x.yaml), [web](https://example.org/)."
    )
    page = write_page({"report.md": sample, "cards/a.md": "# A\n\n[up](../report.md)\n\n## Limits\n"}, tmp_path)
    assert {"#card-a-limits", "#report", "https://example.org/"} <= set(attributes(page, "href"))
    assert "<span>b (<code>reports/cards/b.md</code>)</span>" in page
    assert "<span><code>data/x.yaml</code></span>, " in page


def test_a_missing_or_damaged_picture_is_named(tmp_path):
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    for name, message in (("none", "is missing"), ("damaged", "cannot be read")):
        with pytest.raises(StudyError, match=f"{name}.png {message}; run `dvc repro`$"):
            write_page({"report.md": f"# Title\n\n![Words](figures/{name}.png)\n"}, tmp_path)
    with pytest.raises(StudyError, match=r"^reports/report.md shows https://example.org/x.png, which is not in"):
        write_page({"report.md": "# Title\n\n![Words](https://example.org/x.png)\n"}, tmp_path)
