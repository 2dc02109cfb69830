"""The report states what the result files hold; figures are legible in both colour schemes."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from safetensors.numpy import save_file

from stages import report
from stages.params import load_params
from stages.reporting import document, style
from stages.reporting.context import most_confused
from stages.reporting.document import drawings, write_report
from stages.reporting.figures_studies import COLOURS
from stages.reporting.names import common_settings
from stages.reporting.pictures import largest, read_network, read_pictures
from stages.reporting.studies import ADDED, AS_RUN, FIXED, PUBLISHED, views
from stages.reporting.style import DARK, SMALL, VERDICTS, WIDTH, new_figure, report_style, save
from stages.verdicts.findings import Findings, conclude
from stages.verdicts.reading import read_results
from tests.results import ROOT, edit_params, write_perceptrons, write_torch_model

# One figure of each kind; the others are left empty, as drawing is slow.
KINDS = ("history", "confusion", "calibration", "errors", "weights")
DRAWN = ("summary", "error_signal", "bugs", "numpy_learning_rate", "pytorch_hidden_layers", "pytorch_activation")
DRAWN += (*(f"model_mlp_{kind}" for kind in KINDS), "model_numpy_weights")


@pytest.fixture(scope="session")
def written(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after the report stage. Not to be changed."""
    folder = tmp_path_factory.mktemp("written") / "project"
    shutil.copytree(results, folder)

    def check_and_save(figure, path):
        sizes = [text.get_fontsize() for text in figure.findobj(lambda artist: hasattr(artist, "get_fontsize"))]
        assert min(sizes, default=SMALL) >= SMALL, path
        assert figure.get_figwidth() == WIDTH, path
        save(figure, path)

    def some_drawings(*given):
        return {name: draw if name in DRAWN else lambda: new_figure(1) for name, draw in drawings(*given).items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
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


@pytest.fixture(scope="session")
def appendix(written: Path) -> str:
    return (written / "appendix.md").read_text(encoding="utf-8")


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


def test_the_first_pages_count_reproduced_runs_and_compare_published_numbers_with_ours(text):
    assert "**44 of its 46 final accuracies are reproduced. Our verdicts on the statements: " in text
    assert "44 of 46 do:\n21 of 22 in NumPy, 23 of 24 in PyTorch." in text
    studies = {row[0]: row[1:] for row in rows(section(text, "What is reproduced"))}
    assert studies["NumPy, batch size"] == ["9 of 10", "8: 0.839, ours 0.859"]
    assert studies["PyTorch, hidden layers"] == ["2 of 3", "1: 0.398, ours 0.443"]
    reached = rows(section(text, "What the networks reach"))
    assert reached[0] == ["Fashion-MNIST, published", "0.8551"]
    assert reached[2] == ["network in NumPy", "**0.9000**; 3 other seeds 0.9000 ± 0.0010"]
    assert reached[1] == ["the same, 5 seeds", "0.8551 ± 0.0016"]
    assert "in 78 of 194\ncomparisons with another setting of its study, a published number passes too" in text
    assert not re.search(r"\b(nan|None|NaT|inf)\b|\| *NaN", text)


def test_four_pages_come_before_the_appendix(text):
    assert len([word for word in text.split() if re.search(r"\w", word)]) <= 2500


def test_published_runs_have_a_row_each_with_ours(appendix):
    table = {tuple(row[:3]): row[3:] for row in rows(section(appendix, "Every published run"))}
    assert len(table) == 46
    # The seeds end 0.001 apart from each other: the interval is 0.8386 ± 2.776 · 0.001581 · sqrt(6 / 5).
    own = ["0.8386", "0.8386", "0.0016", "[0.8338, 0.8434]", "0.0", "5", "0 of 3", "0.6800", "0.554"]
    assert table["NumPy", "learning rate", "0.001"][: len(own)] == own
    assert table["NumPy", "batch size", "8"][4:7] == ["−11.5", "5", "8 of 9"]
    # The baseline at batch size 256 lies in neither of the intervals around 0.4503 and 0.3786.
    assert table["PyTorch", "hidden layers", "1"][5:7] == ["5", "0 of 2"]
    wrong = [key for key, row in table.items() if row[-1] == "no"]
    assert wrong == [("NumPy", "batch size", "8"), ("PyTorch", "hidden layers", "1")]


def test_the_learning_rate_story_follows_from_the_runs(text, appendix):
    story = section(text, "Why the published learning rates failed")
    assert "As run, 15 of 15 runs at 0.1, 0.01 and 0.005 do fail." in story
    assert "reach 0.10 to 0.10, and then fall to the accuracy of guessing (0.001 ends at 0.84 ± 0.00)" in story
    assert "0 of 15 runs fail: 0 of 5 at 0.1, 0 of 5 at 0.01, 0 of 5 at 0.005." in story
    assert "still fails" not in story
    assert "−ln(10⁻¹⁵) = 31.08. The published runs end at 31.03, 31.00 and 31.05." in story
    table = {row[0]: row[1:] for row in rows(section(appendix, "NumPy: learning rate"))}
    assert table["0.01"][:3] == ["0.1000", "0.1000 ± 0.0000", "0.6100 ± 0.0016"]
    assert table["0.01"][-1] == "as run 5 of 5"


def test_verdicts_have_a_row_each_and_what_no_run_can_test_a_reason(text, appendix):
    first = {row[0].partition(":")[0]: row[1] for row in rows(section(text, "What became of the statements"))}
    verdicts = {row[0]: row for row in rows(section(appendix, "The verdicts in detail"))}
    assert (len(first), len(verdicts)) == (49, 42)
    assert {name: row[1] for name, row in verdicts.items()} == {name: first[name] for name in verdicts}
    statements = [row[0] for row in rows(section(text, "What became of the statements"))]
    starred = {each.partition(":")[0] for each in statements if "*" in each}
    assert starred == {name for name, row in verdicts.items() if row[-1] != "same in all"}
    assert verdicts["N8"][2:] == [
        *("supported", "contradicted", "F1 fixed", "final accuracy: 2 below 1 by more than 0.05"),
        # The differences are 0.007, 0.009, 0.010, 0.011 and 0.013: 0.01 ± t · 0.002236 / sqrt(5), t = 4.64.
        *("+0.0100 [+0.0054, +0.0146]", "5", "5", "0.01", "same in all"),
    ]
    assert verdicts["T1"][-1] == "half the margin: undecided"
    assert "- T19: More epochs take longer to train. It follows from what an epoch is" in appendix
    assert "N13: undecided, as one network that falls short refutes nothing." in appendix


def test_settings_differences_and_seeds_are_stated(appendix):
    assert "`1e-5`: momentum 1e-05, weight decay 0" in section(appendix, "PyTorch: weight decay")
    counted = {tuple(row[:2]): row for row in rows(section(appendix, "Data, runs and software"))}
    assert counted["PyTorch", "batch_size"][3:] == ["3", "101–105", "15", "0"]
    assert counted["NumPy", "published_learning_rate"][3:] == ["4", "101–105", "20", "15"]
    params = load_params(ROOT / "params.yaml")
    common = common_settings(variant.training for variant in params.tune["published_learning_rate"].variants)
    shared = "architecture 784-64-10, relu; objective published; optimiser sgd; batch size 1; epochs 30"
    assert common == f"{shared}; division random"
    changed = section(appendix, "PyTorch: final models")
    assert "phases 0.1 for 10 epochs, then 0.01 for 10 epochs with momentum 0.0001 and weight decay 0" in changed


def test_links_and_figures_of_the_report_resolve(text, appendix, written):
    cards = {path: path.read_text(encoding="utf-8") for path in (written / "cards").iterdir()}
    documents = {written / "report.md": text, written / "appendix.md": appendix, **cards}
    shown = set()
    for path, document_text in documents.items():
        for target in re.findall(r"\]\(([^)]*)\)", document_text):
            assert (path.parent / target).exists(), target
            shown.add((path.parent / target).resolve())
    for_readme = (written / "figures/summary_dark.svg").resolve()
    assert {path for path in shown if path.suffix == ".svg"} | {for_readme} == set(for_readme.parent.iterdir())
    assert {path.resolve() for path in cards} <= shown
    words = dict(re.findall(r"!\[([^\]]*)\]\(figures/([^)]*)\.svg\)", appendix))
    start = "Architecture: 8 of 8 published runs reproduced. published: best 7, 0.864; worst 3, 0.537. as run"
    assert any(each.startswith(start) for each in words)


def test_a_card_has_the_numbers_of_its_model(written):
    card = (written / "cards/cnn_large.md").read_text(encoding="utf-8")
    assert "with 72 trained weights, in `data/models/cnn_large.safetensors`" in card
    assert "`dvc repro train_torch@cnn_large` from seed\n42" in card
    assert re.search(r"\| test accuracy +\| +0\.9000 \[", card)
    assert "edition `jpeg`: 90 images for training, 10 for" in card
    assert ("JPEG" in card, "JPEG" in (written / "cards/numpy.md").read_text(encoding="utf-8")) == (True, False)
    confusion = pd.DataFrame([[5, 1], [3, 1]], index=["cat", "dog"], columns=["cat", "dog"])
    assert most_confused(confusion) == "dog taken for cat, 3 of 4"


def test_one_changed_number_reaches_table_figure_verdict_and_sentence(project, written, text, appendix):
    path = Path("reports/ablations/activation/history.csv")
    table = pd.read_csv(path)
    last = table[(table["variant"] == "sigmoid") & (table["seed"] == 101)].index[-1]
    table.loc[last, "validation_accuracy"] = 0.0
    table.to_csv(path, index=False)
    findings, texts, figures = reported()
    verdicts = [
        {row[0].partition(":")[0]: row[1] for row in rows(section(each, "What became of the statements"))}
        for each in (text, texts["report.md"])
    ]
    assert [each["T12"] for each in verdicts] == ["contradicted", "undecided"]
    assert {each.claim.id: each.verdict for each in findings.judgements}["T12"] == "undecided"
    sentences = [re.search(r"cited, contradicted\*\*: (.*)", each)[1] for each in (text, texts["report.md"])]
    assert ["T12" in each for each in sentences] == [True, False]
    tables = [section(each, "PyTorch: activation") for each in (appendix, texts["appendix.md"])]
    cells = [{row[0]: row[1] for row in rows(table)}["sigmoid"] for table in tables]
    assert cells == ["0.6100 ± 0.0016", "0.4884 ± 0.2730"]
    with report_style():
        save(figures["pytorch_activation"](), Path("pytorch_activation.svg"))
    changed, before = (
        folder.joinpath("pytorch_activation.svg").read_text() for folder in (Path(), written / "figures")
    )
    assert ["worst sigmoid, 0.488" in each for each in (changed, before)] == [True, False]


def test_without_cifar10_nothing_is_compared_with_its_published_numbers(project):
    def change(content: dict) -> None:
        for section in (content["torch_defaults"], *content["train_torch"].values()):
            section["dataset"] = "fashion_mnist"
        for name in ("published_learning_rate", "published_batch_size", "published_architecture"):
            del content["tune"][name]

    edit_params(project, change)
    for path in ("reports/data/cifar10.json", "data/prepared/cifar10.npz"):
        Path(path).unlink()
    write_perceptrons(project, "fashion_mnist")
    write_torch_model(project, "cnn_large", "fashion_mnist", "stem.weight", np.ones((6, 1, 2, 2)))
    findings, texts, figures = reported()
    text, appendix = texts["report.md"], texts["appendix.md"]
    assert "no number published for CIFAR-10 is compared" in section(text, "What is reproduced")
    assert "CIFAR-10 here is the edition" not in text
    (baseline,) = (row for row in rows(section(appendix, "Every published run")) if row[1] == "baseline")
    assert baseline[-1] == "not run"
    assert not [name for name in figures if "cifar10" in name]
    assert "Why the published learning rates failed" not in text
    assert "N1: undecided, as the study published_learning_rate has no results." in appendix
    assert {each.verdict for each in findings.judgements if each.claim.id.startswith("T")} == {
        "undecided",
        "not testable",
    }
    with report_style():
        for name in ("summary", "numpy_learning_rate", "pytorch_dropout"):
            save(figures[name](), Path(f"{name}.svg"))


def test_the_same_results_give_the_same_bytes_in_another_process(project, written):
    """With another hash seed, and as a notebook starts it."""
    script = f"""
from stages import report
everything = report.drawings
report.drawings = lambda *given: {{name: draw for name, draw in everything(*given).items() if name in {DRAWN[:5]}}}
report.write_page = lambda *_: ""
report.main([])
"""
    backend = "module://matplotlib_inline.backend_inline"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT), "MPLBACKEND": backend}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
    files = [path for path in Path("reports").rglob("*") if path.is_file() and path.name != "report.html"]
    assert len([path for path in files if path.suffix == ".svg"]) == 5 + 1
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
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_sources_can_be_distinguished_with_any_colour_vision(vision, scheme):
    colours = [colour if scheme == "light" else DARK[colour] for colour in dict.fromkeys(COLOURS.values())]
    pairs = itertools.combinations([lab(colour, vision) for colour in colours], 2)
    assert min(np.linalg.norm(one - other) for one, other in pairs) > 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_in_figures_have_enough_contrast(scheme):
    def luminance(colour: str) -> float:
        rgb = np.array(to_rgb(colour if scheme == "light" else DARK[colour]))
        return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    for colour in (style.INK, style.NOTE, style.TRAINING, *COLOURS.values(), *VERDICTS.values()):
        pair = sorted([luminance(colour), luminance(style.PAPER)])
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, colour


