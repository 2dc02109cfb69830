"""What the network from scratch costs beside PyTorch: one epoch of 784-64-10 on one thread, two mini-batch sizes.

    python -m tools.bench          (or: make bench)

PyTorch is written as its tutorials write it, eagerly; both shuffle, take mini-batches, and step by plain gradient
descent. The two take turns, so that a busy machine slows both; figures are medians. Writes benchmark.json, which git
ignores: times belong to a machine, not to the study.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from stages.common.datasets import read_split, scale
from stages.numpy_net import Network, epochs
from stages.numpy_net.losses import objective
from stages.numpy_net.optimisers import optimiser

PREPARED = Path("data/prepared/fashion_mnist.npz")
RESULT = Path("benchmark.json")
SIZES = (784, 64, 10)
IMAGES = 50_000
BATCH_SIZES = (8, 128)
REPEATS = 7
LR = 0.01


def data() -> tuple[np.ndarray, np.ndarray]:
    """Images float32 (n, 784) and one-hot labels float32 (n, 10): the prepared data set, or else noise."""
    if PREPARED.exists():
        images, labels = read_split(PREPARED, "training")
        return scale(images), labels.astype(np.float32)
    generator = np.random.default_rng(0)
    images = generator.random((IMAGES, SIZES[0]), dtype=np.float32)
    return images, np.eye(SIZES[-1], dtype=np.float32)[generator.integers(SIZES[-1], size=IMAGES)]


def numpy_epoch(x: np.ndarray, y: np.ndarray, batch_size: int) -> float:
    """Seconds that one epoch takes the network from scratch."""
    activations = ("relu",) * (len(SIZES) - 1) + ("softmax",)
    architecture = [{"input_nodes": n, "activation": a} for n, a in zip(SIZES, activations, strict=True)]
    network = Network(architecture, generator=np.random.default_rng(0))
    rates = np.full((1, -(-len(x) // batch_size)), LR)
    start = time.perf_counter()
    next(
        epochs(
            network,
            objective("cross_entropy", np.float32),
            optimiser("sgd", network.parameters),
            x,
            y,
            evaluation=(x[:1], y[:1]),
            learning_rates=rates,
            batch_size=batch_size,
            generator=np.random.default_rng(1),
        )
    )
    return time.perf_counter() - start


def torch_epoch(x: np.ndarray, y: np.ndarray, batch_size: int) -> float:
    """Seconds that one epoch takes PyTorch, eager mode."""
    torch.manual_seed(0)
    images, labels = torch.from_numpy(x), torch.from_numpy(y.argmax(axis=1))
    inputs, hidden, classes = SIZES
    model = torch.nn.Sequential(torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, classes))
    steps = torch.optim.SGD(model.parameters(), lr=LR)
    start = time.perf_counter()
    order = torch.randperm(len(images))
    for first in range(0, len(images), batch_size):
        chosen = order[first : first + batch_size]
        loss = torch.nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
        steps.zero_grad()
        loss.backward()
        steps.step()
    return time.perf_counter() - start


def measure(x: np.ndarray, y: np.ndarray, batch_size: int) -> dict[str, float | list[float]]:
    """Alternate the two; the first round only warms up."""
    timers: dict[str, Callable[[np.ndarray, np.ndarray, int], float]] = {"numpy": numpy_epoch, "torch": torch_epoch}
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    for repeat in range(REPEATS + 1):
        for name, timer in timers.items():
            taken = timer(x, y, batch_size)
            if repeat:
                seconds[name].append(round(taken, 4))
    ratio = statistics.median(seconds["torch"]) / statistics.median(seconds["numpy"])
    return {"batch_size": batch_size, **seconds, "times_as_fast": round(ratio, 2)}


def main() -> None:
    """Measure, print a table, write benchmark.json."""
    torch.set_num_threads(1)
    x, y = data()
    print(f"One epoch of {'-'.join(map(str, SIZES))}, {len(x):,} images, one thread, seconds: median (least to most)")
    print(f"{'batch':>6}  {'NumPy':>22}  {'PyTorch eager':>22}  NumPy is")
    results = []
    with threadpool_limits(1):
        for batch_size in BATCH_SIZES:
            row = measure(x, y, batch_size)
            results.append(row)
            cells = [
                f"{statistics.median(row[name]):.2f} ({min(row[name]):.2f} to {max(row[name]):.2f})"
                for name in ("numpy", "torch")
            ]
            print(
                f"{batch_size:>6}  {cells[0]:>22}  {cells[1]:>22}  {row['times_as_fast']:.2f} times as fast", flush=True
            )
    about = {"numpy": np.__version__, "torch": torch.__version__, "python": platform.python_version()}
    RESULT.write_text(json.dumps({"versions": about, "images": len(x), "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
