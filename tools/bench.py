"""How fast the networks and the pipeline are, compared with other implementations and with the limit of the machine.

    python -m tools.bench            (make bench: about three minutes on two idle cores)
    python -m tools.bench --quick    (single steps and no processes: only to check that it works)

Implementations take turns in every repeat, so that a busy machine slows all of them; numbers are medians. The limit is
the time that the matrix products alone would take, at the rate of large products measured in the same turns. Images are
random, of the shapes of the data sets: speed does not depend on their content. In this process, NumPy and PyTorch use
all instructions of the processor, as with `arithmetic: native`. JAX takes part if it is installed.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from dvc.utils.serialize import modify_yaml
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from stages import numpy_net
from stages.numpy_net.losses import CrossEntropy
from stages.numpy_net.optimisers import optimiser
from stages.numpy_net.published import Published
from stages.params import load_params
from stages.torch_net import optimisers as torch_optimisers
from stages.torch_net import training as torch_training
from stages.torch_net.cnn import CNN
from stages.torch_net.devices import has_bfloat16, make_deterministic, make_native
from stages.torch_net.images import Augmentation, Batches, Normalisation
from stages.torch_net.mlp import MLP
from stages.training.prepared import scale
from tests.published_code import published_training

if find_spec("jax"):
    from tools import jax_network

FASHION_MNIST, CIFAR10 = (50_000, 28, 28, 1), (45_000, 32, 32, 3)  # shapes of the training splits
SHALLOW, DEEP, CIFAR_MLP = (784, 64, 10), (784, 512, 256, 128, 64, 10), (3072, 256, 128, 10)
# Units, batch size, how many steps of an epoch are timed; the time is scaled to the epoch.
ROWS = [
    *((SHALLOW, 1, 1000), (SHALLOW, 8, 1000), (SHALLOW, 128, 391), (SHALLOW, 1024, 49)),
    *((DEEP, 1, 150), (DEEP, 8, 200), (DEEP, 128, 40), (DEEP, 1024, 12)),
    (CIFAR_MLP, 128, 60),
]
LR = 0.001
CORES = os.cpu_count() or 1
BFLOAT16 = has_bfloat16(torch.device("cpu"))
STAGES = ("download", "preprocess", "train_numpy", "tune", "train_torch", "ablations", "report")
SWEEP = "optimiser"


class Data:
    """Random `images`, uint8 (n, height, width, channels), and `one_hot` labels, float32 (n, 10)."""

    def __init__(self, images: int, *shape: int) -> None:
        rng = np.random.default_rng(0)
        self.images = rng.integers(256, size=(images, *shape), dtype=np.uint8)
        self.one_hot = np.eye(10, dtype=np.float32)[rng.integers(10, size=images)]

    @cached_property
    def pixels(self) -> np.ndarray:
        """Float32 (n, inputs) in [0, 1]."""
        return scale(self.images)

    @cached_property
    def labels(self) -> np.ndarray:
        """Class numbers int64 (n,)."""
        return self.one_hot.argmax(axis=1)

    def steps(self, batch_size: int) -> int:
        """Mini-batches of an epoch."""
        return -(-len(self.images) // batch_size)


def seconds(work: Callable[[], Any]) -> float:
    """Wall seconds of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def take_turns(timers: Mapping[str, tuple[Callable[[], float], int]], repeats: int) -> pd.DataFrame:
    """What each timer returns on its number of threads, one row per repeat; after seven seconds, only three."""
    rows, start = [], time.perf_counter()
    while len(rows) < repeats and (len(rows) < 3 or time.perf_counter() - start < 7):
        rows.append({})
        for name, (timer, threads) in timers.items():
            with threadpool_limits(threads):
                torch.set_num_threads(threads)
                rows[-1][name] = timer()
    return pd.DataFrame(rows)


# The limit


def training_flops(sizes: Sequence[int], images: int) -> int:
    """Operations of the matrix products of an epoch: forward, gradients of weights, errors of hidden layers.

    (n, inputs) times (inputs, units) takes 2 · n · inputs · units.
    """
    weights = [inputs * units for inputs, units in pairwise(sizes)]
    return 2 * images * (2 * sum(weights) + sum(weights[1:]))


def product_rate(convert: Callable[[np.ndarray], Any], side: int) -> float:
    """Operations a second in the fastest of six products of square matrices."""
    factor = convert(np.random.default_rng(0).random((side, side), dtype=np.float32))
    return 2 * side**3 / min(seconds(lambda: factor @ factor) for _ in range(6))


PRODUCTS = {
    "NumPy float32": np.asarray,
    "NumPy float64": lambda factor: factor.astype(np.float64),
    "PyTorch float32": torch.from_numpy,
    "PyTorch bfloat16": lambda factor: torch.from_numpy(factor).bfloat16(),
}


