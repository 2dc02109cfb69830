"""params.yaml as any user might leave it: it loads, or one line says which key, what it holds and what is allowed."""

import datetime
import math
import re
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from stages.check import main as check
from stages.common.arrays import write_arrays
from stages.common.errors import StudyError
from stages.common.messages import LONGEST
from stages.common.mlps import build_mlp
from stages.common.numpy_params import NumpyTraining
from stages.common.numpy_run import train_run
from stages.common.params import EDITIONS, Params, load_params
from stages.common.residual import build_cnn
from stages.common.runs import Run
from stages.common.sharing import own_tasks, shared_variants
from stages.common.torch_params import CnnTraining, MlpTraining
from stages.common.torch_run import train_run as train_torch_run

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
FAST = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# The same examples every time: a test that fails for one commit must have failed for that commit.
PROPERTY = settings(
    derandomize=True, deadline=None, max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def small(whole: dict[str, Any]) -> dict[str, Any]:
    """The real file, with few studies, so that it is read often in little time."""
    tree = deepcopy(whole)
    for section, kept in (("tune", ("learning_rate", "batch_size")), ("ablations", ("baseline", "dropout"))):
        tree[section] = {name: tree[section][name] for name in kept}
    return tree


WHOLE = yaml.safe_load(TEXT)
SMALL = small(WHOLE)


def places(tree: Any, here: tuple = ()) -> Iterator[tuple]:
    """The path to everything in a tree."""
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield (*here, key)
        yield from places(tree[key], (*here, key))


PLACES = list(places(SMALL))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 10**9, 10**20, 10**400, -(10**400)]),
    st.floats(),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308, 5e-324, -0.0]),
    st.text(max_size=20),
    st.sampled_from(["0.1", "1e-3", "nan", "1_0", "relu", "appendix_1", "a\nb", "\x1b[31m", "\u2028", "x" * 10_000]),
    st.dates(),
    st.just(datetime.datetime(2020, 1, 1)),
    st.binary(max_size=5),
)
ODD = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3), max_leaves=5
)


def written(tree: Any) -> str:
    """A tree as YAML."""
    return yaml.dump(tree, Dumper=FAST, sort_keys=False, allow_unicode=True)


SMALL_TEXT = written(SMALL)
PIECES = ["", " ", "\t", "\n", ":", "- ", "[", "]", "{", "}", "'", '"', "*x", "&x ", "<<: ", "!!int ", "? ", "| ", "\\"]
PIECES += [
    "!!python/none ",
    "\x00",
    "é",
    "%",
    "---\n",
    "0x",
    "1:2",
    '"\\ud800"',
    '"\\UFFFFFFFF"',
    "\ufeff",
    "\x85",
    "2020-02-30",
]


def complaint(folder: Path, content: str | bytes) -> str | None:
    """What is said of the file's content, without the file's name; None where it loads, and is sound."""
    path = folder / "params.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        params = load_params(path)
    except StudyError as error:
        message = str(error)
        assert message.isprintable()
        assert len(message) <= LONGEST
        assert message.startswith(str(path))
        return message.removeprefix(str(path)).lstrip(": ")
    assert_sound(params)
    return None


def assert_sound(params: Params) -> None:
    """What was let in can be computed: finite, in bounds, and every run that is wanted is trained in one place."""
    assert_allowed(params.model_dump())
    assert {"fashion_mnist", params.train_torch.dataset} <= params.data.keys() & params.train_cnn.keys()
    assert all(data.validation_images % 10 == 0 for data in params.data.values())
    assert all(data.edition in EDITIONS[name] for name, data in params.data.items())
    for training in (params.train_numpy, *(task[0].training for study in params.tune.values() for task in study.tasks)):
        sizes = [layer.input_nodes for layer in training.architecture]
        assert (sizes[0], sizes[-1]) == (784, 10)
        assert training.protocol == "validation" or training.patience is None
    for study in params.ablations.values():
        assert all(variant.training.outputs >= 10 for variant in study.variants)
    for studies in (params.tune, params.ablations):
        trained = {name: own_tasks(studies, name) for name in studies}
        assert all(trained.values())
        for name, study in studies.items():
            there = [(variant.name, seed) for variant, seed in trained[study.shares]]
            for variant, other in shared_variants(studies, name).items():
                seeds = next(own.seeds for own in study.variants if own.name == variant)
                assert all((other, seed) in there for seed in seeds)


