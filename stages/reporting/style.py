"""How figures look: every colour, the style of each variant, and how figures are written with reproducible bytes.

What is compared (published, reproduced, corrected) has colours of Okabe and Ito; what is varied has those of Paul Tol's
scheme "muted", or a position on a scale of lightness; both can be distinguished with any colour vision. A variant has
the same colour and line in every figure: a value of a quantity by its position on a fixed scale, a named variant (adam,
sigmoid, flips) by its own colour. The reference variant of a kind is black, and the baseline's line is heavier.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from stages.training.files import atomic_write

STYLE_FILE = Path(__file__).parent / "report.mplstyle"
WIDTH = 7.2  # inches, across both columns of a journal's page
SMALL = 7  # points, in addition to the sizes in the style file
HEAVY, THIN = 1.9, 0.8  # line widths: of the baseline, and of single runs and ranges
SOLID, DASHED, DOTTED = "-", (0, (4, 1.4)), (0, (1.2, 1.2))
LINES = (SOLID, DASHED, DOTTED)

INK, NOTE, FAINT, PAPER = "#111111", "#5f5f5f", "#a8a8a8", "#ffffff"
# Sources of a number: the report, training as its code ran, training as it describes.
PUBLISHED, REPRODUCED, CORRECTED = "#555555", "#d55e00", "#0072b2"
SCORED, TRAINING, CONFIDENCE = CORRECTED, "#e69f00", REPRODUCED  # of one model
OUTSIDE = "#fbe9e0"  # the background of a published run that is not reproduced
# Named variants: Tol's "muted" without its sand, which is too light for lines, and its cyan a little darker.
NAMED = ("#cc6677", "#332288", "#117733", "#56b4e9", "#882255", "#44aa99", "#999933", "#aa4499")
# Values of a quantity, the smallest dark; the brightest end of the map is too light for lines.
QUANTITY_MAP, QUANTITY_ENDS = "plasma", (0.0, 0.86)
COUNTS_MAP, WEIGHTS_MAP, GREY_MAP = "Blues", "RdBu_r", "gray_r"
# Verdicts: background and text.
VERDICTS = {
    "supported": ("#117733", PAPER),
    "contradicted": ("#c44e00", PAPER),
    "no difference": ("#0072b2", PAPER),
    "artefact": ("#882255", PAPER),
    "not tested": (PAPER, NOTE),
    "undecided": ("#c9c9c9", INK),
    "not testable": (PAPER, NOTE),
}


@dataclass(frozen=True)
class Scale:
    """A quantity's values `low` to `high`, spread evenly or, where `log`, by their ratios.

    Neighbouring values have similar colours, so every step along the scale takes the next of `lines` kinds of line:
    there are `steps` of them from end to end, and the one at `low` is number `first`.
    """

    low: float
    high: float
    log: bool
    steps: int
    lines: int = 2
    first: int = 0

    def style(self, value: float) -> dict:
        """Colour and line of a value; 0 is black, and values beyond the ends look like the ends of the scale."""
        if value <= 0:
            return {"color": INK, "linestyle": SOLID}
        spread = math.log if self.log else float
        share = (spread(value) - spread(self.low)) / (spread(self.high) - spread(self.low))
        place, (low, high) = min(max(share, 0.0), 1.0), QUANTITY_ENDS
        colour = colormaps[QUANTITY_MAP](low + (high - low) * place)
        return {"color": colour, "linestyle": LINES[(self.first + round(place * self.steps)) % self.lines]}


# Steps are the powers of two, or 1, 2 and 5 of each power of ten; 0.1 of learning rates and 128 of sizes are solid.
SCALES = {
    "learning_rate": Scale(0.001, 1, log=True, steps=9, lines=3),
    "batch_size": Scale(8, 4096, log=True, steps=9),
    "hidden_nodes": Scale(32, 2048, log=True, steps=6),
    "hidden_layers": Scale(1, 4, log=False, steps=3),
    "epochs": Scale(5, 60, log=True, steps=4, first=1),
    "dropout": Scale(0.05, 0.5, log=False, steps=9),
    "weight_decay": Scale(1e-6, 0.1, log=True, steps=5),
}
# Variants with names. The first of each kind is the reference of the others.
KINDS = (
    ("relu", "sigmoid", "tanh", "gelu"),
    ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"),
    ("he", "xavier", "normal"),
    ("unit", "standardised"),
    ("without", "with"),
    ("constant", "staircase", "batch"),
    ("as published", "norm to", "value to", "cross-entropy", "bias", "reshuffle", "xavier weights", "normal weights"),
    ("narrow", "wide", "long"),
    (
        *("none", "weight decay", "l2", "dropout", "label smoothing", "crops", "flips"),
        *("crops and flips", "cutout", "decay and smoothing", "combined"),
    ),
    ("1", "2", "3", "4", "5", "6", "7", "8", "256", "512-256", "1024-256"),
)
CYCLE = [{"color": colour, "linestyle": line} for line in LINES for colour in NAMED]
NAMED_STYLES = {
    name: CYCLE[place - 1] if place else {"color": INK, "linestyle": SOLID, "linewidth": HEAVY}
    for names in KINDS
    for place, name in enumerate(names)
} | {
    # The study of the published code's bugs: all of them, and none.
    "published": {"color": REPRODUCED, "linestyle": SOLID, "linewidth": HEAVY},
    "all": {"color": CORRECTED, "linestyle": SOLID, "linewidth": HEAVY},
}


def is_number(text: str) -> bool:
    """Whether a name is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def value_of(label: str) -> float | None:
    """The number that a label begins with: 3 of `3 batch 256`."""
    first = label.split(maxsplit=1)[0]
    return float(first) if is_number(first) else None


