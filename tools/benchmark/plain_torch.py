"""Contestant: PyTorch as its tutorials write it, eagerly, with a data loader."""

import time
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tools.benchmark.data import Data

LR = 0.01


def network(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, units in pairwise(sizes):
        layers += [nn.Linear(inputs, units), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def epoch_seconds(data: Data, sizes: Sequence[int], batch_size: int) -> float:
    """One epoch in float32: cross-entropy, gradient descent, no evaluation."""
    torch.manual_seed(0)
    dataset = TensorDataset(torch.from_numpy(data.pixels), torch.from_numpy(data.labels))
    loader = DataLoader(dataset, batch_size=batch_size, shuffle=True)
    model = network(sizes)
    loss_function = nn.CrossEntropyLoss()
    optimiser = torch.optim.SGD(model.parameters(), lr=LR)
    start = time.perf_counter()
    for images, labels in loader:
        loss = loss_function(model(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return time.perf_counter() - start
