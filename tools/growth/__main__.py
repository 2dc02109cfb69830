"""How time and memory of the study grow with images, hidden units, seeds and jobs: docs/growth.csv and a figure of it.

    python -m tools.growth          (under five minutes on two idle cores)
    python -m tools.growth --go-on  keeps what docs/growth.csv holds, and measures what is missing in it
    python -m tools.growth --draw   only draws docs/growth.png, from docs/growth.csv

Rows that were added by hand (axis jobs, how measured) are always kept.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from tools.growth.rows import MEASURED, SIMULATED, TABLE, Row, read, write

FIGURE = Path("docs/growth.png")


def by_hand(row: Row) -> bool:
    """Whether a row can't come from here, where jobs are simulated."""
    return row.axis == "jobs" and row.how == MEASURED


def kept(rows: list[Row], go_on: bool) -> list[Row]:
    """What of an earlier table stays: what was added by hand, and to go on, what was measured."""
    return [row for row in rows if by_hand(row) or (go_on and row.how != SIMULATED)]


def fill(path: Path, go_on: bool) -> None:
    """Measure, writing the table down after each measurement; then simulate."""
    from stages.common.params import load_params
    from tools.growth.measuring import measure
    from tools.growth.simulation import simulate

    rows = kept(read(path), go_on)
    for found in measure({row.key for row in rows}):
        keys = {row.key for row in found}
        rows = [row for row in rows if row.key not in keys] + found
        write(rows, path)
        print(*(f"{row.axis} {row.value:g}, {row.series}: {row.amount:.4g} {row.unit}" for row in found), sep="\n")
    write([*rows, *simulate(load_params(), rows)], path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill the table, unless it is only to be drawn, and draw it."""
    parser = argparse.ArgumentParser(prog="python -m tools.growth", description=__doc__.splitlines()[0])
    parser.add_argument("--draw", action="store_true", help=f"only draw {FIGURE} from {TABLE}")
    parser.add_argument("--go-on", action="store_true", help=f"measure only what {TABLE} lacks")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    if not options.draw:
        fill(TABLE, options.go_on)
    from tools.growth.drawing import draw

    draw(read(TABLE), FIGURE)
    print(f"{time.perf_counter() - start:.0f} seconds; {TABLE}, {FIGURE}")


if __name__ == "__main__":
    main()
