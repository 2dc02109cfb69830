"""Made-up result files as the stages write them, for the tests of verdicts and report: nothing is trained."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML
from safetensors.numpy import save_file

from stages.params import Study, load_params, read_yaml
from stages.training.files import write_json
from stages.training.final_model import write_final_model
from stages.training.results import Run, write_study

ROOT = Path(__file__).parent.parent
CLASSES = tuple("abcdefghij")
SHAPES = {"fashion_mnist": (28, 28, 1), "cifar10": (32, 32, 3)}
IMAGES = 40
EPOCHS = 8
CONSTANT, BATCH_256 = 0.45, 0.443  # mean final accuracies of two variants of the baseline
DIVERGED = 0.1  # the final accuracy of a published run that diverged


def a_run(split: str, accuracy: float, change: float = 0, diverged: bool = False) -> Run:
    """A run that ends at `accuracy` + `change`; a diverged one ends with NaN losses and guesses.

    The change also moves the epoch in which it gets there (2 or 3), the gap to the training accuracy, and two epochs in
    the middle, though not their mean.
    """
    rise = 3 if change > 0 else 2
    noise = {5: change / 2, 6: -change / 2}
    history = [
        {"epoch": epoch, "train_loss": 1 / epoch, "train_accuracy": reached + 0.05 + change, "loss": 1.1 / epoch}
        | {"accuracy": reached}
        for epoch in range(1, EPOCHS + 1)
        for reached in [(accuracy + change) * min(epoch, rise) / rise + noise.get(epoch, 0)]
    ]
    if diverged:
        history[-1] |= {"train_loss": np.nan, "train_accuracy": 0.1, "loss": np.nan, "accuracy": 0.1}
    final, status = history[-1], "diverged" if diverged else "ok"
    return Run(status, split, EPOCHS - 1, EPOCHS, history, final["loss"], final["accuracy"])


def make_results(folder: Path) -> None:
    """All that the report stage reads, for the real parameters, but as many seeds in each study.

    The means over seeds of the published runs are the published accuracies, except of `batch_size/8` in NumPy and of
    `hidden_layers/1` in PyTorch; those of other runs depend on the place of the variant.
    """
    shutil.copytree(ROOT / "data/published", folder / "data/published")
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (folder / "params.yaml").write_text(re.sub(r"(?m)^    seeds: \d+\n", "", text), encoding="utf-8")
    params = load_params(folder / "params.yaml")
    torch = published_finals("torch", lambda run: run["variant"] + ("_as_run" if "as_run" in run else ""))
    torch |= {("baseline", "constant"): CONSTANT, ("baseline", "batch_256"): BATCH_256}
    torch["hidden_layers", "1_as_run"] = BATCH_256
    numpy = {}
    for (study, variant), accuracy in published_finals("numpy", lambda run: run["variant"]).items():
        numpy[f"published_{study}", variant] = accuracy + (0.02 if (study, variant) == ("batch_size", "8") else 0)
    for section, studies, finals in (("tune", params.tune, numpy), ("ablations", params.ablations, torch)):
        for name, study in studies.items():
            write_runs(folder / "reports" / section / name, study, finals)
    for name, study in params.repeats.items():
        write_runs(folder / "reports/repeats" / name, study, {(name, name): 0.9})
    rng = np.random.default_rng(5)
    for name, edition in (("fashion_mnist", "original"), ("cifar10", "jpeg")):
        write_data(folder, name, edition, rng)
        weights = rng.normal(size=(6, SHAPES[name][-1], 2, 2))
        write_torch_model(folder, "cnn_small" if name == "fashion_mnist" else "cnn_large", name, "stem.weight", weights)
    write_model(folder / "reports/train_numpy", rng)
    np.savez(folder / "data/models/numpy.npz", allow_pickle=False, weights_1=rng.normal(size=(784, 12)))
    write_perceptrons(folder, "cifar10")


def edit_params(folder: Path, change: Callable[[dict], None]) -> None:
    """Change params.yaml."""
    content = read_yaml(folder / "params.yaml")
    change(content)
    YAML().dump(content, folder / "params.yaml")


def published_finals(framework: str, name: Callable[[dict], str]) -> dict[tuple[str, str], float]:
    """Final accuracies of the published runs by study and `name` of the run."""
    runs = read_yaml(ROOT / "data/published/published_runs.yaml")["runs"]
    return {(run["study"], name(run)): run["final_accuracy"] for run in runs if run["framework"] == framework}


def write_runs(folder: Path, study: Study, finals: dict[tuple[str, str], float]) -> None:
    """A study's files. Seeds change accuracies by -0.002 to 0.002, in another order in each of up to ten variants."""
    split = "test" if study.variants[0].training.protocol == "published" else "validation"
    changes = 0.001 * (np.arange(len(study.seeds)) - len(study.seeds) // 2)
    runs = {}
    for place, variant in enumerate(study.trainings):
        accuracy = finals.get((folder.name, variant), 0.6 + 0.01 * place)
        for seed, change in zip(study.seeds, (-1) ** place * np.roll(changes, place), strict=True):
            runs[variant, seed] = a_run(split, accuracy, 0 if accuracy == DIVERGED else change, accuracy == DIVERGED)
    write_study(folder, runs)


def write_data(folder: Path, name: str, edition: str, rng: np.random.Generator) -> None:
    """The test images of a prepared data set, and its facts."""
    images = rng.integers(0, 256, (IMAGES, *SHAPES[name]), dtype=np.uint8)
    one_hot = np.eye(10, dtype=np.uint8)[np.arange(IMAGES) % 10]
    for part in ("data/prepared", "data/models"):
        (folder / part).mkdir(exist_ok=True)
    np.savez(folder / f"data/prepared/{name}.npz", allow_pickle=False, test_images=images, test_labels=one_hot)
    facts = {"edition": edition, "image_shape": SHAPES[name], "images": {"training": 90, "validation": 10, "test": 40}}
    write_json(folder / f"reports/data/{name}.json", facts)


def write_model(folder: Path, rng: np.random.Generator, precision: str = "float32") -> None:
    """The results of a final model that guesses."""
    one_hot = np.eye(10, dtype=np.uint8)[np.arange(IMAGES) % 10]
    probabilities = rng.dirichlet(np.ones(10), IMAGES)
    used = {"precision": precision, "device": "cpu", "threads": 2}
    write_final_model(folder, a_run("validation", 0.9), one_hot, probabilities, CLASSES, **used)


def write_torch_model(folder: Path, name: str, dataset: str, key: str, weights: np.ndarray) -> None:
    """The results of a PyTorch model, and its first layer."""
    write_model(folder / "reports/train_torch" / name, np.random.default_rng(len(name + dataset)), precision="bfloat16")
    save_file({key: weights.astype(np.float32)}, folder / f"data/models/{name}.safetensors")


def write_perceptrons(folder: Path, dataset: str) -> None:
    """The results of the perceptrons."""
    pixels = int(np.prod(SHAPES[dataset]))
    for name in ("published", "mlp"):
        weights = np.random.default_rng(6).normal(size=(12, pixels))
        write_torch_model(folder, name, dataset, "layers.0.weight", weights)
