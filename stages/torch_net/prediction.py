"""Prediction and scoring; logits may be averaged over an image and its mirror image."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from stages.torch_net.images import Normalisation

BATCH = 1000


def predict(
    model: nn.Module, images: Tensor, normalise: Normalisation, *, flip: bool = False, bfloat16: bool = False
) -> Tensor:
    """Images uint8 (n, height, width, channels) -> logits float32 (n, outputs), on the images' device.

    With `flip`, the mean of the logits of the image and of its mirror image.
    """
    return predict_normalised(model, normalise.whole(images, compute_type(bfloat16)), flip=flip, bfloat16=bfloat16)


@torch.no_grad()
def predict_normalised(model: nn.Module, images: Tensor, *, flip: bool = False, bfloat16: bool = False) -> Tensor:
    """The same for normalised images."""
    model.eval()
    logits = []
    for x in images.split(BATCH):  # (batch, height, width, channels)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16):
            views = [model(x), model(x.flip(2))] if flip else [model(x)]
        logits.append(torch.stack([view.float() for view in views]).mean(dim=0))
    return torch.cat(logits)


def compute_type(bfloat16: bool) -> torch.dtype:
    """The dtype in which images are stored: the one that the first layer computes in."""
    return torch.bfloat16 if bfloat16 else torch.float32


def score(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of logits (n, outputs) for class numbers (n,)."""
    correct = (logits.argmax(dim=1) == labels).sum()
    return cross_entropy(logits, labels).item(), correct.item() / len(labels)
