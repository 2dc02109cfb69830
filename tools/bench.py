"""How fast everything is, beside what others take for the same and beside what the machine can do at most.

    python -m tools.bench          (or: make bench; some four minutes on two cores)
    python -m tools.bench --quick  (a look at whether it works: noise, one repeat, no processes of its own)

Contestants take turns within every repeat, so that a busy machine slows all; ratios are taken within a repeat, and come
with their spread. Writes benchmark.json, which git ignores: times belong to a machine, not to the study.
"""

import argparse
import json
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.benchmark import data, epochs, limits, machine, printing, sections
from tools.benchmark.convolution import measure_cnn
from tools.benchmark.plan import CIFAR, FULL, QUICK, Plan

RESULT = Path("benchmark.json")


def show(text: str) -> None:
    """Print a table and an empty line."""
    print(f"{text}\n", flush=True)


def measure(plan: Plan, with_dvc: bool) -> dict[str, Any]:
    """Measure everything, showing each table as soon as it is there."""
    start = time.perf_counter()
    columns, others = epochs.left_out(), {}
    result: dict[str, Any] = {"about": machine.about(), "notes": sections.notes(plan)}
    show("\n".join([printing.machine_lines(result["about"]), *result["notes"]]))
    result["limits"] = limits.measure_limits(plan.product_side, plan.products, plan.repeats, plan.cell_seconds)
    show(printing.limits_table(result["limits"]))
    result["epochs"] = sections.epochs_section(plan)
    show(printing.epochs_tables(result["epochs"], columns))
    result["published"] = sections.published_section(plan)
    show(printing.published_table(result["published"]))
    result["cnn"] = measure_cnn(data.load(CIFAR, "training", plan.noise), plan)
    show(printing.cnn_table(result["cnn"]))
    result["memory_mib"] = sections.memory_section(plan, columns, others)
    show(printing.memory_table(result["memory_mib"]))
    result["startup_seconds"] = sections.startup_section(plan, others)
    show(printing.startup_table(result["startup_seconds"]))
    result["pipeline"] = sections.pipeline_section(plan, with_dvc, others)
    show(printing.pipeline_table(result["pipeline"]))
    result["study"] = sections.study_section(plan, others)
    show(printing.study_table(result["study"]))
    if others:
        show("\n".join(printing.left_out_lines(others)))
    return {**result, "left_out": {**columns, **others}, "seconds": round(time.perf_counter() - start, 1)}


def write(result: dict[str, Any], path: Path) -> None:
    """Write strict JSON: no NaN, no infinity."""
    path.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print tables, write a JSON file."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only see whether it works: a few seconds")
    parser.add_argument("--no-dvc", action="store_true", help="leave dvc alone, for instance while it is running")
    parser.add_argument("--output", type=Path, default=RESULT, help=f"where to write ({RESULT})")
    options = parser.parse_args(arguments)
    # A network that diverges overflows, which is no matter of speed.
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    result = measure(QUICK if options.quick else FULL, with_dvc=not options.no_dvc)
    write(result, options.output)
    print(f"{result['seconds']:.0f} seconds; all numbers are in {options.output}")


if __name__ == "__main__":
    main()
