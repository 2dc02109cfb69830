"""Whatever parameter changes, the stages that depend on it rerun, and no others.

What depends on what is found without dvc.yaml, by the rules of how parameters are resolved. DVC is asked about one
change after the other, which is undone again.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo

from stages.common.params import Params, load_params
from tests.project import ABLATIONS, BASELINE, DIVERGING, Project


def stale(repo: Repo) -> set[str]:
    """The stages for which a dependency, a parameter or an output isn't what dvc.lock says: DVC would run them."""
    known: dict[tuple, bool] = {}  # most files are dependencies of many stages
    found = set()
    for stage in repo.index.stages:
        for item in (*stage.deps, *stage.outs):
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
    """Another value at a place of a YAML file; then as before, and as old."""
    content, times = path.read_bytes(), path.stat()
    tree = yaml.safe_load(content)
    *above, last = place
    container = tree
    for key in above:
        container = container[key]
    assert container[last] != value
    container[last] = value
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    try:
        yield
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