def assert_allowed(value: Any) -> None:
    """Finite, neither huge nor endless; there is something in every list."""
    if isinstance(value, dict | list):
        assert 1 <= len(value) <= 100
        for inner in value.values() if isinstance(value, dict) else value:
            assert_allowed(inner)
    elif isinstance(value, str):
        assert re.fullmatch(r"[A-Za-z0-9._+-]{1,60}", value)
    elif isinstance(value, float):
        assert 0 <= value <= 1e9
    elif value is not None:
        assert 0 <= value < 2**32


def changed(path: tuple, change: Any) -> str:
    """The small file with `change(container, key)` made at a place."""
    tree = deepcopy(SMALL)
    *above, last = path
    container = tree
    for key in above:
        container = container[key]
    change(container, last)
    return written(tree)


def names(path: tuple, message: str) -> bool:
    """Whether a message says where: the place, one above or below it; or, by the key's name, where it is needed."""
    key = re.split(r"[ :]", message, maxsplit=1)[0]
    wanted = [str(part) for part in path]
    near = all(part == other for part, other in zip(key.split("."), wanted, strict=False))
    return near or any(part in message for part in wanted[-1:] if not part.isdigit())


@PROPERTY
@given(path=st.sampled_from(PLACES), value=ODD)
def test_any_value_anywhere(tmp_path: Path, path: tuple, value: Any):
    message = complaint(tmp_path, changed(path, lambda container, key: container.__setitem__(key, value)))
    assert message is None or names(path, message)


@pytest.mark.parametrize("path", [path for path in PLACES if isinstance(path[-1], str)], ids=lambda path: str(path[-1]))
def test_any_key_that_is_missing(tmp_path: Path, path: tuple):
    message = complaint(tmp_path, changed(path, lambda container, key: container.__delitem__(key)))
    if message is None:
        assert may_be_missing(path)
    else:
        assert names(path, message)


def may_be_missing(path: tuple) -> bool:
    """A study, what a study changes of its base, a phase's own settings, and what no study here refers to."""
    *above, key = path
    return (
        above in (["tune"], ["ablations"], ["architectures"], ["tune_base"])
        or "variants" in above
        or "settings" in above
        or key == "settings"
        or ("phases" in above and key in ("weight_decay", "momentum"))
        or above[:1] == ["architectures"]
        or above[:2] == ["tune_base", "published"]
        or path == ("tune_base", "corrected", "lr")  # both studies here set their own
    )


@PROPERTY
@given(path=st.sampled_from([(), *PLACES]), key=st.text(min_size=1, max_size=20) | SCALARS, value=SCALARS)
def test_any_unknown_key(tmp_path: Path, path: tuple, key: Any, value: Any):
    container = SMALL
    for part in path:
        container = container[part]
    assume(isinstance(container, dict) and key not in container and key != "seeds")
    message = complaint(tmp_path, changed((*path, key), lambda container, key: container.__setitem__(key, value)))
    # Another name for something is none of its keys, but what it names must be right too.
    assert message is not None
    assert names(path, message) or not path


@PROPERTY
@given(data=st.data())
def test_any_name_or_seed_that_occurs_twice(tmp_path: Path, data: st.DataObject):
    section = data.draw(st.sampled_from(["tune", "ablations"]))
    name = data.draw(st.sampled_from(list(SMALL[section])))
    study = deepcopy(SMALL[section][name])
    twice = study[data.draw(st.sampled_from(["seeds", "variants"]))]
    twice.insert(data.draw(st.integers(0, len(twice))), deepcopy(data.draw(st.sampled_from(twice))))
    message = complaint(tmp_path, written(SMALL | {section: SMALL[section] | {name: study}}))
    assert message is not None
    assert re.match(rf"{section}\.{name}: (seeds|variants) must differ, but \S+ occurs twice", message)


@settings(PROPERTY, max_examples=100)
@given(data=st.data())
def test_any_study_may_share_with_any_other(tmp_path: Path, data: st.DataObject):
    """Or a line says why not; `assert_sound` looks whether each run is trained, and in one place."""
    tree = deepcopy(WHOLE)
    section = data.draw(st.sampled_from(["tune", "ablations"]))
    for name in data.draw(st.lists(st.sampled_from(list(tree[section])), min_size=1, max_size=6)):
        tree[section][name]["shares"] = data.draw(st.sampled_from(list(tree[section])))
    message = complaint(tmp_path, written(tree))
    assert message is None or re.match(rf"{section}\.\w+\.shares = '\w+': it (starts|takes|trains)", message)


