"""The one module that reads params.yaml: everything is checked before anything is computed.

A missing or unknown key, a wrong type or an impossible value ends in one line that names the key, the value and what is
allowed. What comes out is frozen: nothing downstream can change a parameter.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from stages.common.checked import (
    CLASSES,
    MOST_RUNS,
    BatchSize,
    Checked,
    Images,
    Name,
    Positive,
    Seed,
    Threads,
    VariantName,
    rule,
)
from stages.common.errors import StudyError
from stages.common.messages import one_line, shown
from stages.common.numpy_params import Architecture, NumpyTraining
from stages.common.strict_yaml import read_yaml
from stages.common.torch_params import CnnTraining, MlpTraining, TrainTorch

# What data/editions.yaml has; it is named here too, so that a wrong one is refused before anything is fetched.
EDITIONS = {"fashion_mnist": ("original",), "cifar10": ("original", "jpeg")}
BASES = {NumpyTraining: "tune_base", MlpTraining: "ablation_base"}
ARCHITECTURE = TypeAdapter(Architecture)
Training = TypeVar("Training", NumpyTraining, MlpTraining)


class Data(Checked):
    """Which edition of a data set, and how many training images become its validation split."""

    edition: str
    validation_images: Images
    split_seed: Seed


Seeds = Annotated[list[Seed], Field(min_length=1, max_length=MOST_RUNS)]


class Variant(Checked, Generic[Training]):
    """One configuration of a study: a name, the settings that it changes, and its seeds."""

    name: VariantName
    seeds: Seeds
    training: Training


class Study(Checked, Generic[Training]):
    """Named variants, each trained once for every seed: the study's, unless it has seeds of its own.

    `shares`: the study of the same section that trains what both have (see `sharing`); its own name for none.
    """

    seeds: Seeds
    shares: str
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

    def twin(self, variant: Variant[Training]) -> Variant[Training] | None:
        """The variant here that has the same settings, and no fewer seeds."""
        alike = (own for own in self.variants if own.training == variant.training)
        return next((own for own in alike if set(variant.seeds) <= set(own.seeds)), None)


class Params(Checked):
    """params.yaml, resolved: every study's variants carry their full settings."""

    seed: Seed
    lr: Positive
    batch_size: BatchSize
    threads: Threads
    data: dict[Literal["fashion_mnist", "cifar10"], Data]
    train_numpy: NumpyTraining
    tune: Annotated[dict[Name, Study[NumpyTraining]], Field(min_length=1)]
    train_torch: TrainTorch
    train_cnn: dict[Literal["fashion_mnist", "cifar10"], CnnTraining]
    ablations: Annotated[dict[Name, Study[MlpTraining]], Field(min_length=1)]

    @model_validator(mode="after")
    def together(self) -> "Params":
        """Refuse what refers to a data set, an edition or a study that isn't there, or doesn't have it."""
        require("data", self.data, "fashion_mnist", "the NumPy network is trained on it")
        choose("train_torch.dataset", self.data, self.train_torch.dataset, "of those in data, choose from")
        for name in self.train_cnn:
            choose(f"train_cnn.{name}", self.data, name, "of those in data, choose from")
        for name in ("fashion_mnist", self.train_torch.dataset):
            require("train_cnn", self.train_cnn, name, "the report shows the convolutional network on it")
        for name, data in self.data.items():
            choose(f"data.{name}.edition", EDITIONS[name], data.edition, "choose from")
        for name in ("final", "record"):
            outputs = getattr(self.train_torch, name).outputs
            if outputs != CLASSES:
                raise rule(f"train_torch.{name}.outputs", outputs, f"{CLASSES}, one for each class")
        for name, study in self.ablations.items():
            for place, variant in enumerate(study.variants):
                if variant.training.outputs < CLASSES:
                    where = f"ablations.{name}.variants.{place}.outputs"
                    raise rule(where, variant.training.outputs, f"at least {CLASSES}, one for each class")
        check_sharing("tune", self.tune)
        check_sharing("ablations", self.ablations)
        return self