def quantity_of(study: str) -> str | None:
    """The quantity that a study varies, which ends its name; None where variants only have names."""
    return next((quantity for quantity in SCALES if study.endswith(quantity)), None)


def is_ordered(study: str, labels: Iterable[str]) -> bool:
    """Whether a study's variants are values of a quantity."""
    return quantity_of(study) is not None and all(value_of(label) is not None for label in labels)


def styles_of(study: str, labels: Sequence[str], baseline: str | None = None) -> dict[str, dict]:
    """The style of each variant of a study, by its label; that of the `baseline` is heavier."""
    quantity = quantity_of(study)
    known: dict[str, dict] = {}
    for label in labels:
        value = value_of(label)
        if quantity and value is not None:
            known[label] = SCALES[quantity].style(value)
        elif name := known_name(label):
            known[label] = NAMED_STYLES[name]
    taken = {style["color"] for style in known.values()}
    free = [style for style in CYCLE if style["color"] not in taken] or CYCLE
    unknown = [label for label in labels if label not in known]
    known |= {label: free[place % len(free)] for place, label in enumerate(unknown)}
    if baseline in known:
        known[baseline] = known[baseline] | {"linewidth": HEAVY}
    styles: dict[str, dict] = {}
    for label in labels:  # two rates of one optimiser, say, have one colour: the later ones get other lines
        style = known[label]
        lines = [other["linestyle"] for other in styles.values() if other["color"] == style["color"]]
        if style["linestyle"] in lines:
            style = {"color": style["color"], "linestyle": next((line for line in LINES if line not in lines), SOLID)}
        styles[label] = style
    return styles


def known_name(label: str) -> str | None:
    """The named variant in a label, with or without a number, in either order: `adam` of `adam 0.001`."""
    words = label.replace("_", " ").split()
    names = [" ".join(words)]
    if len(words) > 1 and is_number(words[-1]):
        names.append(" ".join(words[:-1]))
    names += [" and ".join(sorted(name.split(" and "))) for name in names] + ["-".join(words)]
    return next((name for name in names if name in NAMED_STYLES), None)


@contextmanager
def report_style() -> Iterator[None]:
    """Draw in the report's style, whatever the user's own matplotlib settings are."""
    with matplotlib.style.context(STYLE_FILE, after_reset=True):
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, drawn without a window system."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG without date or software version."""
    figure.canvas.draw()
    picture = fewer_colours(Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB"))
    with atomic_write(path) as temporary:
        picture.save(temporary, format="PNG")


def fewer_colours(picture: Image.Image) -> Image.Image:
    """The picture in 256 colours, a third of the size, if the mean change is below 1 in 255, which is invisible."""
    fewer = picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    change = np.abs(np.asarray(picture, int) - np.asarray(fewer.convert("RGB"), int)).mean()
    return fewer if change < 1 else picture
