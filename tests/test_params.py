"""params.yaml: how its sections combine, and one clear line for every error."""

import math
import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.errors import StudyError
from stages.params import EDITIONS, MlpTraining, Params, load_params

ROOT = Path(__file__).parent.parent
FILE = ROOT / "params.yaml"
PARAMS = load_params(FILE)
WHOLE = yaml.safe_load(FILE.read_text(encoding="utf-8"))
# The same with few studies, so that it is read quickly.
STUDIES = {"tune": ("published_learning_rate", "learning_rate"), "ablations": ("baseline", "dropout")}
SMALL = WHOLE | {section: {name: WHOLE[section][name] for name in names} for section, names in STUDIES.items()}
ABSENT = object()


def load(folder: Path, text: str | bytes) -> Params:
    path = folder / "params.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_params(path)


def edited(key: str, value: Any) -> str:
    """The small file with the value at a dotted key replaced or removed."""
    tree = deepcopy(SMALL)
    *path, last = [int(part) if part.isdecimal() else part for part in key.split(".")]
    section: Any = tree
    for part in path:
        section = section[part]
    if value is ABSENT:
        del section[last]
    else:
        section[last] = value
    return yaml.safe_dump(tree, sort_keys=False)


def complaint(folder: Path, text: str | bytes) -> str | None:
    """The error line of loading, without the file's name; None if it succeeds."""
    try:
        load(folder, text)
    except StudyError as error:
        name, _, message = str(error).partition("params.yaml: ")
        assert str(folder) in name, message
        assert message.isprintable(), message
        assert len(message) < 420, message
        return message
    return None


VARIANT = "tune.learning_rate.variants.0"
MISTAKES = [
    # One value: type, range, choice.
    ("lr", ABSENT, "lr: required"),
    ("lr", None, "lr = None: should be a valid number"),
    ("lr", -0.1, "lr = -0.1: should be greater than 0"),
    ("lr", math.nan, "lr = nan: should be a finite number"),
    ("seed", True, "seed = True: should be a valid integer"),
    ("batch_size", 12.5, "batch_size = 12.5: should be a valid integer"),
    ("arithmetic", "fast", "arithmetic = 'fast': should be 'portable' or 'native'"),
    ("threads", 65, "threads = 65: should be less than or equal to 64"),
    ("train_numpy.dropout", 1.0, "train_numpy.dropout = 1.0: should be less than 1"),
    ("train_numpy.optimiser", "sdg", "train_numpy.optimiser = 'sdg': should be 'sgd', 'momentum'"),
    ("data.cifar10.validation_images", 0, "data.cifar10.validation_images = 0: should be greater than or equal to 1"),
    # Unknown keys.
    ("devices", 3, "devices: unknown key; known keys: seed, lr"),
    ("train_numpy.epocs", 3, "train_numpy.epocs: unknown key; did you mean epochs?"),
    ("tune.published_learning_rate.settings", {"epocs": 3}, "learning_rate.settings.epocs: unknown key; did you mean"),
    ("train_torch.published.phases.0.rate", 1, "train_torch.published.phases.0.rate: unknown key"),
    ("data.mnist", {}, "data.mnist"),
    # Architectures.
    ("train_numpy.architecture", "huge", "architecture = 'huge': write it as auto-64-auto relu, or as a list"),
    ("train_numpy.architecture", "784-64-10 softmax", "the last layer, and no other, has softmax"),
    ("train_numpy.architecture", "784-64-11 relu", "fashion_mnist needs 784 input nodes (pixels) and 10 output"),
    # Contradictory values.
    ("train_numpy.optimiser", "sgd", "weight_decay = 0.1: only adamw has it; with sgd use l2"),
    ("train_numpy.objective", "published", "label_smoothing = 0.1: the published objective needs 0"),
    ("train_numpy", {"protocol": "published", "patience": 3}, "would choose an epoch by the test images"),
    ("tune.learning_rate.settings", {"division": "random"}, "division = random: only the published protocol has it"),
    ("train_numpy", {"protocol": "published", "division": "random"}, "train_numpy.division = random: only studies"),
    ("train_torch.published.lr", 0.1, "lr = 0.1: give lr, or phases that each have one, not both"),
    ("train_torch.mlp.momentum", 0.9, "momentum = 0.9: adamw has none"),
    ("train_torch.cnn_large.momentum", 0.0, "momentum = 0.0: nesterov needs one above 0"),
    ("train_torch.mlp.outputs", 12, "train_torch.mlp.outputs = 12: write auto"),
    # Names.
    ("data.cifar10.edition", "png", "data.cifar10.edition: png does not exist; choose from original, jpeg"),
    ("torch_defaults.dataset", "mnist", "mnist does not exist; choose from fashion_mnist, cifar10"),
    ("train_torch.mlp.network", "rnn", "train_torch.mlp.network = 'rnn': choose from mlp, cnn"),
    ("train_torch.mlp", ABSENT, "train_torch: mlp does not exist"),
    ("tune.Late", {"variants": [{"lr": 1}]}, "tune.Late: a name has 1 to 60 of a-z, 0-9, _ and -"),
    ("tune.published_learning_rate.base", "fast", "tune.published_learning_rate.base = 'fast': should be 'published'"),
    ("train_torch.cnn_small.early_size", 0.5, "widths = [48, 96, 192]: images of 14 pixels allow at most 2 blocks"),
    # Studies.
    ("first_seed", -1, "first_seed = -1: should be greater than or equal to 0"),
    ("seeds", [101, 102], "seeds = [101, 102]: should be a valid integer"),
    ("tune.learning_rate.seeds", 0, "tune.learning_rate.seeds = 0: should be greater than or equal to 1"),
    ("tune.learning_rate.variants", [], "tune.learning_rate.variants = []: List should have at least 1 item"),
    (VARIANT, 0.5, f"{VARIANT} = 0.5: should be a valid dictionary"),
    (VARIANT, {"lr": 0.5}, "tune.learning_rate: 0.5 occurs twice"),
    (VARIANT, {"lr": 2, "l2": 1}, f"{VARIANT} changes 2 settings: give it a name"),
    (VARIANT, {"name": "a,b"}, f"{VARIANT}.name = 'a,b': String should match pattern"),
    (VARIANT, {"name": "x", "protocol": "published"}, "all variants of a study need the same protocol"),
    (VARIANT, {"lr": 2, "seeds": 3}, f"{VARIANT} changes 2 settings: give it a name"),
]


