"""tools/, the Makefile, requirements and workflows."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from dvc.repo import Repo
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stages.errors import exit_on_error
from stages.params import load_params
from tools import bench, check, repro

ROOT = Path(__file__).parents[1]
SOURCES = [path for top in ("stages", "tools", "tests") for path in sorted((ROOT / top).rglob("*.py"))]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # DVC, called from Python

# check.py, on a pipeline of two stages

FILES = {
    "stages/__init__.py": "",
    "stages/first.py": "from stages.library import text\nopen('data', 'w').write(text.TEXT)\n",
    "stages/library/__init__.py": "",
    "stages/library/text.py": "from stages.errors import NOTHING\nTEXT = 'x'\n",
    "stages/errors.py": "NOTHING = None\n",
    "stages/second.py": "open('result', 'w').write(open('data').read())\n",
    "params.yaml": "lr: 0.1\nlayers:\n- units: 10\n",
    "dvc.yaml": """stages:
  first: {cmd: python -m stages.first, deps: [stages/first.py, stages/library], params: [lr], outs: [data]}
  second: {cmd: python -m stages.second, deps: [stages/second.py, data], outs: [{result: {cache: false}}]}
""",
}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline") / "project"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    shutil.copy(ROOT / ".dvcignore", folder)
    for command in (["init", "--quiet", "--no-scm"], ["repro", "--quiet"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("stages/second.py", "w", "a", "second is out of date"),
        ("stages/library/text.py", "x", "y", "first is out of date"),
        ("params.yaml", "lr: 0.1", "lr: 0.2", "first is out of date"),
        ("params.yaml", "layers", "train_torch:\n  mlp2: {}\nlayers", "train_torch.mlp2 is in params.yaml only"),
        ("result", "x", "y", "second is out of date"),
        ("result", None, None, "second: result does not exist"),
        ("stages/library/__init__.py", None, None, "stages/library/__init__.py is missing"),
        ("stages/library/new.py", "", "import stages.second", "first: add stages/second.py to its deps"),
        ("dvc.yaml", ", stages/library", "", "first: add stages/library to its deps"),
        ("dvc.yaml", ", data]", ", data, stages/library]", "second: remove stages/library from its deps"),
        ("dvc.yaml", "-m stages.second", "stages/second.py", "second: `python stages/second.py` runs no stage"),
        ("dvc.yaml", "second:", "third:", "second is in dvc.lock but not in dvc.yaml"),
        ("dvc.yaml", "second:", "third:", "third: result is not in dvc.lock"),
        ("dvc.yaml", "stages:\n", "stages: [\n", "unable to read: 'dvc.yaml'"),
        ("params.yaml", "lr: 0.1", "lr: 0.1\nname: 'x'", "params.yaml:2: write `name: x` for `name: 'x'`"),
        ("params.yaml", "lr: 0.1", "lr: 0.1\ntune:\n  own: {}", "tune@own has no plot"),
        ("params.yaml", "- units: 10", "- {units: 10}", "params.yaml:3: write `- units: 10` for `- {units: 10}`"),
    ],
)
def test_check_finds_the_problem(pipeline, tmp_path, monkeypatch, file, old, new, problem) -> None:
    folder = Path(shutil.copytree(pipeline, tmp_path / "project"))
    monkeypatch.chdir(folder)
    path = folder / file
    text = path.read_text() if path.exists() else ""
    path.unlink() if old is None else path.write_text(text.replace(old, new, 1))
    assert any(found.startswith(problem) for found in check.problems()), check.problems()


def test_check_finds_nothing_with_and_without_data(pipeline, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(shutil.copytree(pipeline, tmp_path / "project"))
    assert check.problems() == []
    Path("data").unlink()
    shutil.rmtree(".dvc/cache")
    assert check.problems() == []
    Path("stages/second.py").write_text("pass")
    assert [found[:21] for found in check.problems()] == ["second is out of date"]


# repro.py, with a script instead of DVC

STAND_IN = """
import sys
print(*sys.argv[1:], file=open("calls", "a"))
if "download@cifar10" in sys.argv:
    sys.exit({answer!r})
