"""Where the numbers come from: data editions, counts, versions, seeds. No times and no hosts: the report is the same
whenever and wherever it is written from the same results.
"""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from stages.common.params import Params
from stages.reporting.inputs import damaged, read_record
from stages.reporting.studies import Result
from stages.reporting.tables import listed

LIBRARIES = ("numpy", "pandas", "matplotlib", "dvc")


def data_sets(params: Params) -> list[str]:
    """The data sets that the study trains on."""
    return list(dict.fromkeys(["fashion_mnist", params.train_torch.dataset]))


def data_table(folder: Path, names: list[str]) -> pd.DataFrame:
    """A row a data set: the edition and counts that `preprocess` found."""
    rows = []
    for name in names:
        path = folder / f"{name}.json"
        facts = read_record(path)
        try:
            shape = " × ".join(str(side) for side in facts["image_shape"])
            counts = {split: f"{facts['images'][split]:,}" for split in ("training", "validation", "test")}
            rows.append({"data set": name, "edition": facts["edition"], "image": shape, **counts})
        except (KeyError, TypeError) as error:
            raise damaged(path) from error
    return pd.DataFrame(rows)


def versions_table() -> pd.DataFrame:
    """What computed the results and drew the figures. Of Python, the minor version: patches change no result."""
    rows = [{"software": "python", "version": ".".join(platform.python_version_tuple()[:2])}]
    for library in LIBRARIES:
        try:
            rows.append({"software": library, "version": version(library)})
        except PackageNotFoundError:
            rows.append({"software": library, "version": "not installed"})
    return pd.DataFrame(rows)


def studies_table(results: Mapping[str, Result]) -> pd.DataFrame:
    """A row a study: its size, its seeds and what its runs were scored on."""
    return pd.DataFrame(
        [
            {
                "study": name,
                "scored on": result.split,
                "variants": len(result.variants),
                "seeds": listed(result.study.seeds),
                "runs": len(result.runs),
                "diverged": len(result.diverged),
            }
            for name, result in results.items()
        ]
    )
