"""What a training of the NumPy network is decided by."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from stages.common.checked import (
    CLASSES,
    MOST_LAYERS,
    BatchSize,
    Checked,
    Epochs,
    NotNegative,
    Positive,
    Share,
    Shift,
    Units,
    check_size,
    rule,
    weights_between,
)

INPUTS = 28 * 28  # pixels of an image of Fashion-MNIST, on which the NumPy network is trained


class Layer(Checked):
    """One entry of an architecture, as the report writes it."""

    input_nodes: Units
    activation: Literal["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "softmax"]


def check_architecture(layers: list[Layer]) -> list[Layer]:
    """The first entry is the input, a node a pixel; the last the softmax output, a node a class; no other softmax."""
    if len(layers) < 2:
        raise ValueError("an architecture needs at least an input and an output")
    last = len(layers) - 1
    for place, layer in enumerate(layers):
        if (layer.activation == "softmax") != (place == last):
            raise rule(f"{place}.activation", layer.activation, "the last layer, and no other, has softmax")
    for place, what, nodes in ((0, "pixels", INPUTS), (last, "classes", CLASSES)):
        found = layers[place].input_nodes
        if found != nodes:
            raise rule(f"{place}.input_nodes", found, f"{nodes} is needed, the number of {what} of Fashion-MNIST")
    return layers


Architecture = Annotated[list[Layer], Field(max_length=MOST_LAYERS), AfterValidator(check_architecture)]


class NumpyTraining(Checked):
    """All that decides a training of the NumPy network, but its seed."""

    architecture: Architecture
    objective: Literal["cross_entropy", "published"]
    protocol: Literal["validation", "published"]
    precision: Literal["float32", "float64"]
    pixels: Literal["unit", "standardised"]
    reduction: Literal["mean", "sum"]
    bias: bool
    reshuffle: bool
    initialiser: Literal["he", "xavier", "normal"]
    epochs: Epochs
    lr: Positive
    batch_size: BatchSize
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
    patience: Epochs | None

    @model_validator(mode="after")
    def consistent(self) -> "NumpyTraining":
        """Refuse what no single key can be blamed for."""
        sizes = [layer.input_nodes for layer in self.architecture]
        check_size("architecture", sizes, weights_between(sizes), sum(sizes), self.batch_size)
        if self.weight_decay and self.optimiser != "adamw":
            raise rule(
                "weight_decay", self.weight_decay, f"weight_decay belongs to adamw; with {self.optimiser} use l2"
            )
        if self.label_smoothing and self.objective == "published":
            raise rule(
                "label_smoothing", self.label_smoothing, "it has no meaning under the published objective: set it to 0"
            )
        if self.patience is not None and self.protocol == "published":
            raise rule(
                "patience",
                self.patience,
                "the published protocol scores the test images after every epoch, which must not choose one: "
                "leave it empty",
            )
        return self
