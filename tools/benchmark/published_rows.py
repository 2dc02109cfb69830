"""The published way beside our network told to do the same: epoch and evaluation, in float64."""

from typing import Any

from tools.benchmark import limits, ours_numpy, published_timing
from tools.benchmark.data import COUNTS, Data
from tools.benchmark.flops import forward_flops, training_flops
from tools.benchmark.plan import Cell, Plan
from tools.benchmark.threads import CORES
from tools.benchmark.timing import Contestant, ratios, spread, take_turns

LIMIT = ("numpy_float64", 1)


def measure_published(cell: Cell, data: Data, test: Data, plan: Plan) -> dict[str, Any]:
    """One row: the same order of images, the same steps, the same images evaluated; nothing is scaled.

    Ours has one thread, the published way as many as there are cores, as it comes.
    """
    whole = COUNTS[cell.data_set, "all_training"]
    images = len(data.labels) if cell.steps is None else min(cell.steps * cell.batch_size, len(data.labels))
    some, scored = data.first(images), test.first(cell.evaluated)
    accuracies: dict[str, float] = {}

    def ours() -> float:
        seconds, accuracies["ours"] = ours_numpy.published_epoch(some, scored, cell.sizes, cell.batch_size)
        return seconds

    def theirs() -> float:
        parts = published_timing.epoch_and_evaluation(some, scored, cell.sizes, cell.batch_size)
        accuracies["published"] = parts.accuracy
        return parts.training + parts.evaluation

    limit = limits.contestant(*LIMIT, plan.product_side, plan.products)
    taken = take_turns(
        {"ours": Contestant(ours), "published": Contestant(theirs, CORES), "limit": limit},
        plan.repeats,
        plan.cell_seconds,
    )
    flops = training_flops(cell.sizes, images) + forward_flops(cell.sizes, len(scored.labels))
    at_limit = [flops / limits.rate(value, plan.product_side) for value in taken["limit"]]
    return {
        "network": cell.network,
        "batch_size": cell.batch_size,
        "images": whole,
        "images_timed": images,
        "images_evaluated": len(scored.labels),
        "seconds": {name: spread(taken[name]) for name in ("ours", "published")},
        "times_ours": spread(ratios(taken["published"], taken["ours"])),
        "share_of_limit": spread(ratios(at_limit, taken["ours"])),
        "accuracy": accuracies,
    }
