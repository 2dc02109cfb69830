"""All that the report is written from: the two halves of the study, and the models of record."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from stages.common.params import Params
from stages.reporting.published import Published
from stages.reporting.record import Record, Scores
from stages.reporting.studies import Result
from stages.reporting.sweeps import NUMPY_STUDIES, TORCH_STUDIES, Sweep, numpy_sweep, torch_sweep

PUBLISHED_ON = "cifar10"  # the data set of the published PyTorch numbers


@dataclass(frozen=True)
class NumpyHalf:
    """The network from scratch: its published numbers, and every study of params.yaml's section `tune`."""

    published: Published
    results: Mapping[str, Result]

    def sweeps(self) -> list[Sweep]:
        """The published studies beside ours."""
        return [numpy_sweep(name, self.published, self.results) for name in NUMPY_STUDIES]

    def further_studies(self) -> list[Result]:
        """The studies that the published report didn't make."""
        known = {*NUMPY_STUDIES, *(f"published_{name}" for name in NUMPY_STUDIES)}
        return [result for name, result in self.results.items() if name not in known]


@dataclass(frozen=True)
class TorchHalf:
    """The PyTorch networks: their published numbers, and every study of params.yaml's section `ablations`.

    `final`: how the report's final model fares.
    """

    dataset: str
    published: Published
    results: Mapping[str, Result]
    final: Scores

    @property
    def comparable(self) -> bool:
        """Whether the published numbers are of the data set that was trained on here."""
        return self.dataset == PUBLISHED_ON

    def sweeps(self) -> list[Sweep]:
        """The published studies beside ours; where nothing compares, only those that params.yaml has."""
        return [
            torch_sweep(name, self.published, self.results, comparable=self.comparable)
            for name in TORCH_STUDIES
            if self.comparable or name in self.results
        ]

    def further_studies(self) -> list[Result]:
        """The studies that the published report didn't make."""
        return [result for name, result in self.results.items() if name not in TORCH_STUDIES]


@dataclass(frozen=True)
class Inputs:
    """Read and checked. `records`: each model of record by the name that its figures have."""

    params: Params
    data: pd.DataFrame
    numpy: NumpyHalf
    torch: TorchHalf
    records: Mapping[str, Record]
