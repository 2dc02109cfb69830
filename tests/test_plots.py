"""The templates of `dvc plots` draw: each is filled by DVC's own code and compiled by Vega-Lite."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from dvc_render.vega import VegaRenderer

TEMPLATES = Path(__file__).parent.parent / ".dvc/plots"
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


CASES = {
    "study": (study_rows(), "epoch", "loss"),
    "record": (record_rows(), "epoch", "loss"),
    "confusion_counts": (confusion_rows(), "predicted", "label"),
}


def fill(name: str) -> dict[str, Any]:
    """The template as `dvc plots` fills it."""
    rows, x, y = CASES[name]
    labels = {"title": "A title", "x_label": "across", "y_label": "up"}
    renderer = VegaRenderer(rows, "plot", template=name, template_dir=str(TEMPLATES), x=x, y=y, **labels)
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
