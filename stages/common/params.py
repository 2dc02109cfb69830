"""The one module that reads params.yaml: everything is checked before anything is computed.

A missing or unknown key, a wrong type or an impossible value ends in one line that names the key, the value and what is
allowed. What comes out is frozen: nothing downstream can change a parameter.
"""

from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from stages.common.checked import Checked, Count, Name, Positive, Seed
from stages.common.errors import StudyError
from stages.common.numpy_params import NumpyTraining
from stages.common.torch_params import CnnTraining, MlpTraining, TrainTorch

Training = TypeVar("Training", NumpyTraining, MlpTraining)


class Data(Checked):
    """Which edition of a data set, and how many training images become its validation split."""

    edition: Literal["original", "jpeg"]
    validation_images: Count
    split_seed: Seed


Seeds = Annotated[list[Seed], Field(min_length=1)]


class Variant(Checked, Generic[Training]):
    """One configuration of a study: a name, the settings that it changes, and its seeds."""

    name: str
    seeds: Seeds
    training: Training


class Study(Checked, Generic[Training]):
    """Named variants, each trained once for every seed: the study's, unless it has seeds of its own.

    `shares`: the study of the same section that trains what both have (see `sharing`); its own name for none.
    """

    seeds: Seeds
    shares: Name | None = None
    variants: Annotated[list[Variant[Training]], Field(min_length=1)]

    @property
    def tasks(self) -> list[tuple[Variant[Training], int]]:
        """Every variant with every seed."""
        return [(variant, seed) for variant in self.variants for seed in variant.seeds]

    @model_validator(mode="after")
    def unlike(self) -> "Study":
        """Names and seeds tell runs apart, so neither may occur twice."""
        names = [variant.name for variant in self.variants]
        seeds = [("seeds", variant.seeds) for variant in self.variants]
        for what, values in (*seeds, ("variants", names)):
            twice = sorted({str(value) for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"{what} must differ, but {', '.join(twice)} occurs twice")
        if len({variant.training.protocol for variant in self.variants}) > 1:
            raise ValueError("all variants of a study follow one protocol")
        return self


class Params(Checked):
    """params.yaml, resolved: every study's variants carry their full settings."""

    seed: Seed
    lr: Positive
    batch_size: Count
    data: dict[Literal["fashion_mnist", "cifar10"], Data]
    train_numpy: NumpyTraining
    tune: dict[Name, Study[NumpyTraining]]
    train_torch: TrainTorch
    train_cnn: dict[Literal["fashion_mnist", "cifar10"], CnnTraining]
    ablations: dict[Name, Study[MlpTraining]]


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
    top = {key: raw[key] for key in ("lr", "batch_size") if key in raw}
    record = mapping("train_numpy", raw.get("train_numpy", {}))
    raw["train_numpy"] = with_top("train_numpy", with_architecture("train_numpy", record, architectures), top)
    models = dict(mapping("train_torch", raw.get("train_torch", {})))
    # The report's final model has rates of its own, one a phase.
    shared = {"record": top, "final": {key: value for key, value in top.items() if key != "lr"}}
    for name in shared.keys() & models.keys():
        where = f"train_torch.{name}"
        models[name] = with_top(where, mapping(where, models[name]), shared[name])
    raw["train_torch"] = models
    for studies, bases in (("tune", "tune_base"), ("ablations", "ablation_base")):
        known = mapping(bases, raw.pop(bases, {}))
        raw[studies] = {
            name: resolve_study(f"{studies}.{name}", mapping(f"{studies}.{name}", study), bases, known, architectures)
            for name, study in mapping(studies, raw.get(studies, {})).items()
        }
    return raw


def with_top(where: str, settings: dict, top: dict) -> dict[str, Any]:
    """Lay the top-level settings over a model's own, which may not have them too."""
    for key in top.keys() & settings.keys():
        raise UnresolvableError(f"{where}.{key} is set at top level: remove it there")
    return {**settings, **top}


def resolve_study(where: str, study: dict, bases: str, known: dict, architectures: dict) -> dict[str, Any]:
    """Lay the study's settings over its base, and each variant's changes over both. `known`: the section `bases`."""
    study = dict(study)
    base = mapping(f"{bases}.{study.get('base')}", named(f"{where}.base", study.pop("base", None), known))
    shared = {**base, **mapping(f"{where}.settings", study.pop("settings", {}))}
    variants = study.get("variants")
    if not isinstance(variants, list):
        raise UnresolvableError(f"{where}.variants = {variants!r}: a list of variants is needed")
    resolved = []
    for position, variant in enumerate(variants):
        here = f"{where}.variants.{position}"
        changes = dict(mapping(here, variant))
        seeds = changes.pop("seeds", study.get("seeds"))
        name = changes.pop("name", None)
        if name is None:
            if len(changes) != 1:
                raise UnresolvableError(f"{here} changes {len(changes)} settings: give it a name")
            name = next(iter(changes.values()))
        training = with_architecture(here, {**shared, **changes}, architectures)
        resolved.append({"name": str(name), "seeds": seeds, "training": training})
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