"""


@pytest.mark.parametrize(
    ("answer", "calls", "dataset"),
    [
        (
            "error: no source has cifar10 (jpeg edition); put",
            ["download@cifar10", "preprocess@fashion_mnist", "report"],
            "fashion_mnist",
        ),
        ("error: cannot download cifar10 (jpeg edition) now: x", ["download@cifar10"], "cifar10"),
        ("error: data/raw: no space left", ["download@cifar10"], "cifar10"),
        (0, ["download@cifar10", "preprocess@fashion_mnist", ""], "cifar10"),
    ],
)
def test_repro_replaces_cifar10_only_where_no_source_has_it(
    tmp_path, monkeypatch, capsys, answer, calls, dataset
) -> None:
    monkeypatch.chdir(tmp_path)
    before = Path(shutil.copy(ROOT / "params.yaml", tmp_path)).read_text()
    monkeypatch.setattr(repro, "DVC_REPRO", [sys.executable, "-c", STAND_IN.format(answer=answer)])
    monkeypatch.setattr(repro.signal, "signal", lambda *_: None)  # leave Ctrl-C to pytest
    monkeypatch.setattr("stages.errors.signal.signal", lambda *_: None)
    stale = {"preprocess@fashion_mnist": [], "report": []}
    monkeypatch.setattr(repro, "Repo", lambda: SimpleNamespace(status=lambda *_, **__: stale))
    monkeypatch.setattr(sys, "argv", ["repro"])
    with nullcontext() if len(calls) == 3 else pytest.raises(SystemExit, match=r"[^0]"):
        exit_on_error(repro.main)
    if "cannot download" in str(answer):
        assert capsys.readouterr().err == f"{answer}, {repro.WITHOUT}\n"
    assert Path("calls").read_text().splitlines() == calls
    after = Path("params.yaml").read_text()
    assert after == before.replace("dataset: cifar10", f"dataset: {dataset}")
    assert load_params().torch_dataset == dataset


def test_repro_waits_for_another_command(pipeline, tmp_path) -> None:
    folder = shutil.copytree(pipeline, tmp_path / "project")
    with Repo(folder) as repo:
        with repo.lock:
            process = subprocess.Popen([*repro.DVC_REPRO, "--quiet"], cwd=folder)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(5)  # by default, DVC gives up after three seconds
        assert process.wait(30) == 0


# bench.py


def test_operations_of_a_worked_example() -> None:
    # 3-2-4, five images: forward 2·5·(3·2 + 2·4) = 140, weights 140, errors of the hidden layer 2·5·(2·4) = 80.
    assert bench.training_flops([3, 2, 4], 5) == 140 + 140 + 80


def test_implementations_take_turns() -> None:
    calls: list[str] = []
    timers = {name: (lambda name=name: calls.append(name) or 1.0, 1) for name in "ab"}
    assert bench.take_turns(timers, 2).to_numpy().tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert calls == ["a", "b", "a", "b"]
    assert [bench.number([value, 3 * value, 2 * value]) for value in (617.4, 0.12345)] == ["1,235", "0.247"]


def test_benchmark_fills_every_column(monkeypatch, capsys) -> None:
    monkeypatch.setattr(bench, "ROWS", [((784, 4, 10), 8, 1)])
    monkeypatch.setattr(bench, "CORES", 1)
    bench.networks(quick=True)
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| 784-4-10, 8 ")]
    cells = [float(cell.split()[0].replace(",", "")) > 0 for cell in row.strip("| ").split("|")[1:]]
    assert cells == [True] * len(bench.IMPLEMENTATIONS)


# Makefile, requirements, workflows


def test_help_lists_the_targets() -> None:
    targets = re.search(r"\.PHONY: (.+)", (ROOT / "Makefile").read_text())[1].split()
    output = subprocess.run(["make", "-C", ROOT], capture_output=True, encoding="utf-8", check=True).stdout
    assert re.findall(r"^  make (\S+) ", output, re.MULTILINE) == targets


def test_make_refuses_first_where_git_has_no_repository(tmp_path) -> None:
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent), "LC_ALL": "C"}
    done = subprocess.run(
        ["make", "--no-print-directory", "repro"], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 2
    assert re.fullmatch(r"error: clone the project with git, .*: not a git repository.*\n", done.stdout)
    assert not (tmp_path / ".venv").exists()


def test_a_user_without_a_name_has_one_for_dvc(tmp_path) -> None:
    """With an `id` that knows a number alone, as in a container that runs as a user of the host."""
    (tmp_path / "id").write_text("#!/bin/sh\necho cannot find name for user ID 12345 >&2\necho 12345\nexit 1\n")
    (tmp_path / "id").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    show = f"{sys.executable} -c 'import getpass; print(getpass.getuser())'"
    command = ["make", "-C", ROOT, "--no-print-directory", "--eval", f"show: ; @{show}", "show"]
    for known, name in (({}, "12345"), ({"LOGNAME": "me"}, "me")):
        assert subprocess.check_output(command, env=environment | known, encoding="utf-8") == f"{name}\n"


def test_the_readme_has_the_accuracies_of_the_results() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for folder in ("train_numpy", "train_torch/mlp", "train_torch/cnn_small", "train_torch/cnn_large"):
        metrics = json.loads((ROOT / f"reports/{folder}/metrics.json").read_text())
        model = folder.removeprefix("train_").removeprefix("torch/")
        again = pd.read_csv(ROOT / f"reports/repeats/{model}/runs.csv")["test_accuracy"].mean()
        assert f"| **{metrics['test_accuracy']:.4f}** | {again:.4f} |" in text
    runs = pd.read_csv(ROOT / "reports/ablations/baseline/runs.csv")
    assert f"| | {runs[runs['variant'] == 'staircase']['test_accuracy'].mean():.4f} |" in text


def test_git_changes_no_bytes_even_if_told_to(tmp_path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    names = (".gitattributes", "params.yaml", "Makefile")
    for name in names:
        shutil.copy(ROOT / name, folder)
    for command in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["-c", "user.name=x", "-c", "user.email=x", "commit", "--quiet", "--message", "all"],
        ["clone", "--quiet", "-c", "core.autocrlf=true", ".", tmp_path / "clone"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    for name in names:
        assert (tmp_path / "clone" / name).read_bytes() == (ROOT / name).read_bytes()


def test_own_packages_come_before_others_of_the_same_name(tmp_path) -> None:
    for name in ("stages", "tools"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    command = [sys.executable, "-c", "import stages, tools; print(stages.__file__, tools.__file__)"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    found = subprocess.check_output(command, cwd=ROOT, env=environment, encoding="utf-8").split()
    assert found == [str(ROOT / name / "__init__.py") for name in ("stages", "tools")]


WITHOUT_POSIX = """
import builtins, importlib, pathlib
usual = builtins.__import__
def refuse(name, names=None, *more, **rest):
    if name in ("fcntl", "grp", "pwd", "resource") and names["__name__"].startswith("stages"):
        raise ModuleNotFoundError(f"{names['__name__']} needs {name}")
    return usual(name, names, *more, **rest)
