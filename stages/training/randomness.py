"""Every run has its own random generators, from its seed and its name: no run's numbers depend on another's."""

import hashlib

import numpy as np


def generators(seed: int, name: str, count: int) -> list[np.random.Generator]:
    """Return `count` independent generators for the run `name` with `seed`, the same on every machine."""
    digest = hashlib.sha256(name.encode()).digest()
    sequence = np.random.SeedSequence([seed, *np.frombuffer(digest, "<u4").tolist()])
    return [np.random.default_rng(child) for child in sequence.spawn(count)]