@PROPERTY
@given(data=st.data())
def test_any_damage_to_the_text(tmp_path: Path, data: st.DataObject):
    lines = SMALL_TEXT.splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - 1))
    line = lines[place]
    column = data.draw(st.integers(0, len(line) - 1))
    piece = data.draw(st.sampled_from(PIECES))
    lines[place] = data.draw(
        st.sampled_from(
            ["", line + line, line.strip() + "\n", "  " + line, line[:column] + piece + line[column:], piece]
        )
    )
    complaint(tmp_path, "".join(lines))


@PROPERTY
@given(place=st.integers(0, len(TEXT.encode()) - 1), flipped=st.integers(1, 255))
def test_any_byte_that_is_another(tmp_path: Path, place: int, flipped: int):
    content = bytearray(TEXT.encode())
    content[place] ^= flipped
    complaint(tmp_path, bytes(content))


@PROPERTY
@given(content=st.binary(max_size=200) | st.lists(st.sampled_from(PIECES)).map(lambda pieces: "".join(pieces).encode()))
def test_any_bytes(tmp_path: Path, content: bytes):
    assert complaint(tmp_path, content) is not None


@PROPERTY
@given(
    tag=st.sampled_from(["int", "float", "bool", "null", "timestamp", "binary", "set", "omap", "pairs", "value"]),
    value=st.sampled_from(["''", "'-'", "_", "maybe", "x", "9999-99-99", "{a: b}", "[a: b]", "[[a]]", "~", "[]"]),
)
def test_any_value_by_any_tag(tmp_path: Path, tag: str, value: str):
    message = complaint(tmp_path, SMALL_TEXT.replace("seed: 42", f"seed: !!{tag} {value}", 1))
    assert message is not None
    assert message.startswith(("seed = ", "line 1: "))


def without(*path: str) -> str:
    """The file without a key."""
    tree = deepcopy(WHOLE)
    del tree[path[0]][path[1]]
    return written(tree)


def bomb(least: str, level: str) -> str:
    """Thirteen lines, each of which says nine times what the one before it says."""
    nines = (", ".join([f"*a{number}"] * 9) for number in range(12))
    return f"a0: &a0 {least}\n" + "".join(f"a{n}: &a{n} {level % nine}\n" for n, nine in enumerate(nines, start=1))