def check_sharing(section: str, studies: Mapping[str, Study]) -> None:
    """Every study names one that trains what it takes over, and has something left to train itself."""
    for name, study in studies.items():
        where = f"{section}.{name}.shares"
        choose(where, studies, study.shares, "name a study of it, itself for none")
        other = studies[study.shares]
        third = studies.get(other.shares, other)
        twins = [other.twin(variant) for variant in study.variants] if other is not study else [None]
        if all(twins):
            raise rule(where, study.shares, "it trains all variants of this study: add another one")
        taken = [twin.name for twin in twins if twin is not None and third is not other and third.twin(twin)]
        if taken:
            raise rule(where, study.shares, f"it takes {taken[0]} over from {other.shares}: share with that")


def require(section: str, found: Collection[str], name: str, why: str) -> None:
    """Ask for a key that what else is in the file makes necessary."""
    if name not in found:
        raise PydanticCustomError("needed", "is missing: {why}", {"key": f"{section}.{name}", "why": why})


def choose(where: str, choices: Collection[str], name: str, advice: str) -> None:
    """Answer a name that is not among the choices with those that are."""
    if name not in choices:
        raise rule(where, name, f"{advice}: {', '.join(sorted(choices)) or 'none'}")


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml; a StudyError names the first key at fault, its value and what is allowed."""
    try:
        return Params.model_validate(resolve(read_yaml(path)))
    except ValidationError as error:
        raise StudyError(one_line(f"{path}: {told(error.errors(include_url=False)[0])}")) from error
    except UnresolvableError as error:
        raise StudyError(one_line(f"{path}: {error}")) from error
    except StudyError as error:
        raise StudyError(one_line(str(error))) from error


class UnresolvableError(Exception):
    """A study that refers to what isn't there, or isn't of the right shape."""


def resolve(raw: Any) -> dict[str, Any]:
    """Replace names by what they stand for: bases and architectures of studies, the three top-level settings."""
    raw = dict(mapping("the file", raw))
    architectures = mapping("architectures", raw.pop("architectures", {}))
    for name, layers in architectures.items():
        check_part(f"architectures.{name}", ARCHITECTURE, layers)
    top = {key: raw[key] for key in ("lr", "batch_size") if key in raw}
    record = mapping("train_numpy", raw.get("train_numpy", {}))
    # Its layers stand there: by a name, DVC would not know that it rests on another section.
    raw["train_numpy"] = with_top("train_numpy", record, top)
    models = dict(mapping("train_torch", raw.get("train_torch", {})))
    # The report's final model has rates of its own, one a phase.
    shared = {"record": top, "final": {key: value for key, value in top.items() if key != "lr"}}
    for name, settings in shared.items():
        if name in models:
            where = f"train_torch.{name}"
            models[name] = with_top(where, mapping(where, models[name]), settings)
    raw["train_torch"] = models
    for section, kind in (("tune", NumpyTraining), ("ablations", MlpTraining)):
        known = {
            name: settings_of(kind, f"{BASES[kind]}.{name}", base, architectures)
            for name, base in mapping(BASES[kind], raw.pop(BASES[kind], {})).items()
        }
        if section in raw:
            studies = mapping(section, raw[section])
            raw[section] = {
                name: resolve_study(kind, f"{section}.{name}", study, known, architectures)
                for name, study in studies.items()
            }
            check_bases(section, studies)
    return raw


def check_bases(section: str, studies: dict) -> None:
    """Studies that share must start from one base: DVC knows of a study's own base alone that it rests on it."""
    for name, study in studies.items():
        shares = study.get("shares")
        other = studies.get(shares, study) if isinstance(shares, str) else study
        if other["base"] != study["base"]:
            raise UnresolvableError(
                f"{section}.{name}.shares = {shown(shares)}: it starts from another base, {other['base']}: "
                f"name a study that starts from {study['base']}"
            )


def with_top(where: str, settings: dict, top: dict) -> dict[str, Any]:
    """Lay the top-level settings over a model's own, which may not have them too."""
    for key in top:
        if key in settings:
            raise UnresolvableError(f"{where}.{key} is set at top level: remove it there")
    return {**settings, **top}


