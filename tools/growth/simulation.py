"""The whole study's seconds and memory with other numbers of seeds and jobs, from the seconds of its kinds of run.

Left out: DVC's own checks, the stages before training, and the report.
"""

import csv
import statistics
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from stages.common.costs import mlp_cost, numpy_cost
from stages.common.params import Params, Study
from stages.common.sharing import own_tasks
from tools.growth.kinds import name_of
from tools.growth.plan import CORES, JOBS, RECORD, SEEDS
from tools.growth.rows import SIMULATED, Row
from tools.growth.scheduling import one_after_another

COSTS: dict[str, Callable[[Any], float]] = {"tune": numpy_cost, "ablations": mlp_cost}
STUDY, WALL = "whole study", "longest run of each study, plus models of record"
WORKERS = {"tune": "NumPy workers", "ablations": "PyTorch workers"}
# A stage imports its code, and then do its workers, all at the same time.
IMPORTS = 2

Stages = dict[tuple[str, str], list[float]]  # (section, study): seconds of its runs, in the order in which they begin


def epochs_trained(reports: Path, section: str, study: str, training: Any, variant: str) -> float:
    """Epochs that a variant's runs really took, a mean over seeds; what is configured where no results are there."""
    table = reports / section / study / "runs.csv"
    if table.exists():
        with table.open(newline="", encoding="utf-8") as file:
            found = [float(line["epochs"]) for line in csv.DictReader(file) if line["variant"] == variant]
        if found:
            return statistics.fmean(found)
    return training.epochs or sum(phase.epochs for phase in training.stretches)


def stages_of(sections: Mapping[str, Mapping[str, Study]], rows: Iterable[Row], reports: Path) -> Stages:
    """Every study's runs, the longest first by the study's own estimate."""
    seconds = {(row.series, row.quantity): row.amount for row in rows if row.axis == "run"}
    stages: Stages = {}
    for section, studies in sections.items():
        for name in studies:
            tasks = sorted(
                own_tasks(studies, name), key=lambda task, by=COSTS[section]: by(task[0].training), reverse=True
            )
            stages[section, name] = [
                seconds[kind, "once"] + seconds[kind, "epoch"] * epochs
                for variant, _ in tasks
                for kind in [name_of(variant.training)]
                for epochs in [epochs_trained(reports, section, name, variant.training, variant.name)]
            ]
    return stages


def with_seeds(studies: Mapping[str, Study], count: int) -> dict[str, Study]:
    """The same studies with `count` seeds each, the same in all, so that what can be shared is."""
    seeds = list(range(1, count + 1))
    return {
        name: study.model_copy(
            update={
                "seeds": seeds,
                "variants": [variant.model_copy(update={"seeds": seeds}) for variant in study.variants],
            }
        )
        for name, study in studies.items()
    }


def study_seconds(stages: Stages, jobs: int, start_ups: Mapping[str, float]) -> float:
    """Of all studies one after the other, and the models of record."""
    starts = [IMPORTS * start_ups[section] for section, _ in stages]
    return one_after_another(stages.values(), jobs, starts) + sum(RECORD.values())


def wall_seconds(stages: Stages) -> float:
    """What no number of jobs can go below: the longest run of each study, and the models of record."""
    return sum(max(lengths) for lengths in stages.values()) + sum(RECORD.values())


def worker_rows(axis: str, value: int, jobs: int, stages: Stages, memory: Mapping[str, float]) -> list[Row]:
    """Memory of the workers of either engine: no study starts more of them than it has runs."""
    rows = []
    for section, name in WORKERS.items():
        most = max(len(lengths) for (where, _), lengths in stages.items() if where == section)
        rows.append(Row(axis, value, name, "memory", "MiB", min(jobs, most) * memory[section], SIMULATED))
    return rows


def simulate(params: Params, rows: list[Row], reports: Path = Path("reports")) -> list[Row]:
    """The rows of seeds and of jobs."""
    start_ups = {row.series: row.amount for row in rows if row.axis == "start-up"}
    memory = {row.series: row.amount for row in rows if row.axis == "worker" and row.quantity == "memory"}
    own = {section: getattr(params, section) for section in COSTS}
    result = []
    for count in SEEDS:
        stages = stages_of({name: with_seeds(studies, count) for name, studies in own.items()}, rows, reports)
        seconds = study_seconds(stages, CORES, start_ups)
        result.append(Row("seeds", count, STUDY, "time", "s", seconds, SIMULATED))
        result += worker_rows("seeds", count, CORES, stages, memory)
    stages = stages_of(own, rows, reports)
    for jobs in JOBS:
        result.append(Row("jobs", jobs, STUDY, "time", "s", study_seconds(stages, jobs, start_ups), SIMULATED))
        result.append(Row("jobs", jobs, WALL, "time", "s", wall_seconds(stages), SIMULATED))
        result += worker_rows("jobs", jobs, jobs, stages, memory)
    return result
