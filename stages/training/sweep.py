"""Studies from their variants and seeds to their files: what tune and ablations have in common."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from stages.errors import StudyError
from stages.params import Study
from stages.training.pool import RunFailed, Train, train_here
from stages.training.progress import Progress
from stages.training.results import Run, write_study
from stages.training.run_cache import RunCache, Task


def train_studies(
    kind: str,
    train: Train,
    data: Mapping[str, Path],
    studies: Mapping[str, Study],
    cost: Callable[[BaseModel], float],
    folder: Path,
) -> None:
    """Train all variants of the `studies` with all seeds, each on its prepared `data`; write each to folder/its name.

    Runs in the run cache are not trained again, and equal runs only once. The longest begin first, by `cost` of their
    configuration, so that no core is idle while the last run is trained.
    """
    cache = RunCache()
    tasks = {
        (study, variant, seed): Task(seed, training, data[study])
        for study in studies
        for variant, training in studies[study].trainings.items()
        for seed in studies[study].seeds
    }
    runs = {cache.path(task): cache.get(task) for task in tasks.values()}  # by its file, which names its content
    missing = {cache.path(task): task for task in tasks.values() if runs[cache.path(task)] is None}
    waiting = sorted(missing.values(), key=lambda task: cost(task.training), reverse=True)
    label = f"{kind} {next(iter(studies))}" if len(studies) == 1 else f"{kind}, {len(studies)} studies"
    if found := len(runs) - len(waiting):
        print(f"{label}: {found} of {len(runs)} runs are in the run cache", file=sys.stderr)
    with Progress(label, len(runs), "runs") as progress:
        progress.advance(found)
        try:
            for index, run in train_all(train, waiting):
                runs[cache.path(waiting[index])] = run
                cache.put(waiting[index], run)
                progress.advance()
        except RunFailed as failure:
            study, variant, seed = next(names for names, task in tasks.items() if task == waiting[failure.index])
            raise StudyError(
                f"{kind} {study}: the run of variant {variant} with seed {seed} {failure.reason}; finished runs are "
                "kept: run it again, with fewer at once (STUDY_JOBS=1; dask worker --nworkers 1) if memory is short"
            ) from failure
    for study in studies:
        mine = {key[1:]: runs[cache.path(task)] for key, task in tasks.items() if key[0] == study}
        write_study(folder / study, mine)


def train_all(train: Train, tasks: Sequence[Task]) -> Iterator[tuple[int, Run]]:
    """`pool.train_here`, or the same on the Dask cluster that `STUDY_SCHEDULER` names."""
    address = os.environ.get("STUDY_SCHEDULER")
    if address and tasks:
        from stages.training.dask_cluster import train_on_cluster  # half a second's import

        return train_on_cluster(address, train, tasks)
    return train_here(train, tasks)