def resolve_study(kind: type[BaseModel], where: str, study: Any, bases: dict, architectures: dict) -> dict[str, Any]:
    """Lay the study's settings over its base, and each variant's changes over both."""
    study = dict(mapping(where, study))
    base = named(f"{where}.base", study.pop("base", None), BASES[kind], bases)
    shared = {**base, **settings_of(kind, f"{where}.settings", study.pop("settings", {}), architectures)}
    variants = study.get("variants")
    if not isinstance(variants, list):
        raise UnresolvableError(f"{where}.variants = {shown(variants)}: a list of variants is needed")
    if len(variants) > MOST_RUNS:
        raise UnresolvableError(f"{where}.variants: {len(variants):,} variants; at most {MOST_RUNS} are allowed")
    resolved = []
    for position, variant in enumerate(variants):
        here = f"{where}.variants.{position}"
        changes = dict(mapping(here, variant))
        seeds = changes.pop("seeds", study.get("seeds"))
        name = changes.pop("name", None)
        if name is None:
            if len(changes) != 1:
                raise UnresolvableError(f"{here} changes {len(changes)} settings: give it a name")
            ((key, name),) = changes.items()
            if not isinstance(name, str | int | float):
                raise UnresolvableError(f"{here}.{key} = {shown(name)} names nothing: give the variant a name")
        training = with_architecture(here, {**shared, **changes}, architectures)
        name = shown(name) if isinstance(name, int | float) else name
        resolved.append({"name": name, "seeds": seeds, "training": training})
    study["variants"] = resolved
    return study


def settings_of(kind: type[BaseModel], where: str, settings: Any, architectures: dict) -> dict[str, Any]:
    """Some of a training's settings: right as far as they go, and whether or not any variant uses them."""
    settings = with_architecture(where, mapping(where, settings), architectures)
    check_part(where, TypeAdapter(kind), settings, partly=True)
    return settings


def check_part(where: str, adapter: TypeAdapter, value: Any, partly: bool = False) -> None:
    """Refuse what is wrong in a part of the file, where it stands. `partly`: other parts complete or change it."""
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            if not partly or fault["type"] == "unknown_key" or (fault["loc"] and fault["type"] != "missing"):
                raise UnresolvableError(told(fault, where)) from error


def with_architecture(where: str, settings: dict, architectures: dict) -> dict[str, Any]:
    """Replace an architecture's name by its layers."""
    layers = settings.get("architecture")
    if isinstance(layers, str):
        return {**settings, "architecture": named(f"{where}.architecture", layers, "architectures", architectures)}
    return settings


def mapping(where: str, value: Any) -> dict:
    """Return `value` if it is a mapping with string keys."""
    if not isinstance(value, dict):
        raise UnresolvableError(f"{where} = {shown(value)}: a mapping of keys to values is needed")
    wrong = [key for key in value if not isinstance(key, str)]
    if wrong:
        raise UnresolvableError(f"{where}: the key {shown(wrong[0])} is not a string")
    return value


def named(where: str, name: Any, section: str, choices: dict) -> Any:
    """Return `choices[name]`, from a section of the file; answer a wrong name with the right ones."""
    if not isinstance(name, str) or name not in choices:
        known = ", ".join(sorted(choices)) or f"nothing: {section} is missing, or empty"
        raise UnresolvableError(f"{where} = {shown(name)}: choose from {known}")
    return choices[name]


def told(fault: Mapping[str, Any], *where: str) -> str:
    """One line for one of pydantic's faults, found in the section `where`: key, value, what is allowed."""
    kind, context = fault["type"], fault.get("ctx", {})
    parts = [*where, *(str(part) for part in fault["loc"] if part not in ("training", "[key]"))]
    message = fault["msg"].removeprefix("Value error, ").replace("Input should", "should")
    if "key" in context:  # a fault of our own
        key = ".".join([*parts, context["key"]])
        return f"{key} = {context['value']}: {message}" if kind == "rule" else f"{key} {message}"
    key = ".".join(parts)
    if kind == "missing":
        return f"{key} is missing"
    value = "" if isinstance(fault["input"], dict | BaseModel) else f" = {shown(fault['input'])}"
    return f"{key}{value}: {message}" if key else message
