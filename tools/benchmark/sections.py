"""The parts of the benchmark, each from a plan to what goes into benchmark.json under its name."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from tools.benchmark import data, memory, pipeline, startup, study
from tools.benchmark.children import LeftOutError
from tools.benchmark.epochs import measure_cell, warm_up
from tools.benchmark.plan import CIFAR, FASHION, Plan
from tools.benchmark.published_rows import measure_published

Measured = TypeVar("Measured")
QUICK_REASON = "--quick"
NO_DVC_REASON = "--no-dvc"


def progress(what: str) -> None:
    """Say what is being measured."""
    print(f"  ... {what}", file=sys.stderr, flush=True)


def attempt(what: str, measure: Callable[[], Measured], plan: Plan, left_out: dict[str, str]) -> Measured | None:
    """Measure by processes of their own, where the plan has them; None, and why in `left_out`, where that fails."""
    progress(what)
    try:
        if not plan.children:
            raise LeftOutError(QUICK_REASON)
        return measure()
    except LeftOutError as error:
        left_out[what] = str(error)
        return None


def notes(plan: Plan) -> list[str]:
    """What a reader must know of this run's data."""
    if plan.noise is not None:
        return [f"Quick: {plan.noise:,} random images; these times say nothing but that the benchmark works."]
    return [
        f"{data.prepared(name)} is missing: random images instead"
        for name in (FASHION, CIFAR)
        if not data.is_prepared(name)
    ]


def epochs_section(plan: Plan) -> list[dict[str, Any]]:
    """All rows of the table of epochs."""
    training = {name: data.load(name, "training", plan.noise) for name in (FASHION, CIFAR)}
    test = data.load(FASHION, "test", plan.noise)
    warm_up(plan.cells[0], training[plan.cells[0].data_set], test)
    rows = []
    for cell in plan.cells:
        progress(f"epochs of {cell.network}, batch {cell.batch_size}")
        rows.append(measure_cell(cell, training[cell.data_set], test, plan))
    return rows


def published_section(plan: Plan) -> list[dict[str, Any]]:
    """The published way beside ours."""
    progress("the published way")
    training = data.load(FASHION, "all_training", plan.noise)
    test = data.load(FASHION, "test", plan.noise)
    return [measure_published(cell, training, test, plan) for cell in plan.published_cells]


def memory_section(plan: Plan, columns_left_out: dict[str, str], left_out: dict[str, str]) -> dict[str, float | None]:
    """Peak memory of each contestant's process, in MiB."""
    return {
        name: None
        if name in columns_left_out
        else attempt(f"memory of {name}", lambda name=name: memory.measure_memory(name), plan, left_out)
        for name in memory.TRAININGS
    }


def startup_section(plan: Plan, left_out: dict[str, str]) -> dict[str, Any]:
    """Start-up of each node."""
    return attempt("start-up", startup.measure_startup, plan, left_out) or dict.fromkeys(startup.nodes())


def pipeline_section(plan: Plan, with_dvc: bool, left_out: dict[str, str]) -> dict[str, float | None]:
    """Seconds of the pipeline where nothing is trained."""

    def no_op() -> float:
        if not with_dvc:
            raise LeftOutError(NO_DVC_REASON)
        return pipeline.no_op_seconds()

    return {
        "preprocess": attempt("preprocess", pipeline.preprocess_seconds, plan, left_out),
        "no_op_repro": attempt("dvc repro with nothing to do", no_op, plan, left_out),
    }


def study_section(plan: Plan, left_out: dict[str, str]) -> dict[str, Any]:
    """The study at one job and at two."""
    nothing = {"runs": None, "seconds": {str(jobs): None for jobs in study.JOBS}, "speed_up": None}
    return attempt("study, one job and two", study.measure_study, plan, left_out) or nothing
