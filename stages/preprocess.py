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
from stages.datasets.own import read_own
from stages.datasets.split import draw
from stages.datasets.statistics import describe, normalisation
from stages.errors import StudyError, choose_name, exit_on_error
from stages.params import Data, EditionData, load_params
from stages.training.files import write_json
from stages.training.prepared import write_prepared

RAW, PREPARED, REPORTS = Path("data/raw"), Path("data/prepared"), Path("reports/data")


def main(arguments: list[str]) -> None:
    """`NAME` is a data set of params.yaml."""
    data = load_params().data
    name = choose_name(arguments, data)
    settings = data[name]
    edition, train, test, class_names = read_raw(name, settings)
    classes = len(class_names)
    if settings.share < 1:
        train, test = (part_of(each, classes, settings) for each in (train, test))
    validation = draw(train.labels, classes, settings.validation_images, settings.split_seed, "validation_images")
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
        "class_names": np.array(class_names),
    }
    write_prepared(PREPARED / f"{name}.npz", arrays)
    write_json(REPORTS / f"{name}.json", describe(name, edition, class_names, splits, mean, std))
    print(f"{name}: {', '.join(f'{len(part.labels):,} {split}' for split, part in splits.items())} images")


def part_of(images: Images, classes: int, settings: Data) -> Images:
    """A share of the images of each class."""
    chosen = draw(images.labels, classes, round(settings.share * len(images.labels)), settings.split_seed, "share")
    return Images(images.images[chosen], images.labels[chosen])


def read_raw(name: str, settings: Data) -> tuple[str, Images, Images, tuple[str, ...]]:
    """The edition (of one's own images: own), training and test images, and the names of the classes."""
    if isinstance(settings, EditionData):
        edition = load_edition(name, settings.edition)
        try:
            files = read_contents(RAW / name, edition)
        except StudyError as error:
            raise StudyError(f"{RAW / name}: {error}; run `dvc repro download`") from error
        return edition.name, *decode(files, edition), edition.class_names
    return settings.edition, *read_own(Path(settings.source), settings.size, settings.test_share, settings.split_seed)


if __name__ == "__main__":
    exit_on_error(main)
