"""A training in the middle: all that its next epoch depends on, in one file of tensors."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn, optim


class Checkpoint:
    """What a training has come to: `history` (a row for each epoch), the network, its generators, the optimiser's
    state, and the weights of the best epoch. `path` None: nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}
        self.optimiser: dict[int, dict[str, Tensor]] = {}
        self.replayed = True

    def attach(self, model: nn.Module, generators: Mapping[str, torch.Generator]) -> None:
        """Bring a network and its generators to where the file, if there is one, has them."""
        self.model, self.generators = model, generators
        if self.path is None or not self.path.exists():
            return
        with safe_open(self.path, "pt") as file:
            self.history = json.loads(file.metadata()["history"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        for name, tensor in tensors.items():
            kind, _, rest = name.partition("/")
            if kind == "generator":
                self.generators[rest].set_state(tensor)
            elif kind == "optimiser":
                place, _, key = rest.partition("/")
                self.optimiser.setdefault(int(place), {})[key] = tensor
            elif kind == "best":
                self.best[rest] = tensor
        weights = {name.partition("/")[2]: tensor for name, tensor in tensors.items() if name.startswith("model/")}
        self.model.load_state_dict(weights)
        self.replayed = False

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of the network's weights; while known epochs are replayed, that of their best epoch."""
        if self.replayed:
            self.best = {name: value.clone() for name, value in self.model.state_dict().items()}
        return self.best

    def write(self, row: dict[str, float], optimiser: optim.Optimizer) -> None:
        """Keep the state after an epoch."""
        self.history.append(row)
        if self.path is None:
            return
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        tensors |= {f"generator/{name}": generator.get_state() for name, generator in self.generators.items()}
        for place, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{place}/{key}": value for key, value in state.items() if value is not None}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}")
        contiguous = {name: value.cpu().contiguous() for name, value in tensors.items()}
        save_file(contiguous, temporary, {"history": json.dumps(self.history)})
        os.replace(temporary, self.path)  # noqa: PTH105

    def restore(self, optimiser: optim.Optimizer) -> None:
        """Give the optimiser of the running phase its state, each tensor in the memory format of its weights."""
        settings: dict[str, Any] = optimiser.state_dict()["param_groups"]
        weights = [weight for group in optimiser.param_groups for weight in group["params"]]
        state = {
            place: {
                key: torch.empty_like(weights[place]).copy_(value) if value.shape == weights[place].shape else value
                for key, value in values.items()
            }
            for place, values in self.optimiser.items()
        }
        optimiser.load_state_dict({"state": state, "param_groups": settings})
