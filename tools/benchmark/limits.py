"""The limit that no network passes: how fast this machine multiplies large square matrices."""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from tools.benchmark.flops import product_flops
from tools.benchmark.ours_torch import bfloat16_here
from tools.benchmark.timing import Contestant, spread, take_turns

THREADS = (1, 2)
GIGA = 1e9


class Product(NamedTuple):
    """Where, and in what precision, matrices are multiplied; `multiply` works on `factors(side)`."""

    label: str
    factors: Callable[[int], tuple[Any, Any]]


def numpy_factors(dtype: type) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """Two matrices (side, side) in NumPy."""

    def factors(side: int) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(0)
        return tuple(generator.random((side, side)).astype(dtype) for _ in range(2))

    return factors


def torch_factors(dtype: torch.dtype) -> Callable[[int], tuple[torch.Tensor, torch.Tensor]]:
    """Two matrices (side, side) in PyTorch."""

    def factors(side: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        return tuple(torch.rand(side, side, generator=generator).to(dtype) for _ in range(2))

    return factors


PRODUCTS = {
    "numpy_float32": Product("NumPy float32", numpy_factors(np.float32)),
    "numpy_float64": Product("NumPy float64", numpy_factors(np.float64)),
    "torch_float32": Product("PyTorch float32", torch_factors(torch.float32)),
    "torch_bfloat16": Product("PyTorch bfloat16", torch_factors(torch.bfloat16)),
}


def products_here() -> dict[str, Product]:
    """Those of `PRODUCTS` that this processor has instructions for."""
    return {name: product for name, product in PRODUCTS.items() if name != "torch_bfloat16" or bfloat16_here()}


def product_seconds(product: Product, side: int, count: int) -> float:
    """Seconds of the fastest of `count` products of square matrices, after one that warms up.

    The fastest, since a limit is what the machine can do when nothing comes between.
    """
    left, right = product.factors(side)
    left @ right
    fastest = math.inf
    for _ in range(count):
        start = time.perf_counter()
        left @ right
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


def contestant(name: str, threads: int, side: int, count: int) -> Contestant:
    """The limit as a contestant, so that it is measured in every turn beside those it limits."""
    return Contestant(lambda: product_seconds(PRODUCTS[name], side, count), threads)


def rate(seconds: float, side: int) -> float:
    """Operations a second, from the seconds of one product."""
    return product_flops(side) / seconds


def measure_limits(side: int, count: int, repeats: int, seconds: float) -> dict[str, Any]:
    """GFLOP/s of each product on one and on two threads; None where the processor has no instructions for it."""
    here = products_here()
    names = {f"{name}_{threads}": (name, threads) for name in here for threads in THREADS}
    taken = take_turns(
        {key: contestant(name, threads, side, count) for key, (name, threads) in names.items()}, repeats, seconds
    )
    rows = []
    for name, product in PRODUCTS.items():
        rates: dict[str, Any] = {}
        for threads in THREADS:
            values = taken.get(f"{name}_{threads}")
            rates[str(threads)] = values and spread([rate(value, side) / GIGA for value in values])
        rows.append({"name": name, "label": product.label, "gflops": rates})
    return {"side": side, "rows": rows}
