"""A network as it trains: progress on the terminal, and DVCLive's curves for `dvc plots show` and VS Code's extension."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.training.progress import Progress

FOLDER = Path("live")


@contextmanager
def epoch_display(name: str, epochs: int) -> Iterator[Callable[[dict[str, float]], None]]:
    """A function that shows the row of each epoch; the curves, in live/NAME/, are removed once the training ends well."""
    from dvclive import Live  # it imports DVC, which takes a second

    folder = FOLDER / name
    with (
        Progress(f"train {name}", epochs, "epochs") as progress,
        Live(str(folder), save_dvc_exp=False, dvcyaml=str(folder / "dvc.yaml")) as live,
    ):

        def show_epoch(row: dict[str, float]) -> None:
            progress.advance(note=f"loss {row['loss']:.4f} accuracy {row['accuracy']:.4f}")
            live.step = row["epoch"]
            for quantity, value in row.items():
                if quantity != "epoch":
                    live.log_metric(quantity, value)
            live.next_step()

        yield show_epoch
    shutil.rmtree(folder)
