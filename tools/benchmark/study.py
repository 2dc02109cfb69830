"""How much sooner the study is done with two runs side by side.

    python -m tools.benchmark.study

A fixed sample of the sweeps: the first variants of every study of params.yaml's `tune`, with its first seed, one epoch
each. Each measurement has a process of its own, so that neither finds data in memory that the other has read.
"""

import json
import os
import sys
import time
from typing import Any

from stages.common.costs import numpy_cost
from stages.common.parallel import as_done
from stages.common.params import Params, Variant, load_params
from stages.tune import one_run
from tools.benchmark.children import LeftOutError, output_of
from tools.benchmark.data import is_prepared, prepared
from tools.benchmark.plan import FASHION

VARIANTS = 2
JOBS = (1, 2)


def sample(params: Params) -> list[tuple[Variant, int]]:
    """The sampled runs, the longest first, as the stage has them."""
    tasks = [
        (variant.model_copy(update={"training": variant.training.model_copy(update={"epochs": 1})}), variant.seeds[0])
        for study in params.tune.values()
        for variant in study.variants[:VARIANTS]
    ]
    return sorted(tasks, key=lambda task: numpy_cost(task[0].training), reverse=True)


def seconds_with(jobs: int) -> float:
    """Wall seconds of the sample, `jobs` runs at a time."""
    command = [sys.executable, "-m", "tools.benchmark.study"]
    return round(json.loads(output_of(command, env={**os.environ, "STUDY_JOBS": str(jobs)})), 2)


def measure_study() -> dict[str, Any]:
    """Seconds at one and at two jobs, and how many times as fast two are; measured once each."""
    if not is_prepared(FASHION):
        raise LeftOutError(f"{prepared(FASHION)} is missing")
    seconds = {str(jobs): seconds_with(jobs) for jobs in JOBS}
    return {
        "runs": len(sample(load_params())),
        "variants_of_each_study": VARIANTS,
        "seconds": seconds,
        "speed_up": round(seconds["1"] / seconds["2"], 3),
    }


def main() -> None:
    """Train the sample, then print the seconds it took."""
    tasks = sample(load_params())
    start = time.perf_counter()
    for _ in as_done(one_run, prepared(FASHION), tasks):
        pass
    print(json.dumps(time.perf_counter() - start))


if __name__ == "__main__":
    main()
