"""Training: phases of epochs of mini-batches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn, optim
from torch.nn.functional import cross_entropy

from stages.torch_net.images import Batches
from stages.torch_net.optimisers import optimiser


@dataclass(frozen=True)
class Phase:
    """A part of the training with a new optimiser, which has no state from the phase before.

    `learning_rates`: for each epoch, the rate of each step.
    """

    optimiser: str
    learning_rates: Sequence[Sequence[float]]
    momentum: float
    weight_decay: float


def train(
    model: nn.Module,
    batches: Batches,
    phases: Sequence[Phase],
    *,
    label_smoothing: float = 0.0,
    dtype: torch.dtype = torch.float32,
    done: int = 0,
    restore: Callable[[optim.Optimizer], None] = lambda optimiser: None,
) -> Iterator[tuple[int, optim.Optimizer]]:
    """Train `model` in place; yield the epoch's number, from 1, and the optimiser after each.

    `dtype`: of the arithmetic; with bfloat16 the weights stay float32 (autocast). `done`: epochs that the model has
    behind it; `restore` gives the optimiser the state that it had after them.
    """
    epoch = 0
    for phase in phases:
        step = optimiser(phase.optimiser, model.parameters(), momentum=phase.momentum, weight_decay=phase.weight_decay)
        for place, rates in enumerate(phase.learning_rates):
            epoch += 1
            if epoch <= done:
                continue
            if place and epoch == done + 1:
                restore(step)
            model.train()
            # x: (batch, height, width, channels), y: (batch,)
            for (x, y), rate in zip(batches.epoch(epoch), rates, strict=True):
                with torch.autocast(x.device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
                    logits = model(x)  # (batch, outputs)
                take_step(step, cross_entropy(logits.float(), y, label_smoothing=label_smoothing), rate)
            yield epoch, step


def take_step(step: optim.Optimizer, loss: Tensor, rate: float) -> None:
    """One update of the weights by the gradient of `loss`."""
    for group in step.param_groups:
        group["lr"] = rate
    step.zero_grad(set_to_none=True)
    loss.backward()
    step.step()
