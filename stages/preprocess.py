"""Convert one downloaded data set to the compact file that training reads, and describe its contents.

    python -m stages.preprocess NAME

Writes data/prepared/NAME.npz (uint8 images, one-hot labels, the validation split, the normalisation) and
reports/data/NAME.json (counts, balance, duplicates).
"""

from pathlib import Path

import numpy as np

from stages.datasets.contents import read_contents
from stages.datasets.editions import load_edition
from stages.datasets.formats import Images, decode
from stages.datasets.split import validation_index
from stages.datasets.statistics import describe, normalisation
from stages.errors import StudyError, choose_name, exit_on_error
from stages.params import load_params
from stages.training.files import write_json
from stages.training.prepared import write_prepared

RAW, PREPARED, REPORTS = Path("data/raw"), Path("data/prepared"), Path("reports/data")


def main(arguments: list[str]) -> None:
    """`NAME` is a data set of params.yaml."""
    data = load_params().data
    name = choose_name(arguments, data)
    settings = data[name]
    edition = load_edition(name, settings.edition)
    try:
        files = read_contents(RAW / name, edition)
    except StudyError as error:
        raise StudyError(f"{RAW / name}: {error}; run `dvc repro download`") from error
    train, test = decode(files, edition)
    classes = len(edition.class_names)
    validation = validation_index(train.labels, classes, settings.validation_images, settings.split_seed)
    in_training = np.ones(len(train.labels), bool)  # (n,)
    in_training[validation] = False
    splits = {
        "training": Images(train.images[in_training], train.labels[in_training]),
        "validation": Images(train.images[validation], train.labels[validation]),
        "test": test,
    }
    # Test and validation images are excluded from the constants: they would leak into training.
    mean, std = normalisation(splits["training"].images)
    one_hot = np.eye(classes, dtype=np.uint8)
    arrays = {
        "train_images": train.images,
        "train_labels": one_hot[train.labels],
        "test_images": test.images,
        "test_labels": one_hot[test.labels],
        "validation_index": validation,
        "mean": mean,
        "std": std,
        "class_names": np.array(edition.class_names),
    }
    write_prepared(PREPARED / f"{name}.npz", arrays)
    write_json(REPORTS / f"{name}.json", describe(edition, splits, mean, std))
    print(f"{edition.label}: {', '.join(f'{len(part.labels):,} {split}' for split, part in splits.items())} images")


if __name__ == "__main__":
    exit_on_error(main)
