"""The benchmark: what it counts, what it compares, and that all of it runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.benchmark import epochs, memory, startup
from tools.benchmark.children import LeftOutError, output_of
from tools.benchmark.flops import forward_flops, product_flops, training_flops
from tools.benchmark.pipeline import would_run
from tools.benchmark.plan import CELLS, FULL, QUICK
from tools.benchmark.tables import percent, table, with_range
from tools.benchmark.timing import FEWEST_REPEATS, Contestant, ratios, spread, take_turns

ROOT = Path(__file__).parents[1]


def test_flops_of_a_worked_example():
    # 3-2-4, five images: forward 2·5·(3·2 + 2·4) = 140, weights 140, the hidden layer's error 2·5·(2·4) = 80.
    assert forward_flops([3, 2, 4], 5) == 140
    assert training_flops([3, 2, 4], 5) == 140 + 140 + 80
    assert product_flops(10) == 2000


def test_ratios_are_taken_within_a_repeat():
    values = ratios([4.0, 9.0, 40.0], [2.0, 3.0, 10.0])
    assert values == [2.0, 3.0, 4.0]
    assert spread(values) == {"median": 3.0, "least": 2.0, "most": 4.0, "repeats": values}
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])


def test_contestants_take_turns():
    calls: list[str] = []

    def contestant(name: str, seconds: float) -> Contestant:
        return Contestant(lambda: calls.append(name) or seconds)

    taken = take_turns({"a": contestant("a", 1.0), "b": contestant("b", 2.0)}, repeats=2, seconds=60.0)
    assert calls == ["a", "b", "a", "b"]
    assert taken == {"a": [1.0, 1.0], "b": [2.0, 2.0]}
    late = take_turns({"a": contestant("a", 1.0)}, repeats=9, seconds=0.0)
    assert len(late["a"]) == FEWEST_REPEATS


def test_tables():
    assert table(["", "GFLOP/s"], [["one", "5"], ["eleven", "1,234"]]) == (
        "        GFLOP/s\none           5\neleven    1,234"
    )
    assert with_range(spread([1234.0, 0.12345])) == "617 (0.123 to 1,234)"
    assert percent(spread([0.5, 0.25, 0.75])) == "50% (25% to 75%)"
    assert with_range(None) == percent(None) == "-"


def test_batches_and_networks_that_are_compared():
    assert [(cell.network, cell.batch_size) for cell in CELLS] == [
        *(("784-64-10", size) for size in (1, 8, 128, 1024)),
        *(("784-512-256-128-64-10", size) for size in (1, 8, 128, 1024)),
        ("3072-256-128-10", 128),
    ]
    assert len(QUICK.cells) == len(FULL.cells)


def test_what_dvc_would_run():
    assert not would_run("Stage 'download@cifar10' didn't change, skipping\nData and pipelines are up to date.\n")
    assert would_run("Running stage 'tune@lr':\n> python -m stages.tune lr\n")


def test_a_child_that_fails_is_left_out_with_its_last_words():
    assert output_of([sys.executable, "-c", "print(7)"]) == "7\n"
    with pytest.raises(LeftOutError, match=r"^no luck$"):
        output_of([sys.executable, "-c", "raise SystemExit('much\\nno luck')"])


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def test_quick_benchmark_fills_every_row_and_column(tmp_path: Path):
    output = tmp_path / "benchmark.json"
    command = [sys.executable, "-m", "tools.bench", "--quick", "--output", str(output)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(output.read_text(), parse_constant=refuse)
    rows = result["epochs"]
    assert [(row["network"], row["batch_size"]) for row in rows] == [(cell.network, cell.batch_size) for cell in CELLS]
    for cell, row in zip(CELLS, rows, strict=True):
        expected = {name for name in epochs.COLUMNS if name not in result["left_out"] and epochs.applies(name, cell)}
        assert set(row["seconds"]) == set(epochs.COLUMNS)
        assert {name for name, values in row["seconds"].items() if values} == expected
        assert {name for name, values in row["times_ours"].items() if values} == expected & set(epochs.RIVALS)
        assert {name for name, values in row["share_of_limit"].items() if values} == expected & set(epochs.LIMITS)
    assert [row["name"] for row in result["limits"]["rows"]] == [
        "numpy_float32",
        "numpy_float64",
        "torch_float32",
        "torch_bfloat16",
    ]
    assert len(result["published"]) == len(FULL.published_cells)
    assert all(row["accuracy"]["ours"] == row["accuracy"]["published"] for row in result["published"])
    assert result["cnn"]["share_of_bare"]["median"] > 0
    assert set(result["memory_mib"]) == set(memory.TRAININGS)
    assert set(result["startup_seconds"]) == set(startup.nodes())
    assert set(result["pipeline"]) == {"preprocess", "no_op_repro"}
    assert set(result["study"]["seconds"]) == {"1", "2"}
