"""Result files as the stages write them, made up: what the report is tested on, without training anything."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import save_file

from stages.common.files import write_json
from stages.common.params import Params, Study, load_params
from stages.common.records import write_record
from stages.common.runs import Run, write_study
from stages.common.sharing import shared_variants

ROOT = Path(__file__).parent.parent
CLASSES = tuple("abcdefghij")
SHAPES = {"fashion_mnist": (28, 28, 1), "cifar10": (32, 32, 3)}
IMAGES = 40
EPOCHS = 4
CONSTANT, BATCH_256 = 0.45, 0.44  # what the two shared variants of the baseline come to, but for the seed


def a_run(variant: str, seed: int, split: str, accuracy: float, diverged: bool = False) -> Run:
    """A run that climbs to `accuracy`; a diverged one then loses all."""
    history = [
        {"epoch": epoch, "train_loss": 1 / epoch, "loss": 1.1 / epoch, "accuracy": accuracy * epoch / EPOCHS}
        for epoch in range(1, EPOCHS + 1)
    ]
    if diverged:
        history[-1] |= {"train_loss": np.nan, "loss": np.nan, "accuracy": 0.1}
    final = history[-1]
    status = "diverged" if diverged else "ok"
    return Run(variant, seed, status, split, EPOCHS - 1, EPOCHS, history, final["loss"], final["accuracy"])


def make_results(folder: Path) -> None:
    """All that the report reads."""
    shutil.copytree(ROOT / "data/published", folder / "data/published")
    write_params(folder)
    params = load_params(folder / "params.yaml")
    write_tune(folder, params)
    write_ablations(folder, params)
    rng = np.random.default_rng(5)
    for name, edition in (("fashion_mnist", "original"), ("cifar10", "jpeg")):
        write_data(folder, name, edition, rng)
        write_model(folder, f"train_cnn/{name}", name, rng)
        save(
            folder / f"data/models/cnn_{name}.safetensors", "stem.weight", rng.normal(size=(6, SHAPES[name][-1], 2, 2))
        )
    write_model(folder, "train_numpy", "fashion_mnist", rng)
    np.savez(folder / "data/models/numpy.npz", allow_pickle=False, weights_1=rng.normal(size=(784, 12)))
    write_perceptrons(folder, "cifar10", rng)


def write_params(folder: Path) -> None:
    """The real parameters with fewer runs: those that verdicts are drawn from, and two variants each of some others."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["train_torch"]["dataset"] = "cifar10"
    for section, names in (("tune", ("initialisation", "regularisation")), ("ablations", ("pixels", "batch_norm"))):
        for name in names:
            del raw[section][name]
    for studies in (raw["tune"], raw["ablations"]):
        for name, study in studies.items():
            if study["shares"] not in studies:
                study["shares"] = name
    for name, study in raw["tune"].items():
        if name in ("optimiser", "candidates", "clipping"):
            study["variants"] = study["variants"][:2]
    (folder / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")


def published_finals(framework: str, name: Callable[[dict], str]) -> dict[tuple[str, str], float]:
    """Final accuracies of the published runs by study and `name` of the run."""
    runs = yaml.safe_load((ROOT / "data/published/published_runs.yaml").read_text(encoding="utf-8"))["runs"]
    return {(run["study"], name(run)): run["final_accuracy"] for run in runs if run["framework"] == framework}


def write_tune(folder: Path, params: Params) -> None:
    """Published studies reproduce the published final accuracies but one; the others depend on variant and seed."""
    finals = {
        (f"published_{study}", variant): accuracy
        for (study, variant), accuracy in published_finals("numpy", lambda run: run["variant"]).items()
    }
    finals["published_batch_size", "8"] += 0.02
    for name, study in params.tune.items():
        split = "test" if study.variants[0].training.protocol == "published" else "validation"
        write_runs(folder / "reports/tune" / name, study, split, finals, shared_variants(params.tune, name))


def write_ablations(folder: Path, params: Params) -> None:
    """What the published code ran comes to the published accuracies, but where the baseline was trained instead."""
    finals = published_finals("torch", lambda run: run["variant"] + ("_as_run" if "as_run" in run else ""))
    finals |= {("baseline", "constant"): CONSTANT, ("baseline", "batch_256"): BATCH_256}
    for name, study in params.ablations.items():
        write_runs(
            folder / "reports/ablations" / name, study, "validation", finals, shared_variants(params.ablations, name)
        )


def write_runs(folder: Path, study: Study, split: str, finals: dict[tuple[str, str], float], shared: object) -> None:
    """A study's files. A run that `finals` doesn't have depends on variant and seed; one at chance has diverged."""
    runs = []
    for place, variant in enumerate(study.variants):
        for seed in variant.seeds if variant.name not in shared else ():
            accuracy = finals.get((folder.name, variant.name), 0.8 + 0.03 * place)
            seeded = accuracy if split == "test" else accuracy + 0.001 * seed
            runs.append(a_run(variant.name, seed, split, seeded, diverged=seeded == 0.1))
    write_study(folder, runs)


def write_data(folder: Path, name: str, edition: str, rng: np.random.Generator) -> None:
    """A prepared data set, as far as the report looks into it, and the facts about it."""
    images = rng.integers(0, 256, (IMAGES, *SHAPES[name]), dtype=np.uint8)
    one_hot = np.eye(10, dtype=np.uint8)[np.arange(IMAGES) % 10]
    for part in ("data/prepared", "data/models"):
        (folder / part).mkdir(exist_ok=True)
    np.savez(folder / f"data/prepared/{name}.npz", allow_pickle=False, test_images=images, test_labels=one_hot)
    facts = {"data_set": name, "edition": edition, "image_shape": SHAPES[name]}
    write_json(
        folder / f"reports/data/{name}.json", {**facts, "images": {"training": 90, "validation": 10, "test": 40}}
    )


def write_model(folder: Path, reports: str, name: str, rng: np.random.Generator) -> None:
    """The files of a model of record on data set `name`, which it knows nothing about."""
    one_hot = np.eye(10, dtype=np.uint8)[np.arange(IMAGES) % 10]
    run = a_run(name, 42, "validation", 0.9)
    write_record(folder / "reports" / reports, run, one_hot, rng.dirichlet(np.ones(10), IMAGES), CLASSES)


def write_perceptrons(folder: Path, name: str, rng: np.random.Generator) -> None:
    """What `train_torch` leaves behind."""
    for model in ("final", "record"):
        write_model(folder, f"train_torch/{model}", name, rng)
    weights = rng.normal(size=(12, int(np.prod(SHAPES[name]))))
    save(folder / "data/models/torch_record.safetensors", "layers.0.weight", weights)


def save(path: Path, key: str, array: np.ndarray) -> None:
    """A network of which the report looks at one array."""
    save_file({key: array.astype(np.float32)}, path)
