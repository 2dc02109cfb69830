"""How the study grows: the simulation of its schedule, and the figure from its table."""

from pathlib import Path

import pytest
from PIL import Image

from stages.common.params import load_params
from tools.growth.drawing import draw
from tools.growth.kinds import kind_of, name_of
from tools.growth.rows import MEASURED, SIMULATED, Row, read, write
from tools.growth.scheduling import makespan, one_after_another
from tools.growth.simulation import RECORD, STUDY, WALL, simulate, stages_of, with_seeds
from tools.growth.timing import kinds

ROWS = [
    Row("images", 6250, "NumPy 784-64-10", "time", "s", 0.0625, MEASURED),
    Row("images", 50000, "NumPy 784-64-10", "time", "s", 0.5, MEASURED),
    Row("images", 50000, "NumPy 784-64-10", "memory", "MiB", 300, MEASURED),
    Row("jobs", 1, STUDY, "time", "s", 9000, SIMULATED),
    Row("jobs", 2, STUDY, "time", "s", 5000, SIMULATED),
    Row("jobs", 2, STUDY, "time", "s", 5100, MEASURED),
    Row("jobs", 1, WALL, "time", "s", 2000, SIMULATED),
    Row("machine", 1, "this machine", "memory", "MiB", 24576, MEASURED),
]


@pytest.mark.parametrize(
    ("lengths", "jobs", "expected"),
    [
        # One worker has 3, 2, 2 (done at 3, 5, 7), the other 3, 2 (done at 3, 5).
        ([3, 3, 2, 2, 2], 2, 7),
        # The longest last: 2, 2, 3 (done at 2, 4, 7) and 2, 3 (done at 2, 5).
        ([2, 2, 2, 3, 3], 2, 7),
        # The longest last makes a worker wait: 1, 4 (done at 1, 5) and 1 (done at 1).
        ([1, 1, 4], 2, 5),
        ([4, 1, 1], 2, 4),
        ([3, 3, 2, 2, 2], 1, 12),
        ([3, 3, 2, 2, 2], 5, 3),
        ([3, 2], 128, 3),
    ],
)
def test_each_run_goes_to_the_first_free_worker(lengths: list[float], jobs: int, expected: float) -> None:
    assert makespan(lengths, jobs) == expected


def test_a_stage_begins_when_the_one_before_has_ended() -> None:
    # 4 and 2 seconds on two jobs, each after its start-up; side by side all five would take 5.
    assert one_after_another([[4, 1, 1], [2, 2]], 2, [0.5, 0.25]) == 6.75


def test_runs_of_a_kind_differ_in_nothing_that_takes_time() -> None:
    one, other, *_ = load_params().tune["learning_rate"].variants
    assert name_of(one.training) == name_of(other.training)
    assert kind_of(one.training) == kind_of(other.training)
    params = load_params()
    for section in ("tune", "ablations"):
        assert all(name_of(kind) == name for name, kind in kinds(params, section).items())


def test_seeds_and_jobs_are_simulated_from_kinds_of_run(tmp_path: Path) -> None:
    params = load_params()
    rows = [
        Row("run", kind.batch_size, name, quantity, "s", 1.0, MEASURED)
        for section in ("tune", "ablations")
        for name, kind in kinds(params, section).items()
        for quantity in ("once", "epoch")
    ]
    studies = with_seeds({"clipping": params.tune["clipping"]}, 2)
    # Six variants with two seeds; no results in the folder, so the 30 epochs that are configured.
    assert stages_of({"tune": studies}, rows, tmp_path) == {("tune", "clipping"): [31.0] * 12}
    for section in ("tune", "ablations"):
        rows.append(Row("start-up", 1, section, "time", "s", 0.5, MEASURED))
        rows.append(Row("worker", 1, section, "memory", "MiB", 100, MEASURED))
    found = {(row.axis, row.value, row.series): row.amount for row in simulate(params, rows, tmp_path)}
    times = [found["jobs", jobs, STUDY] for jobs in (1, 2, 4, 8, 16, 32, 64, 128)]
    assert times == sorted(times, reverse=True)
    stages = len(params.tune) + len(params.ablations)
    # With more jobs than any study has runs, only the wall and the start-ups are left.
    assert times[-1] == pytest.approx(found["jobs", 128, WALL] + stages * 2 * 0.5)
    assert found["jobs", 1, WALL] > sum(RECORD.values())
    assert found["jobs", 4, "NumPy workers"] == 400


def test_the_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    write(ROWS, tmp_path / "growth.csv")
    assert read(tmp_path / "growth.csv") == ROWS


def test_the_figure_is_drawn_from_the_table(tmp_path: Path) -> None:
    draw(ROWS, tmp_path / "growth.png")
    with Image.open(tmp_path / "growth.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (1500, 780)
    assert (tmp_path / "growth.png").stat().st_size < 300_000