BOMB = bomb("[x]", "[%s]")
# A study that comes last, and may take over what others train.
STUDY = """  late:
    base: corrected
    shares: {shares}
    seeds: [1]
    variants:
    - lr: {lr}
ablation_base:
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TEXT + "lr: 0.1\n", "occurs twice: remove one of them"),
        (TEXT.replace("  learning_rate:\n    base: c", "  batch_size:\n    base: c"), "'batch_size' occurs twice"),
        (BOMB + "seed: *a12\n" + TEXT.replace("seed: 42", "", 1), "a0 is no known key"),
        (TEXT.replace("seed: 42", "seed: &s [*s]", 1), "seed = [[[...]]]: should be a valid integer"),
        (TEXT.replace("seed: 42", f"seed: {'[' * 5000}", 1), "nested too deeply"),
        (
            TEXT.replace("seed: 42", f"seed: {'9' * 5000}", 1),
            "line 5: '999999999999999999999999999...9999999999999999999999999999' is no int",
        ),
        (TEXT.replace("seed: 42", f"seed: 0x{'f' * 5000}", 1), "seed = a number of thousands of digits: "),
        (TEXT.replace("seed: 42", "seed: 2020-13-45", 1), "line 5: '2020-13-45' is no timestamp"),
        (TEXT.replace("seed: 42", "seed: !!python/object:os.system x", 1), "line 5: could not determine a constructor"),
        (TEXT.replace("seed: 42", "? [1]\n: 2", 1), "line 5: found unhashable key"),
        (TEXT.replace("lr: 0.001", f"lr: 1{'0' * 400}", 1), "should be between -1e+09 and 1e+09"),
        (TEXT.replace("lr: 0.001", 'lr: "0.001"', 1), "lr = '0.001': should be a valid number"),
        (TEXT.replace("lr: 0.001", "lr: nan", 1), "lr = 'nan': should be a valid number"),
        (TEXT.replace("lr: 0.001", "lr: .nan", 1), "lr = nan: should be a finite number"),
        (TEXT.replace("batch_size: 128", "batch_size: 1000000000", 1), "should be less than or equal to 100000"),
        (TEXT.replace("input_nodes: 1024", "input_nodes: 100000", 1), "should be less than or equal to 10000"),
        (
            TEXT.replace("input_nodes: 10\n", "input_nodes: 12\n", 1),
            "train_numpy.architecture.3.input_nodes = 12: 10 is needed, the number of classes of Fashion-MNIST",
        ),
        (
            TEXT.replace("input_nodes: 784\n", "input_nodes: 783\n", 1),
            "architecture.0.input_nodes = 783: 784 is needed",
        ),
        (TEXT.replace("outputs: 10\n", "outputs: 9\n", 1), "train_torch.final.outputs = 9: 10, one for each class"),
        (
            TEXT.replace("outputs: 128\n", "outputs: 2\n", 1),
            "ablations.hidden_layers.variants.5.outputs = 2: at least 10, one for each class",
        ),
        (
            TEXT.replace("shares: faults\n", "shares: fault\n", 1),
            "tune.objective_architecture.shares = 'fault': name a",
        ),
        (TEXT.replace("edition: original\n", "edition: jpeg\n", 1), "data.fashion_mnist.edition = 'jpeg': choose from"),
        (TEXT.replace("validation_images: 5000", "validation_images: 5001", 1), "should be a multiple of 10"),
        (TEXT.replace("validation_images: 5000", "validation_images: 50000", 1), "less than or equal to 49990"),
        (TEXT.replace("patience:\n", "patience: 3\n"), "must not choose one: leave it empty"),
        (
            TEXT.replace("epocs", "").replace("epochs: 25", "epocs: 25", 1),
            "train_numpy.epocs is no known key; is epochs meant?",
        ),
        (
            TEXT.replace("- name: long\n", "- name: 'a,b'\n", 1),
            "tune.candidates.variants.2.name = 'a,b': should be 1 to 60 of A-Z, a-z, 0-9, and . _ + -",
        ),
        (TEXT.replace("- lr: 0.5\n", "- clip_norm:\n", 1), "clip_norm = None names nothing: give the variant a name"),
        (
            TEXT.replace("  candidates:\n", "  best.candidates:\n", 1),
            "tune.best.candidates = 'best.candidates': should be 1 to 60 of a-z, 0-9, _ and -",
        ),
        (TEXT.replace("  candidates:\n", "  ? 'x\n\n    y'\n  :\n", 1), r"tune.x\ny"),
        (
            TEXT.replace("    - 96\n", "    - 96\n    - 96\n", 1),
            "List should have at most 3 items after validation, not 4",
        ),
        ("# " + "x" * 1_000_000, "1,000,002 bytes; at most 1,000,000 are allowed"),
        (TEXT.replace("threads: 2", "threads: 0"), "threads = 0: should be greater than or equal to 1"),
        (TEXT.replace("threads: 2", "threads: 65"), "threads = 65: should be less than or equal to 64"),
        (bomb("{x: x}", "{<<: [%s]}") + TEXT, "line 4: a mapping of 729 keys; at most 100 are allowed"),
        (BOMB + "tune_base: {x: *a12}\n", "tune_base.x = [[[...], [...], [...], [...], [...], [...], ...]"),
        (TEXT.replace("base: corrected", "base: 0x" + "f" * 5000, 1), "base = a number of thousands of digits: choose"),
        (BOMB + TEXT.replace("base: corrected", "base: *a12", 1), ".base = [[[...], [...], [...], [...], [...], [...]"),
        (TEXT.replace("seed: 42", "seed: !!int ''", 1), "line 5: '' is no int"),
        (BOMB + TEXT.replace("seed: 42", "seed: !!int {=: x, y: *a12}", 1), "line 18: this is no int"),
        ("\x00", "is not YAML: character 0 is not allowed"),
        (TEXT.replace("seed: 42", r'"\ud800": 42', 1), r"line 5: '\ud800' has half a character"),
        (TEXT.replace("seed: 42", r'"\UFFFFFFFF": 42', 1), "is not YAML: Python int too large"),
        (TEXT.replace("seed: 42", "seed: 042", 1), "line 5: '042' is not the same number to all readers of YAML"),
        (TEXT.replace("batch_size: 128", "batch_size: 2:8", 1), "line 7: '2:8' is not the same number to all readers"),
        (TEXT.replace("lr: 0.001", "lr: 1:30.5", 1), "line 6: '1:30.5' is not the same number to all readers"),
        (TEXT.replace("lr: 0.001", "lr: ١e-٣", 1), "lr = '١e-٣': should be a valid number"),
        (TEXT.replace("lr: 0.001", "lr: 1e999", 1), "lr = '1e999': should be a finite number"),
        (TEXT.replace("lr: 0.001", "lr: 1e12", 1), "lr = '1e12': should be less than or equal to 1000000000"),
        (TEXT.replace("precision: float64", "precision: float16"), "tune_base.published.precision = 'float16': should"),
        (
            TEXT.replace("settings: {batch_size: 1}", "settings: {batch_sise: 1}", 1),
            "tune.published_learning_rate.settings.batch_sise is no known key; is batch_size meant?",
        ),
        (TEXT + "  spare: [{input_nodes: 784, activation: relu}]\n", "architectures.spare = [{'activation': 'relu', "),
        (TEXT.replace("ablation_base:\n", "ablation_base:\n  spare: {epochs: 0}\n"), "ablation_base.spare.epochs = 0:"),
        (
            TEXT.replace("activation: softmax", "activation: relu", 1),
            "train_numpy.architecture.3.activation = 'relu': the last layer, and no other, has softmax",
        ),
        (
            TEXT.replace("ablation_base:\n", STUDY.format(shares="batch_size", lr=0.1), 1),
            "tune.late.shares = 'batch_size': it trains all variants of this study: add another one",
        ),
        (
            TEXT.replace("ablation_base:\n", STUDY.format(shares="batch_size", lr="0.1\n    - lr: 3"), 1),
            "tune.late.shares = 'batch_size': it takes 128 over from learning_rate: share with that",
        ),
        (
            TEXT.replace("    shares: learning_rate\n", "    shares: batch_size\n", 1),
            "tune.learning_rate.shares = 'batch_size': it takes 128 over from learning_rate: share with that",
        ),
        (
            TEXT.replace("    shares: faults\n", "    shares: learning_rate\n", 1),
            "tune.objective_architecture.shares = 'learning_rate': it starts from another base, corrected: name a",
        ),
        (
            TEXT.replace("    - 1024\n    - 512\n    - 512\n", "    - 10000\n    - 10000\n", 1),
            "train_torch.record.hidden = [10000, 10000]: these would be 130,820,000 weights; at most 100,000,000 are",
        ),
        (
            TEXT.replace("batch_size: 256", "batch_size: 99999", 1),
            "train_cnn.fashion_mnist.batch_size = 99999: at most 9,042 are allowed with widths = [48, 96, 192]",
        ),
        (
            TEXT.replace("  cifar10:\n", "  mnist:\n", 1),
            "data.mnist = 'mnist': should be 'fashion_mnist' or 'cifar10'",
        ),
        (without("data", "fashion_mnist"), "data.fashion_mnist is missing: the NumPy network is trained on it"),
        (without("data", "cifar10"), "train_torch.dataset = 'cifar10': of those in data, choose from: fashion_mnist"),
        (without("train_cnn", "cifar10"), "train_cnn.cifar10 is missing: the report shows the convolutional network"),
        (
            without("data", "cifar10").replace("dataset: cifar10", "dataset: fashion_mnist"),
            "train_cnn.cifar10 = 'cifar10': of those in data, choose from: fashion_mnist",
        ),
        (
            TEXT.replace("    momentum: 0.0\n    weight_decay: 0.1\n", "    momentum: 0.9\n    weight_decay: 0.1\n", 1),
            "train_torch.record.momentum = 0.9: momentum belongs to sgd, momentum, nesterov; with adamw set it to 0",
        ),
    ],
)
def test_what_a_user_might_leave(tmp_path: Path, text: str, expected: str):
    message = complaint(tmp_path, text)
    assert message is not None
    assert expected in message


def test_what_is_not_utf_8(tmp_path: Path):
    assert complaint(tmp_path, TEXT.encode("utf-16")) == "is not UTF-8: byte 0 is 0xff"


def test_the_editions_are_those_there_are():
    editions = yaml.safe_load((ROOT / "data/editions.yaml").read_text(encoding="utf-8"))
    assert {name: set(known) for name, known in EDITIONS.items()} == {name: set(editions[name]) for name in editions}


def test_check_writes_the_same_line_for_all_that_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """So that nothing reruns because of it; and none for what isn't."""
    monkeypatch.chdir(tmp_path)
    written_lines = set()
    for seed in ("1", "2", "-1"):
        Path("data/checked.txt").unlink(missing_ok=True)
        Path("params.yaml").write_text(TEXT.replace("seed: 42", f"seed: {seed}", 1), encoding="utf-8")
        if seed == "-1":
            with pytest.raises(StudyError, match="seed = -1"):
                check([])
            assert not Path("data/checked.txt").exists()
        else:
            check([])
            written_lines.add(Path("data/checked.txt").read_text(encoding="utf-8"))
    assert len(written_lines) == 1


