"""Training: phases of epochs of mini-batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn, optim
from torch.nn.functional import cross_entropy

from stages.torch_net.images import Augmentation, Normalisation
from stages.torch_net.optimisers import optimiser
from stages.torch_net.prediction import compute_type, predict_normalised, score


@dataclass(frozen=True)
class Phase:
    """A part of the training with a new optimiser, which has no state from the phase before.

    `learning_rates`: for each epoch, the rate of each step.
    """

    optimiser: str
    learning_rates: Sequence[Sequence[float]]
    momentum: float
    weight_decay: float


def epochs(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    evaluation: tuple[Tensor, Tensor],
    phases: Sequence[Phase],
    batch_size: int,
    normalise: Normalisation,
    augment: Augmentation,
    generator: torch.Generator,
    label_smoothing: float = 0.0,
    flip: bool = False,
    bfloat16: bool = False,
) -> Iterator[dict[str, float]]:
    """Train `model` in place; yield a row after every epoch: epoch, train_loss, loss, accuracy.

    `images`: uint8 (n, height, width, channels); `labels`: class numbers (n,). `evaluation`: images and labels scored
    after every epoch, with `flip` averaged over mirror images. `generator` draws the order of the images every epoch.
    All tensors and generators are on one device.
    """
    padded = normalise.whole(augment.pad(images), compute_type(bfloat16))
    scored, truth = normalise.whole(evaluation[0], compute_type(bfloat16)), evaluation[1]
    epoch = 0
    for phase in phases:
        step = optimiser(phase.optimiser, model.parameters(), momentum=phase.momentum, weight_decay=phase.weight_decay)
        for rates in phase.learning_rates:
            epoch += 1
            order = torch.randperm(len(labels), generator=generator, device=labels.device)
            total = torch.zeros((), device=labels.device)
            model.train()
            for chosen, rate in zip(order.split(batch_size), rates, strict=True):
                x = augment.blank(augment.crop(padded, chosen))  # (batch, height, width, channels)
                with torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16):
                    logits = model(x)  # (batch, outputs)
                loss = cross_entropy(logits.float(), labels[chosen], label_smoothing=label_smoothing)
                take_step(step, loss, rate)
                total += loss.detach() * len(chosen)
            loss, accuracy = score(predict_normalised(model, scored, flip=flip, bfloat16=bfloat16), truth)
            yield {"epoch": epoch, "train_loss": total.item() / len(labels), "loss": loss, "accuracy": accuracy}


def take_step(step: optim.Optimizer, loss: Tensor, rate: float) -> None:
    """One update of the weights by the gradient of `loss`."""
    for group in step.param_groups:
        group["lr"] = rate
    step.zero_grad(set_to_none=True)
    loss.backward()
    step.step()
