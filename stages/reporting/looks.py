"""What a variant looks like: the same colour and line wherever it is drawn, in whichever half of the study.

A value of a quantity has its place on a scale that is fixed for the quantity, whatever else a figure shows: a learning
rate of 0.1 looks alike in all of them. A named thing (adam, sigmoid, flips) has a colour of its own. What the others
depart from, be it named or nothing at all, is black; the baseline's line is heavier.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib import colormaps

from stages.reporting.colours import CORRECTED, INK, NAMED, QUANTITY_ENDS, QUANTITY_MAP, REPRODUCED
from stages.reporting.naming import is_number
from stages.reporting.style import HEAVY

SOLID, DASHED, DOTTED = "-", (0, (4, 1.4)), (0, (1.2, 1.2))
LINES = (SOLID, DASHED, DOTTED)


@dataclass(frozen=True)
class Scale:
    """A quantity's values `low` to `high`, spread evenly or, where `log`, by their ratios.

    Colours of neighbouring values are near, so every step along the scale takes the next of `lines` kinds of line:
    there are `steps` of them from end to end, and the one at `low` is number `first`.
    """

    low: float
    high: float
    log: bool
    steps: int
    lines: int = 2
    first: int = 0

    def place(self, value: float) -> float:
        """From 0 at the low end to 1 at the high one, where values beyond them are as well."""
        spread = math.log if self.log else float
        share = (spread(value) - spread(self.low)) / (spread(self.high) - spread(self.low))
        return min(max(share, 0.0), 1.0)

    def look(self, value: float) -> dict:
        """Colour and line of a value; to have nothing of a quantity is not to have it."""
        if value <= 0:
            return {"color": INK, "linestyle": SOLID}
        place = self.place(value)
        low, high = QUANTITY_ENDS
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
# What studies vary by name. The first of each is what the others depart from.
KINDS = (
    ("relu", "sigmoid", "tanh", "gelu"),
    ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"),
    ("he", "xavier", "normal"),
    ("unit", "standardised"),
    ("without", "with"),
    ("constant", "staircase", "batch"),
    ("as published", "norm to", "value to", "cross-entropy", "bias", "reshuffle"),
    ("narrow", "wide", "long"),
    (
        *("none", "weight decay", "l2", "dropout", "label smoothing", "crops", "flips"),
        *("crops and flips", "cutout", "decay and smoothing", "combined"),
    ),
    ("1", "2", "3", "4", "5", "6", "7", "8", "256", "512-256", "1024-256"),
)


def in_turn(place: int) -> dict:
    """The colours for names one after the other, then again with other lines."""
    return {"color": NAMED[place % len(NAMED)], "linestyle": LINES[place // len(NAMED) % len(LINES)]}


THINGS = {
    name: in_turn(place - 1) if place else {"color": INK, "linestyle": SOLID, "linewidth": HEAVY}
    for names in KINDS
    for place, name in enumerate(names)
} | {
    # The study of the published code's faults: all of them, and none.
    "published": {"color": REPRODUCED, "linestyle": SOLID, "linewidth": HEAVY},
    "all": {"color": CORRECTED, "linestyle": SOLID, "linewidth": HEAVY},
}


def quantity_of(study: str) -> str | None:
    """The quantity that a study varies, which its name ends on; None where variants only have names."""
    return next((quantity for quantity in SCALES if study.endswith(quantity)), None)


def value_of(label: str) -> float | None:
    """The number that a label begins with: 3 of `3 batch 256`."""
    first = label.split(maxsplit=1)[0]
    return float(first) if is_number(first) else None


def is_ordered(study: str, labels: Iterable[str]) -> bool:
    """Whether a study's variants are values of a quantity."""
    return quantity_of(study) is not None and all(value_of(label) is not None for label in labels)


def looks_of(study: str, labels: Sequence[str], baseline: str | None = None) -> dict[str, dict]:
    """The look of each variant of a study, by its label; that of the `baseline` is heavier."""
    quantity = quantity_of(study)
    looks: dict[str, dict] = {}
    unknown = []
    for label in labels:
        value = value_of(label)
        if quantity and value is not None:
            looks[label] = SCALES[quantity].look(value)
        elif name := known_name(label):
            looks[label] = THINGS[name]
        else:
            unknown.append(label)
    looks |= free_looks(unknown, looks.values())
    if baseline in looks:
        looks[baseline] = looks[baseline] | {"linewidth": HEAVY}
    return told_apart({label: looks[label] for label in labels})


def known_name(label: str) -> str | None:
    """The thing that a label names, with or without a number behind it, in whichever order: `adam` of `adam 0.001`."""
    words = label.replace("_", " ").split()
    names = [" ".join(words)]
    if len(words) > 1 and is_number(words[-1]):
        names.append(" ".join(words[:-1]))
    names += [" and ".join(sorted(name.split(" and "))) for name in names] + ["-".join(words)]
    return next((name for name in names if name in THINGS), None)


def free_looks(labels: Sequence[str], taken: Iterable[dict]) -> dict[str, dict]:
    """Looks for names that nothing is known of, in their order: of the colours, those that are not `taken` first."""
    colours = {look["color"] for look in taken}
    everything = [in_turn(place) for place in range(len(NAMED) * len(LINES))]
    free = [look for look in everything if look["color"] not in colours] or everything
    return {label: free[place % len(free)] for place, label in enumerate(labels)}


def told_apart(looks: dict[str, dict]) -> dict[str, dict]:
    """Of variants that would look alike, such as two rates of one optimiser, the later ones have other lines."""
    found: dict[str, dict] = {}
    for label, look in looks.items():
        taken = [other["linestyle"] for other in found.values() if other["color"] == look["color"]]
        if look["linestyle"] in taken:
            free = [line for line in LINES if line not in taken]
            look = {"color": look["color"], "linestyle": (free or LINES)[0]}
        found[label] = look
    return found
