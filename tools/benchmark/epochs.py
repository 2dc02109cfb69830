"""Seconds that an epoch takes each contestant, one row for each network and mini-batch size."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from tools.benchmark import limits, ours_numpy, ours_torch, plain_torch, published_timing, scikit
from tools.benchmark.data import COUNTS, Data
from tools.benchmark.flops import training_flops
from tools.benchmark.plan import DEEP, FASHION, Cell, Plan
from tools.benchmark.threads import CORES
from tools.benchmark.timing import Contestant, ratios, spread, take_turns

COLUMNS = {
    "numpy": "NumPy",
    "numpy_two_threads": "NumPy, 2 threads",
    "torch_float32": "torch MLP",
    "torch_bfloat16": "torch MLP bf16",
    "plain_torch": "PyTorch plain",
    "scikit_learn": "scikit-learn",
    "published": "published way",
}
# Which limit each column is held against: the product, and the threads.
LIMITS = {
    "numpy": ("numpy_float32", 1),
    "numpy_two_threads": ("numpy_float32", 2),
    "torch_float32": ("torch_float32", 1),
    "torch_bfloat16": ("torch_bfloat16", 1),
}
RIVALS = ("torch_float32", "torch_bfloat16", "plain_torch", "scikit_learn")
# Two threads have something to share from this mini-batch size on.
BATCH_FOR_TWO_THREADS = 128
WARM_UP_IMAGES = 8


def left_out() -> dict[str, str]:
    """Columns that this machine cannot have, and why."""
    missing = {}
    if not ours_torch.bfloat16_here():
        missing["torch_bfloat16"] = "this processor has no bfloat16 instructions"
    if not scikit.installed():
        missing["scikit_learn"] = "scikit-learn is not installed"
    return missing


def applies(column: str, cell: Cell) -> bool:
    """Whether a column has anything to say of a cell."""
    if column == "numpy_two_threads":
        return cell.sizes == DEEP and cell.batch_size >= BATCH_FOR_TWO_THREADS
    if column == "published":
        return cell.data_set == FASHION
    return True


def timed_images(cell: Cell, available: int) -> int:
    """How many images of an epoch are timed."""
    return available if cell.steps is None else min(cell.steps * cell.batch_size, available)


def scaled_published(cell: Cell, data: Data, test: Data, scale: float) -> float:
    """Seconds of a whole epoch and a whole evaluation, from those of `data` and of some of the test images."""
    some = test.first(cell.evaluated)
    parts = published_timing.epoch_and_evaluation(data, some, cell.sizes, cell.batch_size)
    return scale * parts.training + COUNTS[FASHION, "test"] / len(some.labels) * parts.evaluation


def contestants(cell: Cell, data: Data, test: Data, scale: float) -> dict[str, Contestant]:
    """All columns that apply to a cell; each timer returns the seconds of a whole epoch, `scale` times what it ran."""
    work = (data, cell.sizes, cell.batch_size)

    def scaled(epoch_seconds: Callable[..., float], *more: Any) -> Callable[[], float]:
        return lambda: scale * epoch_seconds(*work, *more)

    every = {
        "numpy": Contestant(scaled(ours_numpy.epoch_seconds)),
        "numpy_two_threads": Contestant(scaled(ours_numpy.epoch_seconds), threads=2),
        "torch_float32": Contestant(scaled(ours_torch.epoch_seconds, False)),
        "torch_bfloat16": Contestant(scaled(ours_torch.epoch_seconds, True)),
        "plain_torch": Contestant(scaled(plain_torch.epoch_seconds)),
        "scikit_learn": Contestant(scaled(scikit.epoch_seconds)),
        # As many threads as there are cores: what BLAS does when nobody says otherwise.
        "published": Contestant(partial(scaled_published, cell, data, test, scale), threads=CORES),
    }
    missing = left_out()
    return {name: who for name, who in every.items() if name not in missing and applies(name, cell)}


def probes(columns: Mapping[str, Contestant], plan: Plan) -> dict[tuple[str, int], Contestant]:
    """The limits that these columns are held against, to be measured in the same turns."""
    needed = {LIMITS[name] for name in columns if name in LIMITS}
    return {limit: limits.contestant(*limit, plan.product_side, plan.products) for limit in sorted(needed)}


def warm_up(cell: Cell, data: Data, test: Data) -> None:
    """Let every contestant take a few steps: what libraries import or set up at their first use is nobody's speed."""
    few = data.first(WARM_UP_IMAGES)
    for contestant in contestants(replace(cell, evaluated=1), few, test, 1.0).values():
        contestant.timer()


def measure_cell(cell: Cell, data: Data, test: Data, plan: Plan) -> dict[str, Any]:
    """One row; `data` is the whole training split."""
    whole = COUNTS[cell.data_set, "training"]
    images = timed_images(cell, len(data.labels))
    columns = contestants(cell, data.first(images), test, whole / images)
    measures = probes(columns, plan)
    taken = take_turns(columns | {str(limit): who for limit, who in measures.items()}, plan.repeats, plan.cell_seconds)
    flops = training_flops(cell.sizes, whole)
    shares = {}
    for name in columns.keys() & LIMITS.keys():
        at_limit = [flops / limits.rate(value, plan.product_side) for value in taken[str(LIMITS[name])]]
        shares[name] = spread(ratios(at_limit, taken[name]))
    ours = taken["numpy"]
    return {
        "data_set": cell.data_set,
        "network": cell.network,
        "batch_size": cell.batch_size,
        "images": whole,
        "images_timed": images,
        "steps": -(-whole // cell.batch_size),
        "steps_timed": -(-images // cell.batch_size),
        "published_evaluated": cell.evaluated if applies("published", cell) else None,
        "flops": flops,
        "seconds": {name: spread(taken[name]) if name in columns else None for name in COLUMNS},
        "times_ours": {name: spread(ratios(taken[name], ours)) if name in columns else None for name in RIVALS},
        "share_of_limit": {name: shares.get(name) for name in LIMITS},
    }