# Implementations of a perceptron: seconds of training once on the data


def numpy_epoch(data: Data, sizes: Sequence[int], batch_size: int) -> float:
    """The network from scratch, `stages.numpy_net`."""
    hidden = [{"input_nodes": size, "activation": "relu"} for size in sizes[:-1]]
    network = numpy_net.build([*hidden, {"input_nodes": sizes[-1], "activation": "softmax"}], np.random.default_rng(0))
    epochs = numpy_net.train(
        network,
        CrossEntropy(),
        optimiser("sgd", network.parameters),
        data.pixels,
        data.one_hot,
        learning_rates=np.full((1, data.steps(batch_size)), LR),
        batch_size=batch_size,
        rng=np.random.default_rng(1),
    )
    return seconds(lambda: next(epochs))


def torch_epoch(data: Data, sizes: Sequence[int], batch_size: int, bfloat16: bool = False) -> float:
    """The perceptron of `stages.torch_net`."""
    model = MLP(sizes[0], sizes[1:-1], sizes[-1], generator=torch.Generator())
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    return second_epoch(model, data, batch_size, Augmentation(0, False, 0, torch.Generator()), dtype)


def second_epoch(
    model: nn.Module,
    data: Data,
    batch_size: int,
    augment: Augmentation,
    dtype: torch.dtype,
    optimisation: Sequence[Any] = ("sgd", 0.0, 0.0),
    **settings: Any,
) -> float:
    """The second of two epochs of `stages.torch_net`.

    `optimisation`: optimiser, momentum, weight decay.
    """
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    name, momentum, weight_decay = optimisation
    half = torch.full(images.shape[-1:], 0.5)
    batches = Batches(
        Normalisation(half, half)(augment.pad(images), dtype), labels, batch_size, augment, torch.Generator()
    )
    phase = torch_training.Phase(name, [[LR] * data.steps(batch_size)] * 2, momentum, weight_decay)
    epochs = torch_training.train(model, batches, [phase], dtype=dtype, **settings)
    make_deterministic()
    next(epochs)
    taken = seconds(lambda: next(epochs))
    torch.set_deterministic_debug_mode("default")  # the other implementations do not use it
    return taken


def tutorial_epoch(data: Data, sizes: Sequence[int], batch_size: int) -> float:
    """PyTorch as in its tutorials, with a data loader."""
    dataset = TensorDataset(torch.from_numpy(data.pixels), torch.from_numpy(data.labels))
    loader = DataLoader(dataset, batch_size=batch_size, shuffle=True)
    layers = [layer for inputs, units in pairwise(sizes) for layer in (nn.Linear(inputs, units), nn.ReLU())]
    model = nn.Sequential(*layers[:-1])
    loss_function = nn.CrossEntropyLoss()
    sgd = torch.optim.SGD(model.parameters(), lr=LR)

    def train() -> None:
        for images, labels in loader:
            loss = loss_function(model(images), labels)
            sgd.zero_grad()
            loss.backward()
            sgd.step()

    return seconds(train)


def scikit_epoch(data: Data, sizes: Sequence[int], batch_size: int) -> float:
    """scikit-learn's MLPClassifier with plain gradient descent."""
    settings = {"solver": "sgd", "alpha": 0.0, "momentum": 0.0, "learning_rate_init": LR, "batch_size": batch_size}
    model = MLPClassifier(sizes[1:-1], random_state=0, **settings)
    model.partial_fit(data.pixels[:batch_size], data.labels[:batch_size], classes=np.arange(sizes[-1]))  # draws weights
    return seconds(lambda: model.partial_fit(data.pixels, data.labels))


def jax_epoch(data: Data, sizes: Sequence[int], batch_size: int) -> float:
    """JAX with one compiled loop an epoch, the second of two."""
    x, y = jax_network.jnp.asarray(data.pixels), jax_network.jnp.asarray(data.one_hot)
    order = np.random.default_rng(1).permutation(len(x)).reshape(-1, batch_size)

    def train(layers: Any) -> Any:
        return jax_network.jax.block_until_ready(jax_network.train(layers, x, y, order, LR))

    layers = train(jax_network.draw(sizes))
    return seconds(lambda: train(layers))


# Name: function, threads, the product whose rate is its limit
IMPLEMENTATIONS = {
    "NumPy": (numpy_epoch, 1, "NumPy float32"),
    "NumPy, 2 threads": (numpy_epoch, 2, None),
    "torch_net": (torch_epoch, 1, "PyTorch float32"),
    "torch_net, bfloat16": (partial(torch_epoch, bfloat16=True), 1, "PyTorch bfloat16"),
    "PyTorch, tutorial": (tutorial_epoch, 1, None),
    "scikit-learn": (scikit_epoch, 1, None),
    "JAX": (jax_epoch, 1, None),
}
if not BFLOAT16:
    del IMPLEMENTATIONS["torch_net, bfloat16"], PRODUCTS["PyTorch bfloat16"]