def test_every_colour_of_a_figure_has_a_dark_counterpart(written):
    """Except in pictures and matrices, whose cells look the same in both schemes."""
    for name in ("summary", "error_signal", "numpy_learning_rate", "pytorch_hidden_layers", "model_mlp_history"):
        svg = (written / f"figures/{name}.svg").read_text(encoding="utf-8")
        rules = dict(re.findall(r'stroke: (#\w{6})"\]\{stroke:light-dark\(#\w{6},(#\w{6})\)', svg))
        used = set(re.findall(r": (#\w{6})[;\"]", svg.partition("</style>")[2]))
        assert used == set(rules), name
        assert rules == {colour: DARK[colour] for colour in rules}


def test_as_run_and_fixed_runs_are_never_mixed(results):
    read = read_results(load_params(results / "params.yaml"), results / "reports", results / "data/published")
    studies = {each.figure: each for each in views(read.torch, conclude(read, results / "data/published"))}

    def shown(study: str) -> dict[str, list[str]]:
        return {source: curves.variants for source, curves in studies[study].sources.items()}

    three = ["1", "2", "3"]
    assert shown("pytorch_hidden_layers") == {PUBLISHED: three, AS_RUN: three, FIXED: three, ADDED: ["3 batch 256"]}
    assert shown("pytorch_epochs") == {PUBLISHED: ["10", "25", "50"], AS_RUN: ["10", "25", "50"]}
    assert shown("pytorch_baseline")[ADDED] == ["constant", "0.1 then 0.01", "batch 256"]
    assert shown("pytorch_learning_rate")[AS_RUN] == ["0.1", "0.01", "0.001"]


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


def test_dvc_shows_verdicts_in_the_colours_of_the_report():
    template = json.loads((ROOT / ".dvc/plots/verdicts.json").read_text(encoding="utf-8"))
    scale = template["layer"][0]["encoding"]["color"]["scale"]
    assert dict(zip(scale["domain"], scale["range"], strict=True)) == VERDICTS
