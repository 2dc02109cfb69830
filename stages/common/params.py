"""The one module that reads params.yaml: everything is checked before anything is computed.

A missing or unknown key, a wrong type or an impossible value ends in one line that names the key, the value and what is
allowed. What comes out is frozen: nothing downstream can change a parameter.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from stages.common.errors import StudyError

DATA_SETS = ("fashion_mnist", "cifar10")


def number(value: Any) -> Any:
    """Read `1e-05` as a number: DVC writes small floats so, and YAML 1.1 takes them for strings."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Float = Annotated[float, BeforeValidator(number), Field(allow_inf_nan=False)]
Positive = Annotated[Float, Field(gt=0)]
NotNegative = Annotated[Float, Field(ge=0)]
Share = Annotated[Float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_-]+$")]


class Checked(BaseModel):
    """A section of params.yaml: frozen, no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Data(Checked):
    """Which edition of a data set, and how many training images become its validation split."""

    edition: Literal["original", "jpeg"]
    validation_images: Count
    split_seed: Seed


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
    shift: Annotated[int, Field(ge=0, le=8)]
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


class Variant(Checked):
    """One configuration of a study: a name, and the settings that it changes."""

    name: str
    training: NumpyTraining


class Study(Checked):
    """Named variants, each trained once for every seed."""

    seeds: Annotated[list[Seed], Field(min_length=1)]
    variants: Annotated[list[Variant], Field(min_length=1)]

    @model_validator(mode="after")
    def unlike(self) -> "Study":
        """Names and seeds tell runs apart, so neither may occur twice."""
        names = [variant.name for variant in self.variants]
        for what, values in (("seeds", self.seeds), ("variants", names)):
            twice = sorted({str(value) for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"{what} must differ, but {', '.join(twice)} occurs twice")
        if len({variant.training.protocol for variant in self.variants}) > 1:
            raise ValueError("all variants of a study follow one protocol")
        return self


class TrainTorch(Checked):
    """The PyTorch half's data set."""

    dataset: Literal["fashion_mnist", "cifar10"]


class Params(Checked):
    """params.yaml, resolved: every study's variants carry their full settings."""

    seed: Seed
    lr: Positive
    batch_size: Count
    data: dict[Literal["fashion_mnist", "cifar10"], Data]
    train_torch: TrainTorch
    train_numpy: NumpyTraining
    tune: dict[Name, Study]


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml; a StudyError names the first key at fault, its value and what is allowed."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}; run from the project's root") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    try:
        return Params.model_validate(resolve(raw))
    except ValidationError as error:
        raise StudyError(f"{path}: {first_fault(error)}") from error
    except UnresolvableError as error:
        raise StudyError(f"{path}: {error}") from error


class UnresolvableError(Exception):
    """A study that refers to what isn't there, or isn't of the right shape."""


def resolve(raw: Any) -> dict[str, Any]:
    """Replace names by what they stand for: bases and architectures of studies, the three top-level settings."""
    raw = dict(mapping("the file", raw))
    architectures = mapping("architectures", raw.pop("architectures", {}))
    bases = mapping("tune_base", raw.pop("tune_base", {}))
    record = mapping("train_numpy", raw.get("train_numpy", {}))
    for key in ("lr", "batch_size"):
        if key in record:
            raise UnresolvableError(f"train_numpy.{key} is set at top level: remove it there")
    top = {key: raw[key] for key in ("lr", "batch_size") if key in raw}
    raw["train_numpy"] = {**with_architecture("train_numpy", record, architectures), **top}
    raw["tune"] = {
        name: resolve_study(f"tune.{name}", mapping(f"tune.{name}", study), bases, architectures)
        for name, study in mapping("tune", raw.get("tune", {})).items()
    }
    return raw


def resolve_study(where: str, study: dict, bases: dict, architectures: dict) -> dict[str, Any]:
    """Lay the study's settings over its base, and each variant's changes over both."""
    study = dict(study)
    base = mapping(f"tune_base.{study.get('base')}", named(f"{where}.base", study.pop("base", None), bases))
    shared = {**base, **mapping(f"{where}.settings", study.pop("settings", {}))}
    variants = study.get("variants")
    if not isinstance(variants, list):
        raise UnresolvableError(f"{where}.variants = {variants!r}: a list of variants is needed")
    resolved = []
    for position, variant in enumerate(variants):
        here = f"{where}.variants.{position}"
        changes = dict(mapping(here, variant))
        name = changes.pop("name", None)
        if name is None:
            if len(changes) != 1:
                raise UnresolvableError(f"{here} changes {len(changes)} settings: give it a name")
            name = next(iter(changes.values()))
        training = with_architecture(here, {**shared, **changes}, architectures)
        resolved.append({"name": str(name), "training": training})
    study["variants"] = resolved
    return study


def with_architecture(where: str, settings: dict, architectures: dict) -> dict[str, Any]:
    """Replace an architecture's name by its layers."""
    layers = settings.get("architecture")
    if isinstance(layers, str):
        return {**settings, "architecture": named(f"{where}.architecture", layers, architectures)}
    return settings


def mapping(where: str, value: Any) -> dict:
    """Return `value` if it is a mapping with string keys."""
    if not isinstance(value, dict):
        raise UnresolvableError(f"{where} = {value!r}: a mapping of keys to values is needed")
    wrong = [key for key in value if not isinstance(key, str)]
    if wrong:
        raise UnresolvableError(f"{where}: the key {wrong[0]!r} is not a string")
    return value


def named(where: str, name: Any, choices: dict) -> Any:
    """Return `choices[name]`; answer a wrong name with the right ones."""
    if not isinstance(name, str) or name not in choices:
        raise UnresolvableError(
            f"{where} = {name!r}: choose from {', '.join(sorted(choices)) or 'nothing (none is defined)'}"
        )
    return choices[name]


def first_fault(error: ValidationError) -> str:
    """One line for the first fault: key, value, what is allowed."""
    fault = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in fault["loc"] if part not in ("training", "[key]"))
    message = fault["msg"].removeprefix("Value error, ").replace("Input should", "should")
    if fault["type"] == "extra_forbidden":
        return f"{key} is no known key"
    if fault["type"] == "missing":
        return f"{key} is missing"
    value = "" if isinstance(fault["input"], dict | BaseModel) else f" = {fault['input']!r}"
    return f"{key}{value}: {message}"