@pytest.mark.parametrize(("key", "value", "expected"), MISTAKES)
def test_a_mistake_is_one_line_with_key_value_and_what_is_allowed(tmp_path, key, value, expected):
    assert expected in complaint(tmp_path, edited(key, value))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "should be a valid dictionary"),
        ("seed: [1", "not valid YAML"),
        ("\tseed: 1", "not valid YAML"),
        ("seed: 1\nseed: 2", 'found duplicate key "seed"'),
        ("lr: 0.1".encode("utf-16"), "not valid YAML: 'utf-8' codec can't decode"),
        (f"seed: {'9' * 5000}", "not valid YAML"),
        (f"seed: 0x{'f' * 5000}", "seed = a number of thousands of digits"),
        (edited(VARIANT, {"name": "HUGE"}).replace("HUGE", "0x" + "f" * 5000), f"{VARIANT}.name"),
    ],
)
def test_a_file_that_is_not_yaml_or_not_parameters_is_one_line(tmp_path, text, expected):
    assert expected in complaint(tmp_path, text)


def test_a_missing_file_names_itself(tmp_path):
    with pytest.raises(StudyError, match=r"params\.yaml: No such file.*run from the project's root"):
        load_params(tmp_path / "params.yaml")


def paths(tree: Any, here: str = "") -> Iterator[str]:
    """The dotted key of everything in a tree."""
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        path = f"{here}.{key}".lstrip(".")
        yield path
        yield from paths(tree[key], path)


SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.dates(), st.binary(max_size=5)),
    st.sampled_from([10**400, 5e-324, "0.1", "relu", "a\nb", "\x1b[31m", "x" * 1000]),
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3), max_leaves=5
)


@settings(deadline=None, max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(list(paths(SMALL))), value=ANYTHING | st.just(ABSENT))
def test_any_value_anywhere_loads_or_is_one_line(tmp_path, key, value):
    complaint(tmp_path, edited(key, value))  # asserts it


