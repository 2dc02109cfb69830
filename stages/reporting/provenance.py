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
from stages.reporting.naming import seeds_name
from stages.reporting.studies import Result
from stages.reporting.tables import NOTHING

LIBRARIES = ("numpy", "torch", "torchvision", "safetensors", "pandas", "matplotlib", "dvc")


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
    """What computed the results and drew the figures. Of Python, the minor version: patches change no result; of the

    libraries, the release, whatever it was built for.
    """
    rows = [{"software": "python", "version": ".".join(platform.python_version_tuple()[:2])}]
    for library in LIBRARIES:
        try:
            rows.append({"software": library, "version": version(library).partition("+")[0]})
        except PackageNotFoundError:
            rows.append({"software": library, "version": "not installed"})
    return pd.DataFrame(rows)


def studies_table(halves: Mapping[str, Mapping[str, Result]]) -> pd.DataFrame:
    """A row a study of each half, by the name of its framework: its size, its seeds, what its runs were scored on.

    Runs that another study trained are counted there alone.
    """
    rows = []
    for framework, results in halves.items():
        for name, result in results.items():
            own = result.runs[~result.runs["variant"].isin(result.shared)]
            rows.append(
                {
                    "network": framework,
                    "study": name,
                    "scored on": result.split,
                    "variants": len(result.variants),
                    "shared": len(result.shared) or NOTHING,
                    "seeds": seeds_name(result.seeds),
                    "runs": len(own),
                    "diverged": (own["status"] == "diverged").sum(),
                }
            )
    return pd.DataFrame(rows)
