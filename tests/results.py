"""Made-up result files as the stages write them, for the tests of verdicts and report: nothing is trained."""

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
from stages.training.sweep import own_tasks

ROOT = Path(__file__).parent.parent
CLASSES = tuple("abcdefghij")
SHAPES = {"fashion_mnist": (28, 28, 1), "cifar10": (32, 32, 3)}
IMAGES = 40
EPOCHS = 4
CONSTANT, BATCH_256 = 0.45, 0.44  # final accuracies of two variants of the baseline, without the effect of the seed


def a_run(variant: str, seed: int, split: str, accuracy: float, diverged: bool = False) -> Run:
    """A run that rises to `accuracy`; a diverged one ends with NaN losses and guesses."""
    history = [
        {"epoch": epoch, "train_loss": 1 / epoch, "loss": 1.1 / epoch, "accuracy": accuracy * epoch / EPOCHS}
        for epoch in range(1, EPOCHS + 1)
    ]
    if diverged:
        history[-1] |= {"train_loss": np.nan, "loss": np.nan, "accuracy": 0.1}
    final, status = history[-1], "diverged" if diverged else "ok"
    return Run(variant, seed, status, split, EPOCHS - 1, EPOCHS, history, final["loss"], final["accuracy"])


def make_results(folder: Path) -> None:
    """All that the report stage reads, for the real parameters with fewer studies.

    The published studies end on the published accuracies, except `published_batch_size/8` and the runs that the
    baseline trains; other runs depend on variant and seed.
    """
    shutil.copytree(ROOT / "data/published", folder / "data/published")
    shutil.copy(ROOT / "params.yaml", folder)
    edit_params(folder, remove_studies)
    params = load_params(folder / "params.yaml")
    finals = {
        (f"published_{study}", variant): accuracy
        for (study, variant), accuracy in published_finals("numpy", lambda run: run["variant"]).items()
    }
    finals["published_batch_size", "8"] += 0.02
    finals |= published_finals("torch", lambda run: run["variant"] + ("_as_run" if "as_run" in run else ""))
    finals |= {("baseline", "constant"): CONSTANT, ("baseline", "batch_256"): BATCH_256}
    for section, studies in (("tune", params.tune), ("ablations", params.ablations)):
        for name in studies:
            write_runs(folder / "reports" / section / name, studies, finals)
    rng = np.random.default_rng(5)
    for name, edition in (("fashion_mnist", "original"), ("cifar10", "jpeg")):
        write_data(folder, name, edition, rng)
        write_torch_model(folder, f"cnn_{name}", name, "stem.weight", rng.normal(size=(6, SHAPES[name][-1], 2, 2)))
    write_model(folder / "reports/train_numpy", rng)
    np.savez(folder / "data/models/numpy.npz", allow_pickle=False, weights_1=rng.normal(size=(784, 12)))
    write_perceptrons(folder, "cifar10")


def edit_params(folder: Path, change: Callable[[dict], None]) -> None:
    """Change params.yaml."""
    content = read_yaml(folder / "params.yaml")
    change(content)
    YAML().dump(content, folder / "params.yaml")


def remove_studies(content: dict) -> None:
    """Leave the studies that verdicts need and a few others, some with fewer variants."""
    for section, names in (("tune", ("initialisation", "regularisation")), ("ablations", ("pixels", "batch_norm"))):
        for name in names:
            del content[section][name]
        for name, study in content[section].items():
            if study["shares"] not in content[section]:
                study["shares"] = name
    for name in ("optimiser", "candidates", "clipping"):
        content["tune"][name]["variants"] = content["tune"][name]["variants"][:2]


def published_finals(framework: str, name: Callable[[dict], str]) -> dict[tuple[str, str], float]:
    """Final accuracies of the published runs by study and `name` of the run."""
    runs = read_yaml(ROOT / "data/published/published_runs.yaml")["runs"]
    return {(run["study"], name(run)): run["final_accuracy"] for run in runs if run["framework"] == framework}


def write_runs(folder: Path, studies: dict[str, Study], finals: dict[tuple[str, str], float]) -> None:
    """A study's files. Under the published protocol all seeds are equal; a run at 0.1 has diverged."""
    study, runs = studies[folder.name], []
    split = "test" if study.variants[0].training.protocol == "published" else "validation"
    places = {variant.name: place for place, variant in enumerate(study.variants)}
    for task in own_tasks(studies, folder.name):
        accuracy = finals.get((folder.name, task.variant), 0.8 + 0.03 * places[task.variant])
        seeded = accuracy if split == "test" else accuracy + 0.001 * task.seed
        runs.append(a_run(task.variant, task.seed, split, seeded, diverged=seeded == 0.1))
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


def write_model(folder: Path, rng: np.random.Generator) -> None:
    """The results of a final model that guesses."""
    one_hot = np.eye(10, dtype=np.uint8)[np.arange(IMAGES) % 10]
    write_final_model(folder, a_run("", 42, "validation", 0.9), one_hot, rng.dirichlet(np.ones(10), IMAGES), CLASSES)


def write_torch_model(folder: Path, name: str, dataset: str, key: str, weights: np.ndarray) -> None:
    """The results of a PyTorch model, and its first layer."""
    write_model(folder / "reports/train_torch" / name, np.random.default_rng(len(name + dataset)))
    save_file({key: weights.astype(np.float32)}, folder / f"data/models/{name}.safetensors")


def write_perceptrons(folder: Path, dataset: str) -> None:
    """The results of the perceptrons."""
    pixels = int(np.prod(SHAPES[dataset]))
    for name in ("published", "mlp"):
        weights = np.random.default_rng(6).normal(size=(12, pixels))
        write_torch_model(folder, name, dataset, "layers.0.weight", weights)
