"""What a training of a PyTorch network is decided by."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.common.checked import Checked, Count, NotNegative, Positive, Seed, Share, Shift

WITH_MOMENTUM = ("sgd", "momentum", "nesterov")


class Phase(Checked):
    """A stretch of training at a rate of its own, by a new optimiser, whose settings it may change."""

    lr: Positive
    epochs: Count
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
    epochs: Count | None
    phases: Annotated[list[Phase], Field(min_length=1)] | None
    schedule: Literal["constant", "cosine", "one_cycle"]
    warmup: Share
    batch_size: Count
    label_smoothing: Share
    patience: Count | None
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
            if (getattr(self, key) is None) == (self.phases is None):
                raise ValueError(
                    f"{key} belongs to a training without phases, and to no other: leave one of them empty"
                )
        momenta = [phase.momentum for phase in self.stretches]
        if self.optimiser in ("momentum", "nesterov") and not all(momenta):
            raise ValueError(f"{self.optimiser} needs a momentum above 0")
        if self.optimiser not in WITH_MOMENTUM and any(momenta):
            raise ValueError(f"momentum belongs to {', '.join(WITH_MOMENTUM)}; with {self.optimiser} set it to 0")
        return self


class MlpTraining(TorchTraining):
    """All that decides a training of a multi-layer perceptron, but its seed."""

    hidden: Annotated[list[Count], Field(min_length=1)]
    activation: Literal["relu", "leaky_relu", "sigmoid", "tanh", "gelu"]
    dropout: Share
    dropout_everywhere: bool
    batch_norm: bool
    outputs: Count


class CnnTraining(TorchTraining):
    """All that decides a training of the convolutional network."""

    seed: Seed
    stem: Count
    widths: Annotated[list[Count], Field(min_length=1)]
    activation: Literal["relu", "leaky_relu", "sigmoid", "tanh", "gelu"]
    logit_scale: Positive


class TrainTorch(Checked):
    """The PyTorch half: its data set, the report's final model, and that model's successor."""

    dataset: Literal["fashion_mnist", "cifar10"]
    final: MlpTraining
    record: MlpTraining
