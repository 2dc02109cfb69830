"""Optimisers: from a gradient to a step, for all parameters in one flat vector.

`step` updates `parameters` in place and may overwrite `gradient`; both, and the state, are vectors (parameters,). The
update rules are those of PyTorch's optimisers of the same names.
"""

import math

import numpy as np


class Sgd:
    """θ ← θ - lr g."""

    def __init__(self, parameters: np.ndarray) -> None:
        pass

    def step(self, parameters: np.ndarray, gradient: np.ndarray, lr: float) -> None:
        """One update."""
        gradient *= lr  # in place: with small batches, this step is most of the work
        parameters -= gradient


class Momentum:
    """v ← μ v + g, θ ← θ - lr v (Polyak 1964)."""

    def __init__(self, parameters: np.ndarray, *, momentum: float = 0.9) -> None:
        self.momentum = momentum
        self.velocity = np.zeros_like(parameters)

    def step(self, parameters: np.ndarray, gradient: np.ndarray, lr: float) -> None:
        """One update."""
        self.velocity *= self.momentum
        self.velocity += gradient
        parameters -= lr * self.velocity


class Nesterov(Momentum):
    """v ← μ v + g, θ ← θ - lr (g + μ v) (Sutskever et al. 2013)."""

    def step(self, parameters: np.ndarray, gradient: np.ndarray, lr: float) -> None:
        """One update."""
        self.velocity *= self.momentum
        self.velocity += gradient
        parameters -= lr * (gradient + self.momentum * self.velocity)


class Adagrad:
    """s ← s + g², θ ← θ - lr g / (sqrt(s) + ε) (Duchi et al. 2011)."""

    def __init__(self, parameters: np.ndarray, *, epsilon: float = 1e-10) -> None:
        self.epsilon = epsilon
        self.squares = np.zeros_like(parameters)

    def step(self, parameters: np.ndarray, gradient: np.ndarray, lr: float) -> None:
        """One update."""
        self.squares += gradient * gradient
        parameters -= lr * gradient / (np.sqrt(self.squares) + self.epsilon)


class Rmsprop:
    """s ← ρ s + (1 - ρ) g², θ ← θ - lr g / (sqrt(s) + ε) (Tieleman & Hinton 2012)."""

    def __init__(self, parameters: np.ndarray, *, decay: float = 0.99, epsilon: float = 1e-8) -> None:
        self.decay, self.epsilon = decay, epsilon
        self.squares = np.zeros_like(parameters)

    def step(self, parameters: np.ndarray, gradient: np.ndarray, lr: float) -> None:
        """One update."""
        self.squares *= self.decay
        self.squares += (1 - self.decay) * gradient * gradient
        parameters -= lr * gradient / (np.sqrt(self.squares) + self.epsilon)


class Adam:
    """m ← β₁ m + (1 - β₁) g, s ← β₂ s + (1 - β₂) g², θ ← θ - lr m̂ / (sqrt(ŝ) + ε) (Kingma & Ba 2015).

    m̂ and ŝ are m and s divided by 1 - βᵗ, which corrects their start at zero.
    """

    def __init__(
        self, parameters: np.ndarray, *, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.mean, self.squares = np.zeros_like(parameters), np.zeros_like(parameters)
        self.steps = 0

    def step(self, parameters: np.ndarray, gradient: np.ndarray, lr: float) -> None:
        """One update."""
        self.steps += 1
        self.mean *= self.beta1
        self.mean += (1 - self.beta1) * gradient
        self.squares *= self.beta2
        self.squares += (1 - self.beta2) * gradient * gradient
        # The corrections applied to numbers, not to vectors: lr m̂ = rate m, sqrt(ŝ) = sqrt(s) / correction.
        rate = lr / (1 - self.beta1**self.steps)
        correction = math.sqrt(1 - self.beta2**self.steps)
        parameters -= rate * self.mean / (np.sqrt(self.squares) / correction + self.epsilon)


class AdamW(Adam):
    """Adam with decoupled weight decay: θ first shrinks by lr · decay · θ (Loshchilov & Hutter 2019)."""

    def __init__(self, parameters: np.ndarray, *, weight_decay: float = 0.01, **settings: float) -> None:
        super().__init__(parameters, **settings)
        self.weight_decay = weight_decay

    def step(self, parameters: np.ndarray, gradient: np.ndarray, lr: float) -> None:
        """One update."""
        parameters *= 1 - lr * self.weight_decay
        super().step(parameters, gradient, lr)


OPTIMISERS = {
    "sgd": Sgd,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "rmsprop": Rmsprop,
    "adam": Adam,
    "adamw": AdamW,
}
Optimiser = Sgd | Momentum | Adagrad | Rmsprop | Adam


def optimiser(name: str, parameters: np.ndarray, *, momentum: float = 0.9, weight_decay: float = 0.01) -> Optimiser:
    """The optimiser called `name`, given those of the settings that it has."""
    settings = {
        "momentum": {"momentum": momentum},
        "nesterov": {"momentum": momentum},
        "adamw": {"weight_decay": weight_decay},
    }
    return OPTIMISERS[name](parameters, **settings.get(name, {}))
