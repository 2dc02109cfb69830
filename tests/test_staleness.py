"""Whatever parameter or file changes, the stages that depend on it rerun, and no others.

What depends on what is found without dvc.yaml: by the rules of how parameters are resolved, by what the nodes import,
and by the names of the data. DVC is asked about one change after the other, which is undone again.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest
import yaml
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo

from stages.common.params import Params, load_params
from tests.project import ABLATIONS, BASELINE, DIVERGING, Project
from tools.check import NODE
from tools.imports import dependencies
from tools.pipeline import declared_stages


def stale(repo: Repo, changed: str | None = None) -> set[str]:
    """The stages for which a dependency, a parameter or an output isn't what dvc.lock says: DVC would run them.

    `changed`, where everything else is as it was, spares asking about the others.
    """
    known: dict[tuple, bool] = {}  # most files are dependencies of many stages
    found = set()
    for stage in repo.index.stages:
        for item in (*stage.deps, *stage.outs):
            if changed and item.def_path not in (changed, *parents(changed)):
                continue
            key = (stage.name,) if isinstance(item, ParamsDependency) else (item.def_path, item.hash_info.value)
            if key not in known:
                known[key] = bool(item.status())
            if known[key]:
                found.add(stage.name)
    return found


MODELS = {"train_numpy", "train_torch"}
CNNS = {"train_cnn@fashion_mnist", "train_cnn@cifar10"}
# A place in params.yaml, another value, and from the parameters to the stages that depend on it. The report shows all
# settings but `threads`, and every change is checked.
PARAMETERS: dict[str, tuple[tuple[str | int, ...], object, Callable[[Params], set[str]]]] = {
    "seed": (("seed",), 7, lambda params: MODELS),
    "lr": (("lr",), 0.2, lambda params: MODELS),
    "batch_size": (("batch_size",), 64, lambda params: MODELS),
    "threads": (("threads",), 1, lambda params: {"train_torch"} | CNNS),
    "edition": (
        ("data", "cifar10", "edition"),
        "original",
        lambda params: {"download@cifar10", "preprocess@cifar10"},
    ),
    "split_seed": (("data", "fashion_mnist", "split_seed"), 7, lambda params: {"preprocess@fashion_mnist"}),
    "train_numpy": (("train_numpy", "dropout"), 0.5, lambda params: {"train_numpy"}),
    "layer": (("train_numpy", "architecture", 1, "input_nodes"), 30, lambda params: {"train_numpy"}),
    "final": (("train_torch", "final", "dropout"), 0.5, lambda params: {"train_torch"}),
    "dataset": (("train_torch", "dataset"), "fashion_mnist", lambda params: {"train_torch", *ABLATIONS}),
    "train_cnn": (("train_cnn", "cifar10", "shift"), 0, lambda params: {"train_cnn@cifar10"}),
    "architectures": (
        ("architectures", "appendix_8", 1, "activation"),
        "tanh",
        lambda params: {f"tune@{name}" for name in params.tune},
    ),
    "ablation_base": (("ablation_base", "published", "shift"), 1, lambda params: set(ABLATIONS)),
    "baseline": (("ablations", BASELINE, "seeds", 0), 9, lambda params: sharing(params, "ablations", BASELINE)),
    "study": (("tune", DIVERGING, "seeds", 0), 9, lambda params: sharing(params, "tune", DIVERGING)),
    "variant": (("tune", "clipping", "variants", 0, "lr"), 0.3, lambda params: sharing(params, "tune", "clipping")),
}


def sharing(params: Params, section: str, name: str) -> set[str]:
    """A study, and those that take runs over from it."""
    studies = getattr(params, section)
    return {f"{section}@{other}" for other, study in studies.items() if name in (other, study.shares)}


@pytest.mark.parametrize("case", PARAMETERS)
def test_a_changed_parameter_reruns_the_stages_that_it_decides_and_no_others(case: str, reproduced_project: Project):
    place, value, expected = PARAMETERS[case]
    with value_at(reproduced_project.folder / "params.yaml", place, value), Repo(reproduced_project.folder) as repo:
        params = load_params(reproduced_project.folder / "params.yaml")
        shown = {"check"} if case == "threads" else {"check", "report"}
        assert stale(repo) == expected(params) | shown


@pytest.mark.parametrize("base", ["published", "corrected"])
def test_a_base_reruns_the_studies_that_start_from_it(base: str, reproduced_project: Project):
    path = reproduced_project.folder / "params.yaml"
    studies = yaml.safe_load(path.read_text(encoding="utf-8"))["tune"]
    based = {f"tune@{name}" for name, study in studies.items() if study["base"] == base}
    with value_at(path, ("tune_base", base, "dropout"), 0.5), Repo(reproduced_project.folder) as repo:
        assert stale(repo) == based | {"check", "report"}


@contextmanager
def value_at(path: Path, place: tuple[str | int, ...], value: object) -> Iterator[None]:
    """Another value at a place of a YAML file, for a while."""
    tree = yaml.safe_load(path.read_bytes())
    *above, last = place
    container = tree
    for key in above:
        container = container[key]
    assert container[last] != value
    container[last] = value
    with content_of(path, yaml.safe_dump(tree, sort_keys=False).encode()):
        yield


@contextmanager
def content_of(path: Path, other: bytes) -> Iterator[None]:
    """Another content of a file; then as before, and as old."""
    content, times = path.read_bytes(), path.stat()
    path.chmod(0o644)  # DVC makes a cached one read-only
    path.write_bytes(other)
    try:
        yield
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def users(data_set: str, stages: set[str]) -> set[str]:
    """The stages that train on a data set."""
    model, studies = {"fashion_mnist": ("train_numpy", "tune@"), "cifar10": ("train_torch", "ablations@")}[data_set]
    return {model, f"train_cnn@{data_set}"} | {stage for stage in stages if stage.startswith(studies)}


# A pattern for paths of data and results, and from its match and all stages to those that read or write them.
FILES: dict[str, Callable[[re.Match[str], set[str]], set[str]]] = {
    r"params\.yaml": lambda _, stages: {"check"},  # where no value changes
    r"data/checked\.txt": lambda _, stages: {"check", "download@fashion_mnist", "download@cifar10"},
    r"data/editions\.yaml": lambda _, stages: {s for s in stages if s.startswith(("download@", "preprocess@"))},
    r"data/published/\w+\.(?:yaml|csv)": lambda _, stages: {"report"},
    r"data/raw/(\w+)/.+": lambda found, stages: {f"download@{found[1]}", f"preprocess@{found[1]}"},
    r"data/prepared/(\w+)\.npz": lambda found, stages: {f"preprocess@{found[1]}", "report"} | users(found[1], stages),
    r"data/models/numpy\.json": lambda _, stages: {"train_numpy"},
    r"data/models/numpy\.npz": lambda _, stages: {"train_numpy", "report"},
    r"data/models/torch_(?:final\.\w+|record\.json)": lambda _, stages: {"train_torch"},
    r"data/models/torch_record\.safetensors": lambda _, stages: {"train_torch", "report"},
    r"data/models/cnn_(\w+)\.json": lambda found, stages: {f"train_cnn@{found[1]}"},
    r"data/models/cnn_(\w+)\.safetensors": lambda found, stages: {f"train_cnn@{found[1]}", "report"},
    r"reports/data/(\w+)\.json": lambda found, stages: {f"preprocess@{found[1]}", "report"},
    r"reports/(train_numpy|train_torch)/.+": lambda found, stages: {found[1], "report"},
    r"reports/((?:train_cnn|tune|ablations)/\w+)/.+": lambda found, stages: {found[1].replace("/", "@"), "report"},
    r"reports/.+": lambda _, stages: {"report"},
}


def readers_and_writers(path: str, imported: dict[str, set[str]]) -> set[str]:
    """The stages to which a file matters; `imported` holds for each stage the files and folders of its code."""
    if path.startswith("stages/"):
        return {stage for stage, code in imported.items() if not code.isdisjoint((path, *parents(path)))}
    for pattern, rule in FILES.items():
        if found := re.fullmatch(pattern, path):
            return rule(found, set(imported))
    return set()


def parents(path: str) -> list[str]:
    return [str(folder) for folder in PurePosixPath(path).parents]


def test_a_changed_file_reruns_the_stages_that_read_or_write_it_and_no_others(reproduced: Project):
    folder = reproduced.folder
    imported = {
        stage.name: dependencies(folder, folder / f"stages/{NODE.match(stage.command)[1]}.py")
        for stage in declared_stages(folder)
    }
    paths = {*reproduced.succeed("git", "ls-files").splitlines(), *reproduced.outputs()}
    wrong, met = {}, set()
    with Repo(folder) as repo:
        assert stale(repo) == set()
        for path in sorted(paths):
            with content_of(folder / path, (folder / path).read_bytes() + b"\n"):
                found = stale(repo, path)
            if found != (wanted := readers_and_writers(path, imported)):
                wrong[path] = f"reruns {sorted(found)} instead of {sorted(wanted)}"
            met |= found
        assert stale(repo) == set()
    assert wrong == {}
    assert met == set(imported)
