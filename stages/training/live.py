"""A final model while it trains: its progress, and its curves and metrics for `dvc plots show` and `dvc exp show`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stages.training.files import write_csv
from stages.training.progress import Progress
from stages.training.results import epochs_table


@contextmanager
def epoch_display(label: str, epochs: int, folder: Path, split: str) -> Iterator[Callable[[dict[str, float]], None]]:
    """A function that takes the row of each epoch and updates the model's history.csv and metrics.json."""
    from dvclive import Live  # it imports DVC, which takes a second

    rows: list[dict[str, float]] = []
    live: Live | None = None
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(label, epochs, "epochs"))

        def show_epoch(row: dict[str, float]) -> None:
            nonlocal live
            if not rows:  # not before, as a training that is refused writes nothing
                live = stack.enter_context(Live(str(folder), save_dvc_exp=False, dvcyaml=None))
            rows.append(row)
            progress.advance(note=f"loss {row['loss']:.4f} accuracy {row['accuracy']:.4f}")
            write_csv(folder / "history.csv", epochs_table(rows, split))
            for quantity in ("accuracy", "loss"):
                live.log_metric(f"{split}_{quantity}", row[quantity], plot=False)
            live.step = row["epoch"]
            live.next_step()  # writes metrics.json, and signals VS Code's extension

        yield show_epoch
