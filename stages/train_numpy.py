"""The NumPy model of record: trained once, scored on the test images once, kept with all that its report needs."""

from pathlib import Path

import numpy as np

from stages.common.arrays import write_arrays
from stages.common.datasets import read_class_names, read_test
from stages.common.errors import StudyError, exit_on_error
from stages.common.files import write_json
from stages.common.numpy_run import scoring_images_and_labels, train_run
from stages.common.params import Params, load_params
from stages.common.progress import Progress
from stages.common.records import write_record
from stages.common.runs import Run
from stages.common.threads import single_threaded
from stages.numpy_net import Network, predict

PREPARED = Path("data/prepared/fashion_mnist.npz")
MODEL = Path("data/models/numpy.npz")
REPORTS = Path("reports/train_numpy")


def fit(params: Params) -> tuple[Run, Network, np.ndarray]:
    """Train; return the run, the network and its class probabilities of the test images: (n, classes)."""
    training = params.train_numpy
    with Progress("train_numpy", training.epochs, "epochs") as progress:

        def show(row: dict[str, float]) -> None:
            progress.advance(note=f"loss {row['loss']:.4f} accuracy {row['accuracy']:.4f}")

        run, network = train_run(training, PREPARED, "train_numpy", params.seed, show)
    images, _ = scoring_images_and_labels(PREPARED, training.pixels, training.precision)
    with np.errstate(all="ignore"):  # a diverged network overflows here too
        return run, network, predict(network, images)


def save(network: Network, path: Path) -> None:
    """Write weights (inputs, units) and biases (units,) of each dense layer; the same weights give the same bytes."""
    arrays = {}
    for number, layer in enumerate(network.dense, start=1):
        arrays[f"weights_{number}"] = layer.weights
        if layer.biases is not None:
            arrays[f"biases_{number}"] = layer.biases
    write_arrays(path, arrays)


def main(arguments: list[str]) -> None:
    """`python -m stages.train_numpy`."""
    if arguments:
        raise StudyError(f"train_numpy takes no arguments, not {' '.join(arguments)}")
    params = load_params()
    names = read_class_names(PREPARED)
    run, network, probabilities = single_threaded(fit, params)
    save(network, MODEL)
    write_json(MODEL.with_suffix(".json"), {"seed": params.seed, **params.train_numpy.model_dump()})
    write_record(REPORTS, run, read_test(PREPARED).labels, probabilities, names)


if __name__ == "__main__":
    exit_on_error(main)
