"""What the benchmark found, for people: one function for each table, from what goes into benchmark.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from tools.benchmark.epochs import COLUMNS, LIMITS, RIVALS
from tools.benchmark.limits import THREADS
from tools.benchmark.memory import LABELS
from tools.benchmark.tables import median, number, percent, table, with_range

Row = Mapping[str, Any]


def machine_lines(about: Row) -> str:
    """The machine, its libraries, and how busy it was."""
    versions = ", ".join(f"{name} {version or 'not installed'}" for name, version in about["versions"].items())
    return f"{about['processor']}, {about['cores']} cores, load {about['load']}\n{versions}"


def left_out_lines(reasons: Mapping[str, str]) -> list[str]:
    """One line for each thing that was not measured."""
    return [f"{what} is left out: {why}" for what, why in reasons.items()]


def limits_table(found: Row) -> str:
    """The rates of matrix products."""
    title = f"Limit: products of square matrices of {found['side']} rows, GFLOP/s, median (least to most)"
    rows = [[row["label"], *(with_range(row["gflops"][str(threads)]) for threads in THREADS)] for row in found["rows"]]
    return f"{title}\n" + table(["", *(f"threads: {threads}" for threads in THREADS)], rows)


def place(row: Row) -> list[str]:
    """Which network, at which mini-batch size."""
    return [f"{row['network']}, batch {row['batch_size']}"]


def timed(row: Row) -> str:
    """How much of an epoch was timed."""
    return "all" if row["steps_timed"] == row["steps"] else f"{row['steps_timed']:,} of {row['steps']:,}"


def epochs_tables(rows: Sequence[Row], left_out: Mapping[str, str]) -> str:
    """Seconds, ratios and shares of the limit."""
    seconds = table(
        ["", "steps timed", *COLUMNS.values()],
        [[*place(row), timed(row), *(median(row["seconds"][name]) for name in COLUMNS)] for row in rows],
    )
    times = table(
        ["", *(COLUMNS[name] for name in RIVALS)],
        [[*place(row), *(with_range(row["times_ours"][name]) for name in RIVALS)] for row in rows],
    )
    shares = table(
        ["", *(COLUMNS[name] for name in LIMITS)],
        [[*place(row), *(percent(row["share_of_limit"][name]) for name in LIMITS)] for row in rows],
    )
    return "\n".join(
        [
            "Seconds an epoch, median; one thread unless it says otherwise, the published way on all cores",
            "(the published way: float64, its evaluation included, so it is compared below, not here;",
            "where some steps were timed, the epoch is their time scaled up)",
            *left_out_lines({COLUMNS[name]: why for name, why in left_out.items()}),
            seconds,
            "",
            "Times as long as our NumPy network takes, median (least to most of the repeats)",
            times,
            "",
            "Share of the matrix-multiply limit of the same precision and threads, measured in the same turns",
            shares,
            "(more than 100%: the machine was busy with something else while that turn's limit was measured)",
        ]
    )


def published_table(rows: Sequence[Row]) -> str:
    """The published way beside ours, doing the same."""
    lines = [
        [
            *place(row),
            f"{row['images_timed']:,} of {row['images']:,}",
            f"{row['images_evaluated']:,}",
            with_range(row["seconds"]["ours"]),
            with_range(row["seconds"]["published"]),
            with_range(row["times_ours"]),
            percent(row["share_of_limit"]),
            f"{row['accuracy']['ours']:.4f}, {row['accuracy']['published']:.4f}",
        ]
        for row in rows
    ]
    headings = ["", "trained", "evaluated", "ours, s", "published, s", "times ours", "ours of limit", "accuracies"]
    return "Epoch and evaluation as published, float64, nothing scaled\n" + table(headings, lines)


def cnn_table(row: Row) -> str:
    """The convolutional network."""
    title = (
        f"{row['network']}, batch {row['batch_size']}, {row['precision']}, {row['threads']} threads,"
        f" {row['steps_timed']} steps timed"
    )
    rates = row["images_per_second"]
    line = ["images/s", with_range(rates["real"]), with_range(rates["bare"]), percent(row["share_of_bare"])]
    return f"{title}\n" + table(["", "training", "bare loop", "share"], [line])


def memory_table(peaks: Mapping[str, float | None]) -> str:
    """Peak memory of each child process."""
    return "Peak memory of a process of its own\n" + table(
        ["", "MiB"], [[LABELS[name], number(peak)] for name, peak in peaks.items()]
    )


def startup_table(seconds: Mapping[str, Row | None]) -> str:
    """Start-up of each node."""
    return "Start-up of each node (Python and its imports)\n" + table(
        ["", "seconds"], [[node, with_range(values)] for node, values in seconds.items()]
    )


def pipeline_table(row: Row) -> str:
    """The pipeline without training."""
    labels = {"preprocess": "preprocess fashion_mnist", "no_op_repro": "dvc repro with nothing to do"}
    return "Pipeline\n" + table(["", "seconds"], [[label, number(row[name])] for name, label in labels.items()])


def study_table(row: Row) -> str:
    """Two runs side by side."""
    title = f"Study: {number(row['runs'])} runs of one epoch, side by side (measured once)"
    seconds = row["seconds"]
    line = ["wall seconds", *(number(seconds[jobs]) for jobs in seconds), number(row["speed_up"])]
    return f"{title}\n" + table(["", *(f"jobs: {jobs}" for jobs in seconds), "speed-up"], [line])