# Valid parameters never raise.


@pytest.mark.parametrize(
    "content",
    [
        TEXT.replace("\n", "\r\n"),
        "\ufeff" + TEXT,
        yaml.safe_dump(WHOLE, sort_keys=True),
        yaml.safe_dump(WHOLE, default_flow_style=True),
        TEXT.replace("lr: 0.001", "lr: 1e-3", 1),
        TEXT.replace("seed: 42", "seed: 0x2a", 1),
        TEXT + "...\n",
    ],
    ids=["crlf", "bom", "sorted", "flow", "exponent", "hexadecimal", "end"],
)
def test_the_same_in_another_spelling_is_the_same(tmp_path: Path, content: str):
    path = tmp_path / "params.yaml"
    path.write_bytes(content.encode())
    assert load_params(path) == load_params(ROOT / "params.yaml")


# All that is allowed: what is too much for a network must end in a run that says so, not in an exception.
POSITIVE = st.floats(min_value=1e-6, max_value=1.0) | st.floats(min_value=0, max_value=1e9, exclude_min=True)
SHARES = st.floats(min_value=0, max_value=1, exclude_max=True)
NOT_NEGATIVE = st.floats(min_value=0, max_value=0.9) | st.floats(min_value=0, max_value=1e9)
COMMON = {
    "lr": POSITIVE,
    "epochs": st.integers(1, 2),
    "batch_size": st.integers(1, 40) | st.just(60_000),  # of more than there are images, too
    "schedule": st.sampled_from(["constant", "cosine", "one_cycle"]),
    "warmup": SHARES,
    "label_smoothing": SHARES,
    "pixels": st.sampled_from(["unit", "standardised"]),
    "shift": st.integers(0, 8),
    "flip": st.booleans(),
    "patience": st.none() | st.integers(1, 1000),
}
HIDDEN = st.sampled_from(["relu", "leaky_relu", "sigmoid", "tanh", "gelu"])
LAYER = st.fixed_dictionaries({"input_nodes": st.integers(1, 12), "activation": HIDDEN})
NUMPY = st.fixed_dictionaries(
    COMMON
    | {
        "architecture": st.builds(
            lambda first, hidden: [
                {"input_nodes": 784, "activation": first},
                *hidden,
                {"input_nodes": 10, "activation": "softmax"},
            ],
            HIDDEN,
            st.lists(LAYER, max_size=3),
        ),
        "objective": st.sampled_from(["cross_entropy", "published"]),
        "protocol": st.sampled_from(["validation", "published"]),
        "precision": st.sampled_from(["float32", "float64"]),
        "reduction": st.sampled_from(["mean", "sum"]),
        "bias": st.booleans(),
        "reshuffle": st.booleans(),
        "initialiser": st.sampled_from(["he", "xavier", "normal"]),
        "optimiser": st.sampled_from(["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"]),
        "momentum": SHARES,
        "weight_decay": NOT_NEGATIVE,
        "l2": NOT_NEGATIVE,
        "dropout": SHARES,
        "clip_norm": st.none() | POSITIVE,
        "clip_value": st.none() | POSITIVE,
    }
)
TORCH = COMMON | {
    "cutout": st.integers(0, 32),
    "optimiser": st.sampled_from(["sgd", "momentum", "nesterov", "adam", "adamw", "adagrad", "rmsprop"]),
    "momentum": st.floats(min_value=0, max_value=1, exclude_min=True, exclude_max=True),
    "weight_decay": NOT_NEGATIVE,
    "phases": st.none()
    | st.lists(st.fixed_dictionaries({"lr": POSITIVE, "epochs": st.integers(1, 2)}), min_size=1, max_size=2),
    "test_time_flip": st.booleans(),
    "precision": st.sampled_from(["float32", "bfloat16"]),
    "activation": HIDDEN,
}
MLPS = st.fixed_dictionaries(
    TORCH
    | {
        "hidden": st.lists(st.integers(1, 12), min_size=1, max_size=3),
        "dropout": SHARES,
        "dropout_everywhere": st.booleans(),
        "batch_norm": st.booleans(),
        "outputs": st.integers(10, 20),
    }
)
CNNS = st.fixed_dictionaries(
    TORCH
    | {
        "seed": st.integers(0, 2**32 - 1),
        "stem": st.integers(1, 8),
        "widths": st.lists(st.integers(1, 8), min_size=1, max_size=3),
        "logit_scale": POSITIVE,
    }
)


