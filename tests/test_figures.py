"""Figures show the same thing in the same colour wherever it occurs, legibly, and their words say what they show."""

import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from PIL import Image

from stages import report
from stages.common.params import load_params
from stages.reporting import colours
from stages.reporting.alt_text import extremes
from stages.reporting.document import drawings, write_report
from stages.reporting.end_labels import spread_out
from stages.reporting.figures_grid import draw_grid
from stages.reporting.looks import SCALES, looks_of
from stages.reporting.reproduction import NO
from stages.reporting.style import HEAVY, SMALL, WIDTH, fewer_colours, house_style, new_figure, save
from stages.reporting.sweeps import baseline_label
from tests.results import ROOT

# What people with each kind of dichromacy see of linear RGB: Viénot, Brettel and Mollon (1999).
DICHROMACY = {
    "protan": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
    "deutan": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
}


@pytest.fixture
def inputs(results: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(results)
    return report.read_inputs()


def linear(colour: str) -> np.ndarray:
    """Linear RGB of a colour."""
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB of linear RGB under daylight."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(rgb, 0, 1)
    x, y, z = np.cbrt(np.maximum(xyz / [0.9505, 1, 1.089], 1e-6))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def apart(one: str, other: str, sight: str) -> float:
    """How different two colours look."""
    matrix = np.array(DICHROMACY.get(sight, np.eye(3)))
    return float(np.linalg.norm(lab(matrix @ linear(one)) - lab(matrix @ linear(other))))


@pytest.mark.parametrize("sight", ["usual", *DICHROMACY])
def test_colours_are_told_apart_with_any_colour_vision(sight):
    sources = (colours.PUBLISHED, colours.REPRODUCED, colours.CORRECTED)
    assert min(apart(*pair, sight) for pair in itertools.combinations(sources, 2)) > 20
    assert min(apart(*pair, sight) for pair in itertools.combinations((colours.INK, *colours.NAMED), 2)) > 7


def test_no_colour_is_spelled_outside_the_colours_and_the_style():
    folder = ROOT / "stages/reporting"
    figures = [path for path in folder.glob("*.py") if path.name.startswith(("figures_", "l", "end_", "scales"))]
    spelled = re.compile(r"#[0-9a-f]{6}|\b(?:color|cmap|ecolor)=\"(?!none)", re.IGNORECASE)
    assert len(figures) > 8
    assert [path.name for path in figures if spelled.search(path.read_text(encoding="utf-8"))] == []


def test_a_value_looks_alike_whatever_else_its_study_has():
    few, many = looks_of("learning_rate", ["0.1", "0.01"]), looks_of("published_learning_rate", ["1", "0.1", "0.05"])
    assert few["0.1"] == many["0.1"]
    assert looks_of("batch_size", ["128"])["128"] == looks_of("reduction_batch_size", ["64", "128"])["128"]
    assert looks_of("hidden_layers", ["1"]) != looks_of("architecture", ["1"])


def test_a_named_thing_looks_alike_in_both_halves():
    numpy = looks_of("optimiser", ["sgd", "momentum", "adam"])
    torch = looks_of("optimiser", ["adam", "sgd", "adam 0.001", "momentum 0.01"])
    assert numpy["sgd"] == torch["sgd"]
    assert numpy["adam"] == torch["adam"]
    assert torch["adam 0.001"]["color"] == numpy["adam"]["color"]
    assert torch["adam 0.001"]["linestyle"] != torch["adam"]["linestyle"]
    assert (
        looks_of("augmentation", ["flips and crops"])["flips and crops"]
        == (looks_of("regularisation", ["crops and flips"])["crops and flips"])
    )


def test_to_have_nothing_is_black_and_the_baseline_heavier():
    looks = looks_of("dropout", ["0", "0.25"], baseline="0.25")
    assert looks["0"]["color"] == looks_of("regularisation", ["none"])["none"]["color"] == colours.INK
    assert looks["0.25"]["linewidth"] == HEAVY


def test_every_two_variants_of_a_study_look_different():
    params = load_params(ROOT / "params.yaml")
    for section in (params.tune, params.ablations):
        for name, study in section.items():
            variants = [variant.name.removesuffix("_as_run") for variant in study.variants]
            looks = looks_of(name, list(dict.fromkeys(variants)))
            assert len({(to_rgb(look["color"]), str(look["linestyle"])) for look in looks.values()}) == len(looks), name


def test_names_that_nothing_is_known_of_look_different_from_all_others():
    names = ["relu", "sigmoid", *(f"new {letter}" for letter in "abcdefghijkl")]
    looks = looks_of("activation", names)
    assert len({(look["color"], str(look["linestyle"])) for look in looks.values()}) == len(names)


@pytest.mark.parametrize("quantity", SCALES)
def test_the_scale_of_a_quantity_runs_from_dark_to_light(quantity):
    scale = SCALES[quantity]
    values = np.geomspace(scale.low, scale.high, 5)
    lightness = [lab(linear(scale.look(value)["color"]))[0] for value in values]
    assert lightness == sorted(lightness)
    assert scale.look(scale.high * 10)["color"] == scale.look(scale.high)["color"]
    assert colours.QUANTITY_MAP in colormaps


def test_the_baseline_is_what_most_studies_list(inputs):
    labels = {name: baseline_label(name, inputs.torch.results) for name in inputs.torch.results}
    assert labels["batch_size"] == "128"
    assert labels["learning_rate"] == "0.1"
    assert labels["baseline"] == "constant"
    assert labels["final"] is None
    assert baseline_label("dropout", {}) is None


def test_labels_at_the_ends_of_curves_keep_apart_and_in_order():
    places = spread_out([0.5, 0.99, 0.51, 1.0], 0.1)
    assert np.diff(sorted(places)).min() > 0.099
    assert list(np.argsort(places)) == [0, 2, 1, 3]
    assert 0 <= min(places) <= max(places) <= 1
    assert spread_out([0.2, 0.8], 0.1) == [0.2, 0.8]


def test_text_is_legible_at_the_width_of_a_page(inputs):
    """No text is smaller than seven points, and no picture wider than a page, on opaque white."""
    with house_style():
        for name, draw in drawings(inputs, report.read_findings(inputs)).items():
            figure = draw()
            assert figure.get_figwidth() <= WIDTH, name
            sizes = [text.get_fontsize() for text in figure.findobj(lambda artist: hasattr(artist, "get_fontsize"))]
            assert min(sizes, default=SMALL) >= SMALL, name
            assert to_rgb(figure.get_facecolor()) == (1, 1, 1), name


def test_the_grid_has_a_panel_a_published_run_on_one_scale(inputs):
    findings = report.read_findings(inputs)
    for half, framework, count in ((inputs.numpy, "NumPy", 22), (inputs.torch, "PyTorch", 24)):
        runs = findings.runs[findings.runs["framework"] == framework]
        with house_style():
            figure = draw_grid(runs, half.published, half.results)
        panels = [axes for axes in figure.axes if axes.axison]
        assert len(panels) == count
        assert len({(*axes.get_xlim(), *axes.get_ylim()) for axes in panels}) == 1
        shaded = [to_rgb(axes.get_facecolor()) == to_rgb(colours.OUTSIDE) for axes in panels]
        assert shaded == list(runs["comes_back"] == NO)
        for axes, run in zip(panels, runs.itertuples(), strict=True):
            published = half.published.curves(run.study).history_of(run.variant)
            np.testing.assert_array_equal(axes.lines[-1].get_ydata(), published["accuracy"])


def test_lines_are_written_in_few_colours_and_photographs_in_all(tmp_path):
    figure = new_figure(2)
    figure.subplots().plot([1, 2, 3])
    save(figure, tmp_path / "lines.png")
    with Image.open(tmp_path / "lines.png") as picture:
        assert picture.mode == "P"
        assert not picture.info.keys() & {"Software", "Creation Time"}
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    noise = np.random.default_rng(1).integers(0, 256, (99, 99, 3), dtype=np.uint8)
    assert fewer_colours(Image.fromarray(noise)).mode == "RGB"


def test_alternative_texts_follow_the_numbers(inputs):
    runs = pd.DataFrame({"variant": ["a_b", "a_b", "c"], "final_accuracy": [0.5, 0.7, 0.4]})
    assert extremes(runs, "final_accuracy") == "best a b with 0.6000, worst c with 0.4000"
    text = write_report(inputs, report.read_findings(inputs))
    texts = re.findall(r"!\[([^\]]*)\]\(figures/([^)]*)\.png\)", text)
    named = {figure: words for words, figure in texts}
    published = inputs.numpy.published.runs_of("learning_rate").set_index("variant")["final_accuracy"]
    assert f"published, best 0.001 with {published['0.001']:.4f}" in named["learning_rate"]
    assert not [words for words, _ in texts if re.search(r"\b(nan|None)\b", words)]
