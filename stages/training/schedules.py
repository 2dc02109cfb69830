"""Learning-rate schedules: the rate of every step, computed before training begins."""

import numpy as np

FLOOR = 1e-4  # where the falling schedules end, as a fraction of the highest rate


def learning_rates(schedule: str, lr: float, epochs: int, steps: int, warmup: float = 0.0) -> np.ndarray:
    """Return the rate of every step: float64 (epochs, steps).

    `constant`: lr throughout. `cosine`: from lr down half a cosine wave (Loshchilov & Hutter 2017, equation 5).
    `one_cycle`: a linear climb over the first `warmup` fraction of all steps, then the same descent (after Smith 2018).
    """
    count = epochs * steps
    rising = round(warmup * count) if schedule == "one_cycle" else 0
    if schedule == "constant":
        rates = np.full(count, lr)
    else:
        climb = np.arange(1, rising + 1) / (rising + 1)  # (rising,)
        progress = np.arange(count - rising) / max(count - rising - 1, 1)  # (falling,), 0 to 1
        descent = FLOOR + (1 - FLOOR) * (1 + np.cos(np.pi * progress)) / 2
        rates = lr * np.concatenate([climb, descent])
    return rates.reshape(epochs, steps)