def numpy_training(drawn: dict[str, Any]) -> NumpyTraining:
    """The drawn settings, but for what belongs to others that were not drawn."""
    if drawn["optimiser"] != "adamw":
        drawn["weight_decay"] = 0.0
    if drawn["objective"] == "published":
        drawn["label_smoothing"] = 0.0
    if drawn["protocol"] == "published":
        drawn["patience"] = None
    return NumpyTraining(**drawn)


def torch_settings(drawn: dict[str, Any]) -> dict[str, Any]:
    """The same for PyTorch."""
    if drawn["optimiser"] not in ("sgd", "momentum", "nesterov"):
        drawn["momentum"] = 0.0
    if drawn["phases"] is not None:
        drawn["lr"] = drawn["epochs"] = None
    return drawn


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty training images and ten of each other split."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("prepared") / "set.npz"
    arrays = {"mean": np.array([0.5]), "std": np.array([0.25]), "validation_index": np.arange(10)}
    for split, count in (("train", 40), ("test", 10)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, 28, 28, 1), np.uint8)
        arrays[f"{split}_labels"] = np.eye(10, dtype=np.uint8)[np.arange(count) % 10]
    write_arrays(path, arrays | {"class_names": np.array(list("abcdefghij"))})
    return path


def epochs_of(training: NumpyTraining | MlpTraining | CnnTraining) -> int:
    """The most that it may train."""
    phases = getattr(training, "phases", None)
    return sum(phase.epochs for phase in phases) if phases else training.epochs