if not find_spec("jax"):
    del IMPLEMENTATIONS["JAX"]


# The published code, which also evaluates


def with_evaluation(images: int, tests: int) -> dict[str, Callable[[], float]]:
    """Seconds of the published computation, an epoch and its test images: literally, and as `stages.numpy_net` has it.

    784-64-10, ReLU, float64, batch size 128.
    """
    data, test = Data(images, *FASHION_MNIST[1:]), Data(tests, *FASHION_MNIST[1:])
    arrays = [each.astype(np.float64) for each in (data.pixels, data.one_hot, test.pixels, test.one_hot)]
    architecture = [{"input_nodes": size, "activation": "relu"} for size in SHALLOW[:-1]]
    architecture.append({"input_nodes": SHALLOW[-1], "activation": "softmax"})

    def here() -> None:
        rng = np.random.default_rng(0)
        network, loss = numpy_net.build(architecture, rng, bias=False, dtype=np.float64), Published()
        rates = np.full((1, data.steps(128)), LR)
        descent = optimiser("sgd", network.parameters)
        next(numpy_net.train(network, loss, descent, *arrays[:2], learning_rates=rates, batch_size=128, rng=rng))
        numpy_net.evaluate(network, loss, *arrays[2:])

    published = partial(published_training, *arrays, SHALLOW, "relu", LR, 128, epochs=1)
    return {"published": partial(seconds, published), "NumPy": partial(seconds, here)}


# The convolutional network


def cnn_epochs(batches: int, batch_size: int) -> dict[str, Callable[[], float]]:
    """Seconds of training the final network of CIFAR-10 on so many batches: as in the study, and a bare loop."""
    data, settings = Data(batches * batch_size, *CIFAR10[1:]), load_params().train_torch["cnn_large"].training
    optimisation = (settings.optimiser, settings.momentum, settings.weight_decay)
    smoothing, bfloat16 = {"label_smoothing": settings.label_smoothing}, BFLOAT16 and settings.precision == "bfloat16"

    def model() -> CNN:
        output = {"activation": settings.activation, "logit_scale": settings.logit_scale}
        return CNN(3, settings.stem, settings.widths, 10, generator=torch.Generator(), **output)

    def real() -> float:
        augment = Augmentation(settings.shift, settings.flip, settings.cutout, torch.Generator())
        dtype = torch.bfloat16 if bfloat16 else torch.float32
        return second_epoch(model(), data, batch_size, augment, dtype, optimisation, **smoothing)

    def bare() -> float:
        network, (name, momentum, weight_decay) = model(), optimisation
        x, y = torch.from_numpy(data.images[:batch_size]) / 255, torch.from_numpy(data.labels[:batch_size])
        step = torch_optimisers.optimiser(name, network.parameters(), momentum=momentum, weight_decay=weight_decay)

        def train(steps: int) -> None:
            for _ in range(steps):
                with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                    logits = network(x)
                torch_training.take_step(step, cross_entropy(logits.float(), y, **smoothing), LR)

        train(1)
        return seconds(lambda: train(batches))

    return {"training": real, "bare loop": bare}


# Tables


def show(title: str, table: pd.DataFrame) -> None:
    """Print a Markdown table."""
    print(f"\n{title}\n\n{table.to_markdown(disable_numparse=True)}", flush=True)


def number(values: Any) -> str:
    """The median with three digits."""
    median = float(np.median(values))
    return f"{median:,.0f}" if median >= 100 else f"{median:.3g}"


