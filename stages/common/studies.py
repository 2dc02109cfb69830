"""A study from its runs to its three files: what tune and ablations share, whatever trains."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from stages.common.errors import StudyError
from stages.common.parallel import as_done
from stages.common.params import Training, Variant
from stages.common.progress import Progress
from stages.common.runs import Run, write_study
from stages.common.unfinished import Unfinished
from stages.common.workers import LostRunError

Task = tuple[Variant, int]  # and a seed


def train_study(
    label: str,
    one_run: Callable[[Path, Task], Run],
    data: Path,
    tasks: Sequence[Task],
    cost: Callable[[Training], float],
    folder: Path,
) -> None:
    """Train all `tasks` on the prepared `data` by `one_run`; write the three files of the study into `folder`.

    The longest go first, by `cost`, so that no core is left waiting for one that began last. Runs that were finished
    before the study was broken off are not trained again.
    """
    if not tasks:
        raise StudyError(
            f"{label}: all of its variants are trained by the study that it shares with; add one that isn't"
        )
    unfinished = Unfinished(label, data)
    runs = [unfinished.find(*task) for task in tasks]
    waiting = [number for number, run in enumerate(runs) if run is None]
    waiting.sort(key=lambda number: cost(tasks[number][0].training), reverse=True)
    found = len(tasks) - len(waiting)
    if found:
        print(f"{label}: {found} of {len(tasks)} runs are kept from when it was broken off", file=sys.stderr)
    with Progress(label, len(tasks), "runs") as progress:
        progress.advance(found)
        try:
            for place, run in as_done(one_run, data, [tasks[number] for number in waiting]):
                runs[waiting[place]] = run
                unfinished.keep(*tasks[waiting[place]], run)
                progress.advance()
        except LostRunError as lost:
            variant, seed = tasks[waiting[lost.number]]
            raise StudyError(
                f"{label}: the run of variant {variant.name} with seed {seed} {lost.reason}; finished runs are kept: "
                "run it again, with fewer at once (STUDY_JOBS=1; dask worker --nworkers 1) where memory is short"
            ) from lost
    write_study(folder, runs)
    unfinished.forget()
