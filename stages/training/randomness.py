"""Random generators, each made from a seed and a purpose alone.

Runs with equal seeds therefore share their initial weights, where shapes agree, and the order of their images (common
random numbers): comparisons are paired by seed.
"""

import hashlib

import numpy as np


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A generator for one purpose ("weights", "order", ...), the same on every machine."""
    digest = hashlib.sha256(purpose.encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, "<u4").tolist()])
