"""Optimisers: from a gradient to a step, for all parameters in one flat vector.

Every `step` works in place on `parameters` and may overwrite `gradient`; both (parameters,). Their state
is one or two vectors of that size. The update rules are those of PyTorch's optimisers of the same names.
"""

import numpy as np

from stages.numpy_net.choices import choose


class Sgd:
    """θ ← θ - lr g. It is linear in g, so the caller folds lr into g and passes lr = 1 (`folds_lr`)."""

    folds_lr = True

    def __init__(self, parameters: np.ndarray, **unused: float) -> None:
        pass

    def step(self, parameters: np.ndarray, gradient: np.ndarray, lr: float) -> None:
        """One update; `gradient` already holds the learning rate."""
        parameters -= gradient


class Momentum:
    """v ← μ v + g, θ ← θ - lr v (Polyak 1964); Nesterov's form steps along g + μ v (Sutskever et al. 2013)."""

    folds_lr = False
    nesterov = False

    def __init__(self, parameters: np.ndarray, *, momentum: float = 0.9, **unused: float) -> None:
        self.momentum = momentum
        self.velocity = np.zeros_like(parameters)
        self.scratch = np.empty_like(parameters)

    def step(self, parameters: np.ndarray, gradient: np.ndarray, lr: float) -> None:
        """One update."""
        self.velocity *= self.momentum
        self.velocity += gradient
        if self.nesterov:
            np.multiply(self.velocity, self.momentum, out=self.scratch)
            self.scratch += gradient
            self.scratch *= lr
        else:
            np.multiply(self.velocity, lr, out=self.scratch)
        parameters -= self.scratch


class Nesterov(Momentum):
    """Momentum with Nesterov's look-ahead."""

    nesterov = True


class Adagrad:
    """s ← s + g², θ ← θ - lr g / (sqrt(s) + ε) (Duchi et al. 2011)."""

    folds_lr = False

    def __init__(self, parameters: np.ndarray, *, epsilon: float = 1e-10, **unused: float) -> None:
        self.epsilon = epsilon
        self.squares = np.zeros_like(parameters)
        self.scratch = np.empty_like(parameters)

    def step(self, parameters: np.ndarray, gradient: np.ndarray, lr: float) -> None:
        """One update."""
        self.squares += np.multiply(gradient, gradient, out=self.scratch)
        descend(parameters, gradient, self.squares, lr, self.epsilon, self.scratch)


class Rmsprop:
    """s ← ρ s + (1 - ρ) g², θ ← θ - lr g / (sqrt(s) + ε) (Tieleman & Hinton 2012)."""

    folds_lr = False

    def __init__(self, parameters: np.ndarray, *, decay: float = 0.99, epsilon: float = 1e-8, **unused: float) -> None:
        self.decay, self.epsilon = decay, epsilon
        self.squares = np.zeros_like(parameters)
        self.scratch = np.empty_like(parameters)

    def step(self, parameters: np.ndarray, gradient: np.ndarray, lr: float) -> None:
        """One update."""
        moving_average(self.squares, np.multiply(gradient, gradient, out=self.scratch), self.decay)
        descend(parameters, gradient, self.squares, lr, self.epsilon, self.scratch)


class Adam:
    """m ← β₁ m + (1 - β₁) g, s ← β₂ s + (1 - β₂) g², θ ← θ - lr m̂ / (sqrt(ŝ) + ε) (Kingma & Ba 2015).

    m̂ and ŝ are m and s divided by 1 - βᵗ, which corrects their start at zero. `weight_decay` shrinks θ itself by
    lr · weight_decay before the step (AdamW: Loshchilov & Hutter 2019); Adam ignores it.
    """

    folds_lr = False
    decoupled_decay = False

    def __init__(
        self,
        parameters: np.ndarray,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        **unused: float,
    ) -> None:
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.weight_decay = weight_decay if self.decoupled_decay else 0.0
        self.mean, self.squares = np.zeros_like(parameters), np.zeros_like(parameters)
        self.scratch = np.empty_like(parameters)
        self.steps = 0

    def step(self, parameters: np.ndarray, gradient: np.ndarray, lr: float) -> None:
        """One update."""
        self.steps += 1
        if self.weight_decay:
            parameters *= 1 - lr * self.weight_decay
        moving_average(self.squares, np.multiply(gradient, gradient, out=self.scratch), self.beta2)
        moving_average(self.mean, gradient, self.beta1)
        # Corrects two numbers instead of two vectors: sqrt(ŝ) + ε = (sqrt(s) + ε c) / c for c = sqrt(1 - β₂ᵗ).
        correction = np.sqrt(1 - self.beta2**self.steps)
        step_size = lr * correction / (1 - self.beta1**self.steps)
        np.copyto(gradient, self.mean)
        descend(parameters, gradient, self.squares, step_size, self.epsilon * correction, self.scratch)


class AdamW(Adam):
    """Adam with decoupled weight decay."""

    decoupled_decay = True


def moving_average(average: np.ndarray, new: np.ndarray, decay: float) -> None:
    """average ← decay · average + (1 - decay) · new, in place; overwrites `new`."""
    average *= decay
    new *= 1 - decay
    average += new


def descend(
    parameters: np.ndarray, direction: np.ndarray, squares: np.ndarray, lr: float, epsilon: float, scratch: np.ndarray
) -> None:
    """θ ← θ - lr · direction / (sqrt(squares) + ε), in place; overwrites `direction` and `scratch`."""
    np.sqrt(squares, out=scratch)
    scratch += epsilon
    direction /= scratch
    direction *= lr
    parameters -= direction


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


def optimiser(name: str, parameters: np.ndarray, **settings: float) -> Optimiser:
    """Return the optimiser called `name`; it ignores settings that it does not have."""
    return choose("optimiser", name, OPTIMISERS)(parameters, **settings)
