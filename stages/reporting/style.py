"""How figures look: a colour for each source of a number and for each verdict, and how a figure is written.

Figures are SVG with text as text, at the width of a telephone, so that words stay legible there. They are drawn in the
light colours; a rule in each file gives every colour its dark counterpart where the reader's system is dark.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import matplotlib.style
from matplotlib.figure import Figure

from stages.training.files import write_text

STYLE_FILE = Path(__file__).parent / "report.mplstyle"
WIDTH = 4.2  # inches: in the column of a page of 390 px, the smallest text has some 10 px
SMALL = 8  # points: the smallest text

INK, NOTE, FAINT, GRID, PAPER = "#1c1d20", "#5a5c61", "#c2c2c4", "#e3e1da", "#fffefb"
# Where a number comes from.
PUBLISHED, AS_RUN, ONE_FIXED, FIXED, ADDED = INK, "#c44e00", "#8a3d7c", "#0a6aa6", "#00796b"
TRAINING = "#9a6700"
VERDICTS = {
    "supported": "#1b7a3d",
    "contradicted": "#b3261e",
    "no difference": "#3f5f8a",
    "artefact": "#7a5c00",
    "not tested": NOTE,
    "undecided": NOTE,
    "not testable": NOTE,
}
DARK = {
    **{INK: "#e6e4df", NOTE: "#a9acb1", FAINT: "#50555b", GRID: "#2b3035", PAPER: "#14171a"},
    **{AS_RUN: "#ff9a57", ONE_FIXED: "#e29ad3", FIXED: "#58a6ff", ADDED: "#3fc9a0", TRAINING: "#e9b44c"},
    **{"#1b7a3d": "#6cc489", "#b3261e": "#ff8f86", "#3f5f8a": "#9db9e0", "#7a5c00": "#dcb956"},
}
# Counts in a matrix: these cells, and the text on them, are the same in both schemes.
COUNTS_MAP, WEIGHTS_MAP, GREY_MAP = "Blues", "RdBu_r", "gray_r"
ON_LIGHT, ON_DARK = "#101112", "#fdfdfd"


def schemes(colours: Iterable[str]) -> str:
    """CSS that gives each of some light colours in an SVG its dark counterpart, where the scheme is dark."""
    return "".join(
        f'[style*="{kind}: {light}"]{{{kind}:light-dark({light},{DARK[light]})!important}}'
        for light in colours
        for kind in ("fill", "stroke")
    )


@contextmanager
def report_style() -> Iterator[None]:
    """Draw in the report's style, whatever the user's own matplotlib settings are."""
    with matplotlib.style.context(STYLE_FILE, after_reset=True):
        yield


def new_figure(height: float) -> Figure:
    """An empty figure, drawn without a window system."""
    return Figure(figsize=(WIDTH, height))


def save(figure: Figure, path: Path) -> None:
    """Write an SVG without date or software version, coordinates to a hundredth of a point."""
    file = StringIO()
    with matplotlib.rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<[^>]*\.\d{3}[^>]*>", lambda tag: re.sub(r"-?\d+\.\d{3,}", shortened, tag[0]), svg)
    rules = schemes(colour for colour in DARK if f": {colour}" in svg)
    svg = svg.replace("</style>", f":root{{color-scheme:light dark}}{rules}</style>", 1)
    write_text(path, svg)


def save_dark(path: Path) -> None:
    """Write the figure at `path` in its dark colours alone as well, for pages that choose between two files."""
    svg = re.sub(r":root\{.*?</style>", "</style>", path.read_text(encoding="utf-8"))
    for light, dark in DARK.items():
        svg = svg.replace(f": {light}", f": {dark}")
    write_text(path.with_stem(f"{path.stem}_dark"), svg)


def shortened(number: re.Match) -> str:
    """A coordinate to two decimals."""
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
