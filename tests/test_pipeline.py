"""The whole pipeline by real `dvc` commands, on a miniature that all tests here share."""

import csv
import json
import re
import shutil
import subprocess
import sys
import time
from datetime import date

import pandas as pd
import psutil
import pytest
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml

from tests.project import DVC, RUNNING, THREADS, Project
from tests.test_own_images import write_pictures

DOWNLOADS, PREPARATIONS = [
    {f"{stage}@{name}" for name in ("fashion_mnist", "cifar10")} for stage in ("download", "preprocess")
]
SWEEPS = {"tune@published_learning_rate", "tune@learning_rate"}
MODELS = {f"train_torch@{name}" for name in ("published", "mlp", "cnn_small", "cnn_large")}
REPEATS = {name.replace("train", "repeat") for name in MODELS}
NUMPY, TORCH = {"train_numpy", "repeat_numpy", *SWEEPS}, MODELS | REPEATS | {"ablations@baseline"}
WITH_LR = {"train_numpy", "repeat_numpy", "train_torch@mlp", "repeat_torch@mlp"}
STUDY = "reports/tune/learning_rate"


@pytest.fixture(autouse=True)
def dvc_of_the_miniature(reproduced: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC's own files are kept with the miniature, also when DVC runs in this process."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(reproduced.home / "dvc"))


@pytest.fixture
def project(reproduced: Project, tmp_path) -> Project:
    """A copy of the reproduced miniature, which a test may change."""
    return reproduced.copy(tmp_path / "project")


def stale(project: Project) -> set[str]:
    """The stages that DVC would rerun, except those that become stale because others are rerun."""
    with Repo(project.folder) as repo:
        return {name.rpartition(":")[2] for name in repo.status()}


def test_repro_creates_every_declared_output(reproduced):
    with Repo(reproduced.folder) as repo:
        stages = {stage.name: stage for stage in repo.index.stages}
    assert set(stages) == {"check", *DOWNLOADS, *PREPARATIONS, *NUMPY, *TORCH, "report"}
    assert [out.fs_path for stage in stages.values() for out in stage.outs if not out.exists] == []


def test_a_second_repro_runs_nothing(reproduced):
    before = reproduced.outputs()
    assert RUNNING.findall(reproduced.dvc("repro")) == []
    assert reproduced.outputs() == before


def test_results_are_strict_and_hold_no_dates(reproduced):
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    for name, content in reproduced.outputs("reports").items():
        if name.endswith(".json"):
            json.loads(content, parse_constant=refuse)
        if name.endswith(".csv"):
            assert not re.search(rb"(?im)(^|,)-?(nan|inf)(,|$)", content), name
        assert f"{date.today():%Y-%m-%d}".encode() not in content, name


def test_a_diverged_run_is_recorded_and_is_no_error(reproduced):
    metrics = json.loads(reproduced.outputs(STUDY)[f"{STUDY}/metrics.json"])
    assert {name: figures["diverged"] for name, figures in metrics.items()} == {"0.2": 0, "1000000.0": 6}


def test_an_experiment_reruns_what_it_changes_and_is_compared(project):
    old = project.outputs("reports")
    output = project.dvc("exp", "run", "--name", "trial", "-S", "lr=0.01")
    assert set(RUNNING.findall(output)) == {"check", *WITH_LR, "report"}
    assert project.succeed("git", "diff", "--numstat", "params.yaml").split() == ["1", "1", "params.yaml"]
    new = project.outputs("reports")
    changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    assert {"reports/train_numpy/history.csv", "reports/train_torch/mlp/history.csv", "reports/report.md"} <= changed
    assert not any(name.startswith(("reports/tune/", "reports/ablations/", "reports/data/")) for name in changed)
    params = json.loads(project.dvc("params", "diff", "--json", "HEAD", "trial"))
    assert params["params.yaml"] == {"lr": {"old": 0.0015, "new": 0.01, "diff": pytest.approx(0.0085)}}
    metrics = json.loads(project.dvc("metrics", "diff", "--json", "HEAD", "trial"))
    losses = metrics["reports/train_numpy/metrics.json"]["validation_loss"]
    assert losses["old"] != losses["new"]
    project.dvc("plots", "diff", "HEAD", "trial")
    page = (project.folder / "dvc_plots/index.html").read_text(encoding="utf-8")
    for files in (old, new):
        (loss,) = re.findall(r"^1,[^,]+,([^,]+),", files["reports/train_numpy/history.csv"].decode(), re.MULTILINE)
        assert loss in page


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("stages/numpy_net/__init__.py", NUMPY),
        ("stages/torch_net/__init__.py", TORCH),
        ("stages/training/__init__.py", PREPARATIONS | NUMPY | TORCH | {"report"}),
        ("stages/datasets/__init__.py", DOWNLOADS | PREPARATIONS),
        ("stages/verdicts/__init__.py", {"report"}),
        ("stages/reporting/__init__.py", {"report"}),
        ("data/published/claims.yaml", {"report"}),
        ("stages/params.py", {"check"}),
    ],
)
def test_an_edited_file_makes_its_users_stale(project, file, expected):
    project.append(file, "# edited\n")
    assert stale(project) == expected


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("seed=7", {"train_numpy", "report"} | MODELS),
        ("lr=0.2", {*WITH_LR, "report"}),
        ("batch_size=64", {*WITH_LR, "report"}),
        ("threads=2", MODELS | {"report"}),
        ("seeds=3", SWEEPS | {"ablations@baseline", "report"}),
        ("repeats=2", {"repeat_numpy", *REPEATS, "report"}),
        ("arithmetic=native", NUMPY | {"ablations@baseline", "report"}),
        ("data.cifar10.edition=original", {"download@cifar10", "preprocess@cifar10", "report"}),
        ("numpy_defaults.shift=1", NUMPY | {"report"}),
        ("train_torch.cnn_large.shift=1", {"train_torch@cnn_large", "repeat_torch@cnn_large", "report"}),
        ("tune.learning_rate.seeds=7", {"tune@learning_rate", "report"}),
        ("ablations.baseline.variants.2.phases.0.lr=0.2", {"ablations@baseline", "report"}),
    ],
)
def test_a_changed_parameter_makes_its_users_stale(project, setting, expected):
    apply_overrides(project.folder / "params.yaml", [setting])
    assert stale(project) == expected | {"check"}


