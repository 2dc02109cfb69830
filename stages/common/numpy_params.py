"""What a training of the NumPy network is decided by."""

from typing import Literal

from pydantic import model_validator

from stages.common.checked import Checked, Count, NotNegative, Positive, Share, Shift


class Layer(Checked):
    """One entry of an architecture, as the report writes it."""

    input_nodes: Count
    activation: Literal["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "softmax"]


def check_architecture(layers: list[Layer]) -> list[Layer]:
    """The first entry is the input, the last the softmax output, and there is no other softmax."""
    if len(layers) < 2:
        raise ValueError("an architecture needs at least an input and an output")
    if layers[-1].activation != "softmax" or any(layer.activation == "softmax" for layer in layers[:-1]):
        raise ValueError("the last layer, and no other, has the activation softmax")
    return layers


class NumpyTraining(Checked):
    """All that decides a training of the NumPy network, but its seed."""

    architecture: list[Layer]
    objective: Literal["cross_entropy", "published"]
    protocol: Literal["validation", "published"]
    precision: Literal["float32", "float64"]
    pixels: Literal["unit", "standardised"]
    reduction: Literal["mean", "sum"]
    bias: bool
    reshuffle: bool
    initialiser: Literal["he", "xavier", "normal"]
    epochs: Count
    lr: Positive
    batch_size: Count
    schedule: Literal["constant", "cosine", "one_cycle"]
    warmup: Share
    optimiser: Literal["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"]
    momentum: Share
    weight_decay: NotNegative
    l2: NotNegative
    dropout: Share
    label_smoothing: Share
    clip_norm: Positive | None
    clip_value: Positive | None
    shift: Shift
    flip: bool
    patience: Count | None

    @model_validator(mode="after")
    def consistent(self) -> "NumpyTraining":
        """Refuse what no single key can be blamed for."""
        check_architecture(self.architecture)
        if self.weight_decay and self.optimiser != "adamw":
            raise ValueError(f"weight_decay belongs to adamw; with {self.optimiser} use l2")
        if self.label_smoothing and self.objective == "published":
            raise ValueError("label_smoothing has no meaning under the published objective: set it to 0")
        return self