builtins.__import__ = refuse
for path in sorted(pathlib.Path("stages").rglob("*.py")):
    importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
"""


def test_no_stage_needs_what_only_unix_has() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_POSIX], cwd=ROOT, check=True)


def requirements(name: str) -> dict[str, tuple[Requirement, int]]:
    """Each requirement of a file, by its canonical name, with the number of its hashes."""
    lines = re.sub(r"#.*", "", (ROOT / name).read_text().replace("\\\n", " ")).splitlines()
    parts = [line.partition("--hash") for line in lines if line.strip()]
    entries = [(Requirement(entry), (mark + rest).count("--hash=sha256:")) for entry, mark, rest in parts]
    return {canonicalize_name(requirement.name): (requirement, hashes) for requirement, hashes in entries}


def test_lock_pins_the_requirements_by_hash() -> None:
    lock, wanted = requirements("requirements.lock"), requirements("requirements.txt")
    assert [name for name, (_, hashes) in lock.items() if not hashes] == []
    for name, (requirement, _) in wanted.items():
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), f"{name} is not pinned"
        assert lock[name][0].specifier == requirement.specifier, "run make lock"


def test_requirements_are_what_the_code_imports() -> None:
    code = "\n".join(path.read_text() for path in SOURCES)
    names = set(re.findall(r"^ *(?:from|import) ([a-zA-Z]\w*)", code, re.MULTILINE)) - sys.stdlib_module_names
    packages = importlib.metadata.packages_distributions()
    found = {canonicalize_name(each) for name in names for each in packages.get(name, ())} - {"jax"}  # optional
    commands = {"pip", "pytest-xdist", "ruff", "setuptools", "tabulate", "uv"}  # tabulate: pandas' to_markdown
    classes = {"packaging", "pydantic-core", "urllib3"}  # of pytest, pydantic and requests
    assert found - classes | commands == set(requirements("requirements.txt"))


UNSAFE = r"pickle\.loads?\(|read_pickle|torch\.load\(|np\.load\((?!.*allow_pickle=False)|yaml\.(unsafe_|full_)?load\("


def test_no_pickle_is_loaded() -> None:
    """Data is meant here: the study does send pickles to its own workers."""
    lines = {line for path in SOURCES if "tests" not in path.parts for line in path.read_text().splitlines()}
    assert [line for line in lines if re.search(UNSAFE, line)] == []


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").iterdir()), ids=lambda path: path.name)
def test_workflows_only_read_and_pin_their_actions(path: Path) -> None:
    text = path.read_text()
    assert "permissions:\n  contents: read\n" in text
    assert text.count("permissions:") == 1
    assert "secrets" not in text
    assert "pull_request_target" not in text
    actions = re.findall(r"uses: (.+)", text)
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", action) for action in actions), actions
    assert "${{" not in "".join(re.findall(r"run: (?:\|\n(?: {10}.*\n)+|.*)", text))