def test_the_same_data_from_other_code_trains_nothing(project):
    project.append("stages/datasets/__init__.py", "# edited\n")
    assert set(RUNNING.findall(project.dvc("repro"))) == DOWNLOADS | PREPARATIONS


@pytest.mark.parametrize(("stage", "study"), [("tune", "published_learning_rate"), ("ablations", "baseline")])
def test_a_study_is_byte_identical_with_more_jobs_and_threads(project, stage, study):
    # The run cache has all digits. With MKL_NUM_THREADS=2, PyTorch's products once differed.
    before = project.outputs(f"reports/{stage}/{study}") | project.outputs("data/runs")
    shutil.rmtree(project.folder / "data/runs")
    shutil.rmtree(project.folder / f"reports/{stage}/{study}")
    project.succeed(sys.executable, "-m", f"stages.{stage}", study, STUDY_JOBS="2", **dict.fromkeys(THREADS, "2"))
    after = project.outputs(f"reports/{stage}/{study}") | project.outputs("data/runs")
    assert len(after) > 3
    assert after.items() <= before.items()


def test_a_final_model_with_its_own_seed_again_is_the_same_model(project):
    apply_overrides(project.folder / "params.yaml", ["first_seed=42"])
    project.succeed(sys.executable, "-m", "stages.repeat_numpy")
    project.succeed(sys.executable, "-m", "stages.repeat_torch", "mlp", "cnn_small")
    for model, name in (("train_numpy", "numpy"), ("train_torch/mlp", "mlp"), ("train_torch/cnn_small", "cnn_small")):
        first = pd.read_csv(project.folder / f"reports/{model}/history.csv")
        again = pd.read_csv(project.folder / f"reports/repeats/{name}/history.csv")
        assert again["seed"].unique().tolist() == [42]
        pd.testing.assert_frame_equal(again[list(first)], first)


