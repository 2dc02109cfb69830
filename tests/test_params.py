"""params.yaml: every fault a user might leave gives one line with key, value and what is allowed."""

from collections import Counter
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from stages.common.errors import StudyError
from stages.common.params import load_params
from stages.common.sharing import own_tasks, shared_variants

ROOT = Path(__file__).parent.parent
PARAMS = load_params(ROOT / "params.yaml")
RAW = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
PUBLISHED = yaml.safe_load((ROOT / "data/published/published_runs.yaml").read_text(encoding="utf-8"))["runs"]
QUICK = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# What the published PyTorch runs had in common, where the list of them names nothing else.
PUBLISHED_TORCH = {
    **{"activation": "relu", "dropout": 0.0, "dropout_everywhere": False, "batch_norm": False, "outputs": 10},
    **{"pixels": "unit", "shift": 0, "flip": False, "cutout": 0, "label_smoothing": 0.0, "test_time_flip": False},
    **{"optimiser": "sgd", "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant", "warmup": 0.0},
    "patience": None,
}


def load(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return load_params(path)


def edited(tmp_path, *keys, value):
    """Load params.yaml with one value, reached by `keys`, replaced (or removed, for `...`)."""
    raw = deepcopy(RAW)
    *path, last = keys
    section = raw
    for key in path:
        section = section[key]
    if value is ...:
        del section[last]
    else:
        section[last] = value
    return load(tmp_path, yaml.dump(raw, Dumper=QUICK, sort_keys=False))


def test_the_committed_file_is_valid_and_resolved():
    params = PARAMS
    assert params.train_numpy.lr == params.lr
    assert params.train_numpy.batch_size == params.batch_size
    assert params.train_torch.record.lr == params.lr
    assert params.train_torch.record.batch_size == params.train_torch.final.batch_size == params.batch_size
    assert params.train_torch.final.lr is None  # it has a rate for each phase
    published = params.tune["published_architecture"].variants
    assert [variant.name for variant in published] == list("12345678")
    assert [layer.input_nodes for layer in published[7].training.architecture] == [784, 512, 256, 128, 64, 10]
    assert published[2].training.architecture[1].activation == "sigmoid"


def test_the_published_runs_are_all_there_as_they_were_run():
    """The 22 published NumPy runs, setting by setting, from the list of what was published."""
    tune = PARAMS.tune
    count = 0
    for run in (run for run in PUBLISHED if run["framework"] == "numpy"):
        variants = {variant.name: variant.training for variant in tune[f"published_{run['study']}"].variants}
        training, reported = variants[run["variant"]], run["reported"]
        assert [layer.input_nodes for layer in training.architecture] == reported["layers"]
        assert {layer.activation for layer in training.architecture[1:-1]} == {reported["activation"]}
        assert (training.lr, training.batch_size, training.epochs) == (
            reported["lr"],
            reported["batch_size"],
            reported["epochs"],
        )
        assert tune[f"published_{run['study']}"].seeds[0] == reported["seed"]
        assert (training.objective, training.protocol, training.reduction) == ("published", "published", "sum")
        assert not training.bias
        assert not training.reshuffle
        count += 1
    assert count == 22


def settings(training):
    """All that a report tells of a training, not how precisely a computer multiplies; phases whether or not it has any.

    Momentum and weight decay are those of the phases.
    """
    others = training.model_dump(exclude={"lr", "epochs", "phases", "momentum", "weight_decay", "precision"})
    return {**others, "phases": [stretch.model_dump() for stretch in training.stretches]}


def published_settings(reported, as_run):
    """The same of what was published, as run where that differs from what was reported."""
    told = {**PUBLISHED_TORCH, **reported, **as_run}
    own = {key: float(told.pop(key)) for key in ("momentum", "weight_decay")}
    alone = {key: told.pop(key) for key in ("lr", "epochs") if key in told}
    return {**told, "phases": [{**own, **phase} for phase in told.pop("phases", [alone])]}


TORCH_RUNS = [run for run in PUBLISHED if run["framework"] == "torch"]


@pytest.mark.parametrize("run", TORCH_RUNS, ids=lambda run: f"{run['study']}-{run['variant']}")
def test_a_published_torch_run_is_there_as_reported_and_as_run(run):
    variants = {variant.name: variant for variant in PARAMS.ablations[run["study"]].variants}
    reported, as_run = run["reported"], run.get("as_run")
    if (run["study"], run["variant"]) == ("final", "0.01"):
        reported = {**reported, "weight_decay": 0.0001}  # the report's text says so, its table doesn't
    assert settings(variants[run["variant"]].training) == published_settings(reported, {})
    assert len(variants[run["variant"]].seeds) >= 3
    name = f"{run['variant']}_as_run"
    assert (name in variants) == (as_run is not None)
    if as_run is not None:
        assert settings(variants[name].training) == published_settings(reported, as_run)
        assert len(variants[name].seeds) >= 3


def test_all_24_published_torch_runs_are_compared():
    assert len(TORCH_RUNS) == 24


def test_no_configuration_is_trained_twice():
    """By settings and seed, over the studies of both halves and the models of record."""
    sections = (PARAMS.tune, PARAMS.ablations)
    runs = [
        (variant.training, seed)
        for studies in sections
        for name in studies
        for variant, seed in own_tasks(studies, name)
    ]
    runs += [
        (PARAMS.train_numpy, PARAMS.seed),
        *((model, PARAMS.seed) for model in (PARAMS.train_torch.final, PARAMS.train_torch.record)),
    ]
    trained = Counter((training.model_dump_json(), seed) for training, seed in runs)
    assert [run for run, times in trained.items() if times > 1] == []
    listed = sum(len(study.tasks) for studies in sections for study in studies.values())
    assert listed > len(runs)  # some are listed twice


def test_what_a_study_shares_is_trained_where_it_says():
    for studies in (PARAMS.tune, PARAMS.ablations):
        for name, study in studies.items():
            elsewhere = [(variant.training, seed) for variant, seed in own_tasks(studies, study.shares)]
            for variant, seed in study.tasks:
                if variant.name in shared_variants(studies, name):
                    assert (variant.training, seed) in elsewhere


def test_small_floats_that_yaml_takes_for_strings_are_numbers(tmp_path):
    assert edited(tmp_path, "lr", value="1e-05").lr == 1e-5


@pytest.mark.parametrize(
    ("keys", "value", "expected"),
    [
        (["lr"], ..., "lr is missing"),
        (["lr"], None, "lr = None: should be a valid number"),
        (["lr"], "fast", "lr = 'fast': should be a valid number"),
        (["lr"], -0.1, "lr = -0.1: should be greater than 0"),
        (["lr"], float("nan"), "lr = nan: should be a finite number"),
        (["lr"], float("inf"), "lr = inf: should be a finite number"),
        (["lr"], [0.1], "lr = [0.1]: should be a valid number"),
        (["seed"], -1, "seed = -1: should be greater than or equal to 0"),
        (["seed"], True, "seed = True: should be a valid integer"),
        (["batch_size"], 0, "batch_size = 0: should be greater than or equal to 1"),
        (["batch_size"], 12.5, "batch_size = 12.5: should be a valid integer"),
        (["speed"], 3, "speed is no known key"),
        (["train_numpy", "lr"], 0.1, "train_numpy.lr is set at top level"),
        (["train_numpy", "optimiser"], "sdg", "train_numpy.optimiser = 'sdg': should be 'sgd', 'momentum'"),
        (["train_numpy", "dropout"], 1.0, "train_numpy.dropout = 1.0: should be less than 1"),
        (["train_numpy", "optimiser"], "sgd", "weight_decay belongs to adamw; with sgd use l2"),
        (["train_numpy", "architecture"], [], "an architecture needs at least an input and an output"),
        (["train_numpy", "architecture"], "huge", "train_numpy.architecture = 'huge': should be a valid list"),
        (["train_numpy", "architecture", -1, "activation"], "relu", "the last layer, and no other"),
        (["train_numpy", "architecture", 0, "input_nodes"], "784", "architecture.0.input_nodes = '784'"),
        (["data", "cifar10", "edition"], "png", "data.cifar10.edition = 'png': choose from: jpeg, original"),
        (["train_torch", "dataset"], "mnist", "train_torch.dataset = 'mnist': should be 'fashion_mnist' or 'cifar10'"),
        (
            ["tune", "learning_rate", "base"],
            "fast",
            "tune.learning_rate.base = 'fast': choose from corrected, published",
        ),
        (["tune", "learning_rate", "seeds"], [], "tune.learning_rate.seeds = []: List should have at least 1 item"),
        (["tune", "learning_rate", "seeds"], [1, 1], "tune.learning_rate: seeds must differ, but 1 occurs twice"),
        (["tune", "learning_rate", "variants"], [], "tune.learning_rate.variants = []: List should have"),
        (["tune", "learning_rate", "variants"], None, "tune.learning_rate.variants = None: a list of variants"),
        (["tune", "learning_rate", "variants", 0], {"lr": 0.5}, "variants must differ, but 0.5 occurs twice"),
        (["tune", "learning_rate", "variants", 0], {"lr": 2, "l2": 1}, "variants.0 changes 2 settings: give it a name"),
        (["tune", "learning_rate", "variants", 0], {"rate": 2}, "tune.learning_rate.variants.0.rate is no known key"),
        (["tune", "learning_rate", "variants", 0], 0.5, "tune.learning_rate.variants.0 = 0.5: a mapping"),
        (["tune", "learning_rate", "variants", 0], {"protocol": "published"}, "all variants of a study follow one"),
        (["train_torch", "record", "lr"], 0.1, "train_torch.record.lr is set at top level: remove it there"),
        (["train_torch", "final", "lr"], 0.1, "train_torch.final.lr = 0.1: every phase has one of its own"),
        (["train_torch", "final", "epochs"], 3, "train_torch.final.epochs = 3: every phase has one of its own"),
        (
            ["train_torch", "final", "phases"],
            None,
            "train_torch.final.lr = None: lr is empty: a training without phases needs",
        ),
        (["train_torch", "record", "epochs"], None, "record.epochs = None: epochs is empty: a training without phases"),
        (["train_torch", "final", "phases"], [], "train_torch.final.phases = []: List should have at least 1 item"),
        (["train_torch", "final", "phases", 0, "rate"], 1, "train_torch.final.phases.0.rate is no known key"),
        (["train_torch", "final", "phases", 0, "lr"], 0, "train_torch.final.phases.0.lr = 0: should be greater than 0"),
        (["train_torch", "record", "momentum"], 0.9, "momentum belongs to sgd, momentum, nesterov; with adamw set"),
        (["train_torch", "final", "phases", 0, "momentum"], 1, "phases.0.momentum = 1: should be less than 1"),
        (["train_torch", "record", "hidden"], [], "train_torch.record.hidden = []: List should have at least 1 item"),
        (["train_torch", "third"], {}, "train_torch.third is no known key"),
        (
            ["train_cnn", "cifar10", "momentum"],
            0.0,
            "train_cnn.cifar10.momentum = 0.0: nesterov needs a momentum above 0",
        ),
        (["train_cnn", "cifar10", "seed"], ..., "train_cnn.cifar10.seed is missing"),
        (["train_cnn", "mnist"], {}, "train_cnn.mnist = 'mnist': should be 'fashion_mnist' or 'cifar10'"),
        (["ablations", "dropout", "base"], "fast", "ablations.dropout.base = 'fast': choose from published"),
        (
            ["ablations", "dropout", "variants", 1, "seeds"],
            [1, 1],
            "ablations.dropout: seeds must differ, but 1 occurs",
        ),
        (["ablations", "dropout", "variants", 1, "seeds"], [], "ablations.dropout.variants.1.seeds = []: List should"),
        (["ablations", "dropout", "variants", 1], {"name": "x", "optimiser": "adam", "momentum": 0.9}, "with adam set"),
        (["ablations", "dropout", "variants", 1], {"architecture": "appendix_1"}, "1.architecture is no known key"),
        (
            ["tune", "faults", "base"],
            "corrected",
            "shares = 'published_batch_size': it starts from another base, publish",
        ),
        (
            ["tune", "learning_rate", "variants", 0],
            {"architecture": "huge"},
            "architecture = 'huge': choose from append",
        ),
        (["tune"], [], "tune = []: a mapping of keys to values is needed"),
        (["tune", "a.b"], {"base": "corrected", "seeds": [1], "variants": [{"lr": 1}]}, "tune.a.b"),
    ],
)
def test_a_fault_is_one_line_that_names_it(tmp_path, keys, value, expected):
    with pytest.raises(StudyError) as caught:
        edited(tmp_path, *keys, value=value)
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["", "a", "[1, 2]", "seed: [1", "1: 2", "\tseed: 1", "seed: 1\nseed: 2"])
def test_a_file_that_is_no_mapping_is_one_line_too(tmp_path, text):
    with pytest.raises(StudyError) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_missing_file_names_itself(tmp_path):
    with pytest.raises(StudyError, match=r"params\.yaml: No such file.*root"):
        load_params(tmp_path / "params.yaml")


def test_parameters_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        PARAMS.train_numpy.lr = 3
