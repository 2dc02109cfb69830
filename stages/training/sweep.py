"""A study from its tasks to its three files: what tune and ablations share."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from stages.errors import StudyError
from stages.training.pool import RunFailed, Train, train_here
from stages.training.progress import Progress
from stages.training.results import Run, write_study
from stages.training.run_cache import RunCache, Task


def shared_variants(studies: Mapping[str, Any], name: str) -> dict[str, str]:
    """Those variants of study `name` that the study it `shares` with trains, with their names there.

    `studies`: the studies (`stages.params.Study`) of one section. Variants are compared by settings and seeds.
    """
    study = studies[name]
    if study.shares == name:
        return {}
    found = {variant.name: studies[study.shares].duplicate(variant) for variant in study.variants}
    return {own: other.name for own, other in found.items() if other is not None}


def own_tasks(studies: Mapping[str, Any], name: str) -> list[Task]:
    """What study `name` trains itself: every variant that is not shared, with every seed."""
    shared = shared_variants(studies, name)
    tasks = [Task(variant.name, seed, variant.training) for variant, seed in studies[name].tasks]
    return [task for task in tasks if task.variant not in shared]


def train_study(
    label: str,
    train: Train,
    data: Path,
    tasks: Sequence[Task],
    cost: Callable[[BaseModel], float],
    folder: Path,
) -> None:
    """Train all `tasks` on the prepared `data`; write the three files of the study into `folder`.

    Runs in the run cache are not trained again. The longest begin first, by `cost` of their configuration, so that no
    core is idle while the last run is trained.
    """
    cache = RunCache(data)
    runs = [cache.get(task) for task in tasks]
    missing = [index for index, run in enumerate(runs) if run is None]
    missing.sort(key=lambda index: cost(tasks[index].training), reverse=True)
    if found := len(tasks) - len(missing):
        print(f"{label}: {found} of {len(tasks)} runs are in the run cache", file=sys.stderr)
    with Progress(label, len(tasks), "runs") as progress:
        progress.advance(found)
        try:
            for position, run in train_all(train, data, [tasks[index] for index in missing]):
                runs[missing[position]] = run
                cache.put(tasks[missing[position]], run)
                progress.advance()
        except RunFailed as failure:
            task = tasks[missing[failure.index]]
            raise StudyError(
                f"{label}: the run of variant {task.variant} with seed {task.seed} {failure.reason}; finished runs are "
                "kept: run it again, with fewer at once (STUDY_JOBS=1; dask worker --nworkers 1) if memory is short"
            ) from failure
    write_study(folder, runs)


def train_all(train: Train, data: Path, tasks: Sequence[Task]) -> Iterator[tuple[int, Run]]:
    """`pool.train_here`, or the same on the Dask cluster that `STUDY_SCHEDULER` names."""
    address = os.environ.get("STUDY_SCHEDULER")
    if address and tasks:
        from stages.training.dask_cluster import train_on_cluster  # half a second's import

        return train_on_cluster(address, train, data, tasks)
    return train_here(train, data, tasks)