def assert_ended(run: Run, training: NumpyTraining | MlpTraining | CnnTraining) -> None:
    """Each epoch left a row, the last one perhaps saying that it went wrong."""
    assert run.status in ("ok", "diverged")
    assert 1 <= len(run.history) <= epochs_of(training)


@PROPERTY
@given(drawn=NUMPY, seed=st.integers(0, 2**32 - 1))
def test_valid_numpy_trainings_train(prepared: Path, drawn: dict[str, Any], seed: int):
    training = numpy_training(drawn)
    assert_ended(train_run(training, prepared, "x", seed)[0], training)


@pytest.mark.usefixtures("one_thread")
@settings(PROPERTY, max_examples=60)
@given(drawn=MLPS, seed=st.integers(0, 2**32 - 1))
def test_valid_perceptrons_train(prepared: Path, drawn: dict[str, Any], seed: int):
    training = MlpTraining(**torch_settings(drawn))
    train = partial(train_torch_run, partial(build_mlp, training), training, prepared, "x", seed)
    if training.batch_norm and 1 in (training.batch_size, 30 % training.batch_size):
        with pytest.raises(StudyError, match="batch_norm"):
            train()
    else:
        assert_ended(train()[0], training)


@pytest.mark.usefixtures("one_thread")
@settings(PROPERTY, max_examples=20)
@given(drawn=CNNS)
def test_valid_convolutional_networks_train(prepared: Path, drawn: dict[str, Any]):
    training = CnnTraining(**torch_settings(drawn))
    run, *_ = train_torch_run(partial(build_cnn, training), training, prepared, "x", training.seed)
    assert_ended(run, training)
