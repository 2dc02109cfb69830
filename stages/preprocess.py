"""Turn one downloaded data set into the compact file that training reads, and say what is in it.

    python -m stages.preprocess NAME

Writes data/prepared/NAME.npz (uint8 images, one-hot labels, the validation split, the normalisation) and
reports/data/NAME.json (counts, balance, duplicates).
"""

from pathlib import Path
from typing import Any

import numpy as np

from stages.common.arrays import write_arrays
from stages.common.editions import Edition, load_edition
from stages.common.errors import StudyError, exit_on_error
from stages.common.files import write_json
from stages.common.formats import Images, read_raw
from stages.common.params import load_params
from stages.common.pixels import copies_of, image_digests, normalisation, surplus_copies
from stages.common.stratified import validation_index

RAW, PREPARED, REPORTS = Path("data/raw"), Path("data/prepared"), Path("reports/data")


def main(arguments: list[str]) -> None:
    """`python -m stages.preprocess NAME`: NAME is a data set of params.yaml."""
    data = load_params(Path("params.yaml")).data
    if len(arguments) != 1 or arguments[0] not in data:
        raise StudyError(f"usage: python -m stages.preprocess NAME, where NAME is one of: {', '.join(data)}")
    name, settings = arguments[0], data[arguments[0]]
    edition = load_edition(name, settings.edition)
    train, test = read_raw(RAW / name, edition)
    validation = validation_index(
        train.labels, len(edition.class_names), settings.validation_images, settings.split_seed
    )
    in_training = np.ones(len(train.labels), bool)  # (n,)
    in_training[validation] = False
    splits = {
        "training": Images(train.images[in_training], train.labels[in_training]),
        "validation": Images(train.images[validation], train.labels[validation]),
        "test": test,
    }
    # The test and validation images stay out of the constants, or they would leak into training.
    mean, std = normalisation(splits["training"].images)
    write_prepared(PREPARED / f"{name}.npz", edition, train, test, validation, mean, std)
    write_json(REPORTS / f"{name}.json", describe(edition, splits, mean, std))
    print(
        f"{edition.label}: " + ", ".join(f"{len(part.labels):,} {split}" for split, part in splits.items()) + " images"
    )


def write_prepared(
    path: Path,
    edition: Edition,
    train: Images,
    test: Images,
    validation: np.ndarray,
    mean: np.ndarray,
    std: np.ndarray,
) -> None:
    """Write the arrays that `stages.common.datasets` reads, uncompressed: reading is quick, DVC stores it as it is."""
    classes = len(edition.class_names)
    write_arrays(
        path,
        {
            "train_images": train.images,
            "train_labels": one_hot(train.labels, classes),
            "test_images": test.images,
            "test_labels": one_hot(test.labels, classes),
            "validation_index": validation,
            "mean": mean,
            "std": std,
            "class_names": np.array(edition.class_names),
        },
    )


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Labels uint8 (n,) to one-hot rows, uint8 (n, classes)."""
    return np.eye(classes, dtype=np.uint8)[labels]


def describe(edition: Edition, splits: dict[str, Images], mean: np.ndarray, std: np.ndarray) -> dict[str, Any]:
    """What is in the prepared file, for the report and for whoever compares two editions."""
    digests = {split: image_digests(part.images) for split, part in splits.items()}
    return {
        "data_set": edition.data_set,
        "edition": edition.name,
        "images": {split: len(part.labels) for split, part in splits.items()},
        "image_shape": list(edition.image_shape),
        "mean": [round(value, 6) for value in mean.tolist()],
        "std": [round(value, 6) for value in std.tolist()],
        "class_balance": {split: _balance(part.labels, edition.class_names) for split, part in splits.items()},
        "duplicates": {
            "within": {split: surplus_copies(counts) for split, counts in digests.items()},
            "validation_images_in_training": copies_of(digests["validation"], digests["training"]),
            "test_images_in_training": copies_of(digests["test"], digests["training"]),
            "test_images_in_validation": copies_of(digests["test"], digests["validation"]),
        },
    }


def _balance(labels: np.ndarray, class_names: tuple[str, ...]) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(class_names)).tolist()
    return dict(zip(class_names, counts, strict=True))


if __name__ == "__main__":
    exit_on_error(main)