@pytest.mark.parametrize("name", ["data/models", "data/prepared", "data/raw", "reports", "data"])
def test_folders_behind_a_link_out_of_the_project_are_refused(tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    folder = tmp_path / "project" / name
    folder.parent.mkdir(parents=True)
    folder.symlink_to(tmp_path / "elsewhere")
    shutil.copy(FILE, tmp_path / "project")
    (tmp_path / "link").symlink_to("project")  # the project itself may be behind one
    with pytest.raises(StudyError, match=rf"^{name}[\w/]* is behind a link out of the project, .*larger one$"):
        load_params(tmp_path / "link/params.yaml")
    folder.unlink()
    folder.mkdir()
    assert load_params(tmp_path / "link/params.yaml") == PARAMS


# How the sections combine.


def test_top_level_lr_and_batch_size_drive_train_numpy_and_mlp_alone(tmp_path):
    text = FILE.read_text(encoding="utf-8").replace(f"\nlr: {PARAMS.lr}\n", "\nlr: 0.5\n")
    params = load(tmp_path, text.replace(f"\nbatch_size: {PARAMS.batch_size}\n", "\nbatch_size: 7\n"))
    models, before = params.train_torch, PARAMS.train_torch
    assert (params.train_numpy.lr, params.train_numpy.batch_size) == (0.5, 7)
    assert (models["mlp"].training.lr, models["mlp"].training.batch_size) == (0.5, 7)
    assert all(models[name] == before[name] for name in ("published", "cnn_small", "cnn_large"))
    assert (params.tune, params.ablations) == (PARAMS.tune, PARAMS.ablations)


def test_variants_change_settings_which_change_the_base_which_changes_the_defaults(tmp_path):
    tree = deepcopy(SMALL)
    tree["numpy_defaults"] |= {"l2": 0.1, "shift": 1, "dropout": 0.1, "epochs": 1}
    tree["numpy_published"] |= {"shift": 2, "dropout": 0.2, "epochs": 2}
    variants = [{"epochs": 4, "name": "own"}, {"flip": True}, {"lr": 1.0e-5}]
    study = {"base": "published", "settings": {"dropout": 0.3, "epochs": 3}, "variants": variants}
    new = load(tmp_path, yaml.safe_dump(tree | {"tune": {"new": study}})).tune["new"]
    assert list(new.trainings) == ["own", "True", "1e-05"]
    own, flip, _ = new.trainings.values()
    assert (own.l2, own.shift, own.dropout, own.epochs) == (0.1, 2, 0.3, 4)
    assert (flip.flip, flip.epochs) == (True, 3)


def test_a_study_has_the_first_seeds_as_many_as_all_or_its_own_number(tmp_path):
    tree = deepcopy(SMALL) | {"first_seed": 7, "seeds": 2}
    tree["tune"]["learning_rate"]["seeds"] = 3
    params = load(tmp_path, yaml.safe_dump(tree))
    assert (params.tune["learning_rate"].seeds, params.ablations["dropout"].seeds) == ([7, 8, 9], [7, 8])


HIDDEN, OUTPUT = {"input_nodes": 64, "activation": "relu"}, {"input_nodes": 10, "activation": "softmax"}


@pytest.mark.parametrize(
    ("key", "short", "long"),
    [
        ("train_numpy.architecture", "784-64-10 relu", [{"input_nodes": 784, "activation": "relu"}, HIDDEN, OUTPUT]),
        ("train_torch.mlp.hidden", "256-128", [256, 128]),
        ("train_torch.mlp.hidden", 256, [256]),
        ("train_torch.cnn_large.widths", "8-16-32", [8, 16, 32]),
        ("lr", "1e-05", 0.00001),  # as `dvc exp run -S lr=0.00001` writes it, and PyYAML reads it
    ],
)
def test_short_forms_equal_the_long_ones(tmp_path, key, short, long):
    assert load(tmp_path, edited(key, short).replace("'1e-05'", "1e-05")) == load(tmp_path, edited(key, long))


def test_overrides_change_one_line_of_the_committed_file(tmp_path):
    copy = tmp_path / "params.yaml"
    copy.write_bytes(FILE.read_bytes())
    apply_overrides(copy, [])
    assert copy.read_bytes() == FILE.read_bytes()
    apply_overrides(copy, ["lr=0.02"])
    old, new = FILE.read_text(encoding="utf-8").splitlines(), copy.read_text(encoding="utf-8").splitlines()
    assert [line for line in zip(old, new, strict=True) if line[0] != line[1]] == [(f"lr: {PARAMS.lr}", "lr: 0.02")]


# Against other files of the project.


def test_the_editions_are_those_of_editions_yaml():
    editions = yaml.safe_load((ROOT / "stages/datasets/editions.yaml").read_text(encoding="utf-8"))
    assert {name: set(known) for name, known in EDITIONS.items()} == {name: set(editions[name]) for name in editions}


def test_the_committed_results_are_the_runs_of_params():
    for section, studies in (("tune", PARAMS.tune), ("ablations", PARAMS.ablations)):
        for name, study in studies.items():
            runs = pd.read_csv(ROOT / f"reports/{section}/{name}/runs.csv", dtype={"variant": str})
            wanted = [(variant, seed) for variant in study.trainings for seed in study.seeds]
            assert list(zip(runs["variant"], runs["seed"], strict=True)) == wanted, name


PUBLISHED = yaml.safe_load((ROOT / "data/published/published_runs.yaml").read_text(encoding="utf-8"))["runs"]
# What the published runs of each half have in common.
NUMPY = {
    **{"objective": "published", "protocol": "published", "reduction": "sum", "optimiser": "sgd", "momentum": 0.0},
    **{"bias": False, "reshuffle": False, "precision": "float64", "pixels": "unit", "initialiser": "he", "l2": 0.0},
    **{"dropout": 0.0, "clip_norm": None, "clip_value": None, "division": "random", "schedule": "constant"},
}
TORCH = {
    **{"activation": "relu", "dropout": 0.0, "dropout_everywhere": False, "batch_norm": False, "outputs": 10},
    **{"dropout_in_validation": False, "precision": "float32"},
    **{"pixels": "unit", "shift": 0, "flip": False, "cutout": 0, "label_smoothing": 0.0, "test_time_flip": False},
    **{"optimiser": "sgd", "schedule": "constant", "warmup": 0.0, "patience": None, "momentum": 0, "weight_decay": 0},
}


@pytest.mark.parametrize("run", PUBLISHED, ids=lambda run: f"{run['framework']}-{run['study']}-{run['variant']}")
def test_a_published_run_is_a_variant_as_reported_and_as_run(run):
    if run["framework"] == "numpy":
        training = PARAMS.tune[f"published_{run['study']}"].trainings[run["variant"]].model_dump()
        _, *hidden, _ = layers = training["architecture"]
        training["layers"] = [layer["input_nodes"] for layer in layers]
        (training["activation"],) = {layer["activation"] for layer in hidden}
        assert {**training, **NUMPY, **run["reported"]} == training | {"seed": 42}
        return
    variants = PARAMS.ablations[run["study"]].trainings
    reported, as_run = TORCH | run["reported"], run.get("as_run")
    if (run["study"], run["variant"]) == ("final", "0.01"):
        reported["weight_decay"] = 0.0001  # the report's text says so, its table does not
    assert resolved(variants[run["variant"]]) == in_phases(reported)
    assert (f"{run['variant']}_as_run" in variants) == (as_run is not None)
    if as_run is not None:
        assert resolved(variants[f"{run['variant']}_as_run"]) == in_phases(reported | as_run)


def test_the_study_of_the_release_differs_from_published_runs_in_the_division_alone():
    for name, training in PARAMS.tune["release"].trainings.items():
        published = PARAMS.tune["published_batch_size"].trainings[name]
        assert training == published.model_copy(update={"division": "original"})


def resolved(training: MlpTraining) -> dict[str, Any]:
    """All settings, with the phases resolved."""
    others = training.model_dump(exclude={"lr", "epochs", "phases", "momentum", "weight_decay"})
    return {**others, "phases": [phase.model_dump() for phase in training.resolved_phases]}


def in_phases(run: dict[str, Any]) -> dict[str, Any]:
    """Published settings with momentum, weight decay, learning rate and epochs moved into the phases."""
    of_phases = {key: run[key] for key in ("lr", "epochs", "momentum", "weight_decay") if key in run}
    others = {key: value for key, value in run.items() if key not in of_phases}
    return {**others, "phases": [of_phases | phase for phase in run.get("phases", [{}])]}