def test_make_repro_trains_side_by_side_to_the_same_bytes(project):
    before = project.outputs()
    for folder in ("data/runs", "data/models", "reports/tune", "reports/ablations", "reports/repeats"):
        shutil.rmtree(project.folder / folder)
    output = project.succeed(sys.executable, "-m", "tools.repro", STUDY_JOBS="5")
    assert set(RUNNING.findall(output)) == {"train_numpy", *MODELS}
    assert "tune, 2 studies: " in output
    assert project.outputs() == before
    assert "Running" not in project.succeed(sys.executable, "-m", "tools.repro")


def cached_runs(project: Project) -> int:
    return len(list((project.folder / "data/runs").glob("*.json")))


def interrupt(project: Project, *victims: str, jobs: str) -> str:
    """Start `dvc repro` of the study; kill the victims as soon as another run is finished. Returns the output."""
    before, deadline = cached_runs(project), time.monotonic() + 120
    process = subprocess.Popen(
        [*DVC, "repro", "tune@learning_rate"],
        cwd=project.folder,
        env=project.environment() | {"STUDY_JOBS": jobs},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    while cached_runs(project) == before:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    dvc = psutil.Process(process.pid)
    family = [dvc, *dvc.children(recursive=True)]
    for target in [next(each for each in family if victim in each.cmdline()) for victim in victims]:
        target.kill()
    output, _ = process.communicate(timeout=120)  # a worker that is killed while it fetches a task blocks for 60
    assert process.returncode != 0, output
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
    return output


def test_after_each_interruption_the_next_repro_completes_with_the_same_bytes(project):
    before = project.outputs()
    shutil.rmtree(project.folder / "data/runs")
    shutil.rmtree(project.folder / STUDY)
    output = interrupt(project, "--multiprocessing-fork", jobs="2")  # a worker
    assert len(re.findall("^error: ", output, re.MULTILINE)) == 1
    assert re.search(r"^error: tune learning_rate: the run of variant [0-9.]+ with seed 10\d ", output, re.MULTILINE)
    assert "Traceback" not in output
    interrupt(project, "stages.tune", jobs="1")
    output = interrupt(project, "dvc", jobs="1")  # its stage finishes
    (found,) = re.findall(r"(\d+) of 12 runs are in the run cache", output)
    assert 2 <= int(found) < 12
    assert RUNNING.findall(project.dvc("repro")) == []
    assert project.outputs() == before


def test_an_error_in_params_is_one_line_and_deletes_nothing(project):
    before = project.outputs()
    apply_overrides(project.folder / "params.yaml", ["lr=-1"])
    done = project.run(*DVC, "repro")
    assert done.returncode != 0
    assert re.findall("^error: .*", done.stdout, re.MULTILINE) == [
        "error: params.yaml: lr = -1: should be greater than 0"
    ]
    assert "Traceback" not in done.stdout
    assert project.outputs() == before


def test_too_few_threads_for_a_final_model_is_one_line_and_writes_nothing(project):
    apply_overrides(project.folder / "params.yaml", ["threads=2"])
    before = project.outputs()
    done = project.run(sys.executable, "-m", "stages.train_torch", "mlp", OMP_THREAD_LIMIT="1")
    assert done.returncode == 1
    assert done.stdout.startswith("error: OMP_THREAD_LIMIT = 1: 2 threads are needed")
    assert done.stdout.count("\n") == 1
    assert project.outputs() == before


def test_images_of_ones_own_run_through_the_whole_study(project):
    folder = project.home / "flowers"
    write_pictures(folder, sizes=((24, 26), (30, 24)))
    with modify_yaml(project.folder / "params.yaml") as params:
        params["data"]["flowers"] = {"source": str(folder), "edition": "own", "size": [24, 24], "test_share": 0.3}
        params["data"]["flowers"] |= {"validation_images": 4, "split_seed": 1}
        for section in (params["numpy_defaults"], params["torch_defaults"], *params["train_torch"].values()):
            section["dataset"] = "flowers"
    project.dvc("repro")
    report = (project.folder / "reports/report.md").read_text(encoding="utf-8")
    for half, published in (("NumPy", "Fashion-MNIST"), ("PyTorch", "CIFAR-10")):
        sentence = (
            f"The {half} networks here were trained on flowers, so no number published for {published} is compared."
        )
        assert sentence in report
    for model in ("train_numpy", "train_torch/mlp", "train_torch/cnn_large"):
        classes = (project.folder / f"reports/{model}/classes.csv").read_text().splitlines()[1:]
        assert [line.partition(",")[0] for line in classes] == ["daisy", "rose", "tulip"]
        assert sum(int(line.rpartition(",")[2]) for line in classes) == 6
    facts = json.loads((project.folder / "reports/data/flowers.json").read_text())
    assert facts["class_balance"]["validation"] == {"daisy": 2, "rose": 1, "tulip": 1}
    (folder / "train/rose/0.png").unlink()
    assert "download@flowers" in stale(project)


OWN_ACTIVATION = '''def squared_relu(z: np.ndarray) -> np.ndarray:
    """max(z, 0)²."""
    return np.maximum(z, 0) ** 2


def squared_relu_derivative(z: np.ndarray, a: np.ndarray) -> np.ndarray:
    """2 max(z, 0)."""
    return 2 * np.maximum(z, 0)


ACTIVATIONS = {
    "squared_relu": (squared_relu, squared_relu_derivative),
'''
OWN_OPTIMISER = '''class SignSgd(Sgd):
    """θ ← θ - lr sign(g)."""

    def step(self, parameters: np.ndarray, gradient: np.ndarray, lr: float) -> None:
        """One update."""
        parameters -= lr * np.sign(gradient)


OPTIMISERS = {
    "sign_sgd": SignSgd,
'''
OWN_CLAIM = """
- id: N99
  study: numpy/learning_rate
  claim: The own network learns more than chance.
  rule:
    comparisons:
    - {quantity: last_accuracy, left: sign_sgd, is: above, bound: -0.1}
    runs:
    - {name: own, study: own}
"""


def test_own_parts_are_added_as_the_readme_says(project):
    def replace(name: str, old: str, new: str) -> None:
        path = project.folder / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        path.write_text(text.replace(old, new), encoding="utf-8")

    replace("stages/numpy_net/activations.py", "ACTIVATIONS = {\n", OWN_ACTIVATION)
    replace("stages/numpy_net/optimisers.py", "OPTIMISERS = {\n", OWN_OPTIMISER)
    replace("stages/torch_net/optimisers.py", '    "sgd": partial', '    "adamax": optim.Adamax,\n    "sgd": partial')
    replace("stages/params.py", 'Activation = Literal["relu"', 'Activation = Literal["squared_relu", "relu"')
    replace(
        "stages/params.py",
        'optimiser: Literal["sgd", "momentum", "nesterov", "adagrad"',
        'optimiser: Literal["sign_sgd", "sgd", "momentum", "nesterov", "adagrad"',
    )
    replace(
        "stages/params.py",
        'optimiser: Literal["sgd", "momentum", "nesterov", "adam"',
        'optimiser: Literal["adamax", "sgd", "momentum", "nesterov", "adam"',
    )
    project.append("data/published/claims.yaml", OWN_CLAIM)
    own = {"settings": {"architecture": "auto-16-auto squared_relu"}}
    with modify_yaml(project.folder / "params.yaml") as params:
        params["tune"]["own"] = {
            **own,
            "variants": [{"optimiser": "sgd"}, {"name": "sign_sgd", "optimiser": "sign_sgd", "lr": 0.001}],
        }
        params["train_torch"]["mlp"]["optimiser"] = "adamax"
    ran = RUNNING.findall(project.dvc("repro", "tune@own", "train_torch@mlp"))
    assert {"tune@own", "train_torch@mlp"} <= set(ran)
    project.dvc("repro", "--single-item", "report")
    runs = (project.folder / "reports/tune/own/runs.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in runs] == ["variant", "sgd", "sgd", "sign_sgd", "sign_sgd"]
    with (project.folder / "reports/verdicts/claims.csv").open(newline="") as file:
        claims = {row["claim"]: row for row in csv.DictReader(file)}
    assert claims["N99"]["text"] == "The own network learns more than chance."
    assert claims["N99"]["verdict"] == "undecided"  # two seeds are too few
    assert "Own" in (project.folder / "reports/appendix.md").read_text(encoding="utf-8")
