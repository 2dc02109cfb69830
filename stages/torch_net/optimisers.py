"""PyTorch's optimisers by name, with the settings that the study varies."""

from collections.abc import Callable, Iterable
from functools import partial

from torch import nn, optim

# `fused`: one pass over the memory instead of several.
OPTIMISERS: dict[str, Callable[..., optim.Optimizer]] = {
    "sgd": partial(optim.SGD, fused=True),
    "momentum": partial(optim.SGD, fused=True),
    "nesterov": partial(optim.SGD, nesterov=True, fused=True),
    "adam": partial(optim.Adam, fused=True),
    "adamw": partial(optim.AdamW, fused=True),
    "adagrad": optim.Adagrad,
    "rmsprop": optim.RMSprop,
}
WITH_MOMENTUM = ("sgd", "momentum", "nesterov")


def optimiser(
    name: str, parameters: Iterable[nn.Parameter], *, momentum: float = 0.0, weight_decay: float = 0.0
) -> optim.Optimizer:
    """Return the named optimiser; its learning rate is set at every step.

    `weight_decay` adds weight_decay · w to the gradient; adamw's is decoupled from it (Loshchilov & Hutter 2019).
    `momentum` is for sgd, momentum and nesterov; the others ignore it.
    """
    settings = {"momentum": momentum} if name in WITH_MOMENTUM else {}
    return OPTIMISERS[name](parameters, lr=0.0, weight_decay=weight_decay, **settings)
