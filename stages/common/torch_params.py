"""What a training of a PyTorch network is decided by."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.common.checked import (
    MOST_LAYERS,
    BatchSize,
    Checked,
    Epochs,
    NotNegative,
    Positive,
    Seed,
    Share,
    Shift,
    Units,
    check_size,
    rule,
    weights_between,
)

SIDE, CHANNELS = 32, 3  # of the larger images, those of CIFAR-10
MOST_HALVINGS = 3  # 28 pixels leave the stem as 27, and then 13, 6, 3; a map of 1 has no spread to normalise
WITH_MOMENTUM = ("sgd", "momentum", "nesterov")


class Phase(Checked):
    """A stretch of training at a rate of its own, by a new optimiser, whose settings it may change."""

    lr: Positive
    epochs: Epochs
    momentum: Share | None = None
    weight_decay: NotNegative | None = None


class TorchTraining(Checked):
    """What is common to both kinds of network: how images are prepared, and how weights are found."""

    pixels: Literal["unit", "standardised"]
    shift: Shift
    flip: bool
    cutout: Annotated[int, Field(ge=0, le=32)]
    optimiser: Literal["sgd", "momentum", "nesterov", "adam", "adamw", "adagrad", "rmsprop"]
    momentum: Share
    weight_decay: NotNegative
    lr: Positive | None
    epochs: Epochs | None
    phases: Annotated[list[Phase], Field(min_length=1, max_length=MOST_LAYERS)] | None
    schedule: Literal["constant", "cosine", "one_cycle"]
    warmup: Share
    batch_size: BatchSize
    label_smoothing: Share
    patience: Epochs | None
    test_time_flip: bool
    precision: Literal["float32", "bfloat16"]

    @property
    def protocol(self) -> str:
        """Fitted on the training split, scored on the validation split after every epoch."""
        return "validation"

    @property
    def stretches(self) -> list[Phase]:
        """The phases in turn, every setting filled in."""
        phases = self.phases or [Phase(lr=self.lr, epochs=self.epochs)]
        own = {"momentum": self.momentum, "weight_decay": self.weight_decay}
        return [Phase(**{**own, **phase.model_dump(exclude_none=True)}) for phase in phases]

    @model_validator(mode="after")
    def consistent(self) -> "TorchTraining":
        """Refuse what no single key can be blamed for."""
        for key in ("lr", "epochs"):
            value = getattr(self, key)
            if value is None and self.phases is None:
                raise rule(key, value, f"{key} is empty: a training without phases needs one")
            if value is not None and self.phases is not None:
                raise rule(key, value, "every phase has one of its own, so leave this one or phases empty")
        for phase in self.stretches:
            if self.optimiser in ("momentum", "nesterov") and not phase.momentum:
                raise rule("momentum", phase.momentum, f"{self.optimiser} needs a momentum above 0")
            if self.optimiser not in WITH_MOMENTUM and phase.momentum:
                raise rule(
                    "momentum",
                    phase.momentum,
                    f"momentum belongs to {', '.join(WITH_MOMENTUM)}; with {self.optimiser} set it to 0",
                )
        return self


class MlpTraining(TorchTraining):
    """All that decides a training of a multi-layer perceptron, but its seed."""

    hidden: Annotated[list[Units], Field(min_length=1, max_length=MOST_LAYERS)]
    activation: Literal["relu", "leaky_relu", "sigmoid", "tanh", "gelu"]
    dropout: Share
    dropout_everywhere: bool
    batch_norm: bool
    outputs: Units

    @model_validator(mode="after")
    def fits(self) -> "MlpTraining":
        """Refuse what would not fit into memory."""
        sizes = [SIDE * SIDE * CHANNELS, *self.hidden, self.outputs]
        check_size("hidden", self.hidden, weights_between(sizes), sum(sizes), self.batch_size)
        return self


class CnnTraining(TorchTraining):
    """All that decides a training of the convolutional network."""

    seed: Seed
    stem: Units
    widths: Annotated[list[Units], Field(min_length=1, max_length=MOST_HALVINGS)]
    activation: Literal["relu", "leaky_relu", "sigmoid", "tanh", "gelu"]
    logit_scale: Positive

    @model_validator(mode="after")
    def fits(self) -> "CnnTraining":
        """Refuse what would not fit into memory. A block has a filter of 3x3 for every two channels, twice."""
        filters = weights_between([self.stem, *self.widths]) + sum(width * width for width in self.widths)
        side, values = SIDE, self.stem * SIDE**2
        for width in self.widths:
            values += width * side**2
            side //= 2
        check_size("widths", self.widths, 9 * filters, values, self.batch_size)
        return self


class TrainTorch(Checked):
    """The PyTorch half: its data set, the report's final model, and that model's successor."""

    dataset: Literal["fashion_mnist", "cifar10"]
    final: MlpTraining
    record: MlpTraining
