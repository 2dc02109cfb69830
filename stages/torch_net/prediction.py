"""Prediction and scoring; logits may be averaged over an image and its mirror image."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from stages.torch_net.layers import active_dropout

BATCH = 1000


@torch.no_grad()
def predict(
    model: nn.Module,
    images: Tensor,
    *,
    flip: bool = False,
    dtype: torch.dtype = torch.float32,
    dropout: torch.Generator | None = None,
) -> Tensor:
    """Normalised images (n, height, width, channels) -> logits float32 (n, outputs), on the images' device.

    With `flip`, the mean of the logits of the image and of its mirror image. `dtype`: of the arithmetic, as in
    training. With `dropout`, dropout is active and draws from it.
    """
    model.eval()
    logits = []
    with active_dropout(model, dropout) if dropout else nullcontext():
        for x in images.split(BATCH):  # (batch, height, width, channels)
            with torch.autocast(x.device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
                views = [model(x), model(x.flip(2))] if flip else [model(x)]
            logits.append(torch.stack([view.float() for view in views]).mean(dim=0))
    return torch.cat(logits)


def score(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of logits (n, outputs) for class numbers (n,)."""
    correct = (logits.argmax(dim=1) == labels).sum()
    return cross_entropy(logits, labels).item(), correct.item() / len(labels)