def networks(quick: bool) -> None:
    """Tables of the limit, of the perceptrons and of the convolutional network."""
    side, repeats = (64, 1) if quick else (1024, 5)
    table = pd.DataFrame()
    for threads in (1, 2):
        timers = {name: (partial(product_rate, convert, side), threads) for name, convert in PRODUCTS.items()}
        table[f"{threads} threads"] = (take_turns(timers, repeats) / 1e9).agg(number)
    show(f"GFLOP/s in products of square matrices of {side} rows", table)

    rows = {}
    for sizes, batch_size, steps in ROWS:
        images, *shape = FASHION_MNIST if sizes[0] == 784 else CIFAR10
        data, few = Data(batch_size * (1 if quick else steps), *shape), Data(8, *shape)
        timers = {name: (partial(product_rate, PRODUCTS[name], side), 1) for name in PRODUCTS}
        for name, (epoch, threads, _) in IMPLEMENTATIONS.items():
            epoch(few, sizes, 8)  # the set-up that libraries do at their first call is not timed
            timers[name] = (partial(epoch, data, sizes, batch_size), threads)
        taken = take_turns(timers, repeats)
        row = rows[f"{'-'.join(map(str, sizes))}, {batch_size}"] = {}
        for name, (*_, limit) in IMPLEMENTATIONS.items():
            row[name] = number(taken[name] * images / len(data.images))
            if limit:
                share = training_flops(sizes, len(data.images)) / taken[limit] / taken[name]
                row[name] += f" ({np.median(share):.0%})"
    show("Seconds per epoch (share of the limit), by network and batch size; float32, one thread", pd.DataFrame(rows).T)

    timers = {name: (timer, 1) for name, timer in with_evaluation(*((256, 8) if quick else (50_000, 10_000))).items()}
    taken = take_turns(timers, repeats)
    taken["ratio"] = taken["published"] / taken["NumPy"]
    show("Seconds of an epoch as published, with its evaluation, one thread", taken.agg(number).to_frame().T)

    batch_size = 8 if quick else load_params().train_torch["cnn_large"].training.batch_size
    timers = {name: (timer, CORES) for name, timer in cnn_epochs(2, batch_size).items()}
    rates = 2 * batch_size / take_turns(timers, repeats)
    rates["share"] = rates["training"] / rates["bare loop"]
    show(f"Images per second, CNN, batch size {batch_size}, {CORES} threads", rates.agg(number).to_frame().T)


# Separate processes


def run(*command: str, folder: str = ".", **environment: str) -> str:
    """The output of `python COMMAND`; ends the benchmark with its last line if it fails."""
    known = {**os.environ, "PYTHONPATH": str(Path.cwd()), **environment}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=known, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"error: python {' '.join(command)}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
    return done.stdout


MEMORY = {
    "NumPy 784-512-256-128-64-10": lambda: numpy_epoch(Data(*FASHION_MNIST), DEEP, 128),
    "PyTorch, tutorial, the same": lambda: tutorial_epoch(Data(*FASHION_MNIST), DEEP, 128),
    "scikit-learn, the same": lambda: scikit_epoch(Data(*FASHION_MNIST), DEEP, 128),
    "torch_net 3072-256-128-10": lambda: torch_epoch(Data(*CIFAR10), CIFAR_MLP, 128),
    "CNN, 256 images": lambda: cnn_epochs(2, 128)["training"](),
}


def memory_mib(field: str) -> int:
    """From Linux's /proc/self/status: VmRSS, the memory in use, or VmHWM, its peak."""
    return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024


def sweep_seconds(jobs: int) -> float:
    """The variants of a sweep, one epoch each, in a new folder, where the run cache is empty."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree("data/prepared", Path(folder, "data/prepared"), ignore=shutil.ignore_patterns("cifar*"))
        params = Path(shutil.copy("params.yaml", folder))
        with modify_yaml(params) as settings:
            settings["tune"][SWEEP] |= {"seeds": 1, "settings": {"epochs": 1}}
        return seconds(lambda: run("-m", "stages.tune", SWEEP, folder=folder, STUDY_JOBS=str(jobs)))


def processes() -> None:
    """Tables of memory, start-up and the pipeline."""
    if Path("/proc/self/status").exists():
        peaks = {name: run("-m", "tools.bench", "--memory", name, OMP_NUM_THREADS="1") for name in MEMORY}
        show("Peak MiB of training, without Python and its imports", pd.Series(peaks, name="MiB").to_frame())
    taken = {f"imports of {name}": seconds(lambda name=name: run("-c", f"import stages.{name}")) for name in STAGES}
    if Path("data/prepared/fashion_mnist.npz").exists():
        taken |= {f"a sweep, {jobs} jobs": sweep_seconds(jobs) for jobs in (1, 2)}
        if "Running stage" not in run("-m", "dvc", "repro", "--dry"):
            taken["dvc repro, nothing to do"] = seconds(lambda: run("-m", "dvc", "repro"))
    show("Seconds of processes, measured once", pd.Series(taken, name="seconds").map(number).to_frame())


def main() -> None:
    """Print tables."""
    make_native()
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="single steps and no processes")
    parser.add_argument("--memory", choices=MEMORY, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        before = memory_mib("VmRSS")
        MEMORY[options.memory]()
        print(memory_mib("VmHWM") - before)
        return
    print(f"{platform.platform()}, {CORES} cores, load {os.getloadavg()[0]:.1f}")
    networks(options.quick)
    if not options.quick:
        processes()


if __name__ == "__main__":
    main()
