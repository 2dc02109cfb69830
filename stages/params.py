"""The schema of params.yaml: every key, its type and its allowed values. Loaded parameters are complete and immutable.

An error in the file gives one line that names the key, its value and what is allowed, before anything is computed.
"""

import json
import re
import reprlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML, YAMLError

from stages.errors import StudyError

EDITIONS = {"fashion_mnist": ("original", "withdrawn"), "cifar10": ("original", "jpeg")}
SHAPES = {"fashion_mnist": (28, 28, 1, 10), "cifar10": (32, 32, 3, 10)}  # height, width, channels, classes
AUTO = "auto"
WITH_MOMENTUM = ("sgd", "momentum", "nesterov")
FOLDERS = ("data/models", "data/prepared", "data/raw", "reports")  # of what the stages write

# The upper limits are generous: beyond them, numbers overflow or memory runs out.
Positive = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
Epochs = Annotated[int, Field(ge=1, le=1000)]
BatchSize = Annotated[int, Field(ge=1, le=100_000)]
Units = Annotated[int, Field(ge=1, le=10_000)]
Shift = Annotated[int, Field(ge=0, le=8)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Activation = Literal["relu", "leaky_relu", "sigmoid", "tanh", "gelu"]


def check_unique(values: list) -> list:
    """Refuse a list in which a value occurs twice."""
    duplicates = [value for place, value in enumerate(values) if value in values[:place]]
    if duplicates:
        raise ValueError(f"{duplicates[0]} occurs twice")
    return values


SeedCount = Annotated[int, Field(ge=1, le=1000)]


class Strict(BaseModel):
    """A section of a file: frozen, no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def check_keys(cls, values: Any) -> Any:
        """For an unknown key, suggest the closest known key or list all of them."""
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in values if isinstance(values, dict) else ():
            if key not in known:
                close = get_close_matches(str(key), known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
                raise PydanticCustomError("unknown_key", "unknown key; {hint}", {"key": key, "hint": hint})
        return values


@dataclass(frozen=True)
class Shape:
    """Of the images of a data set. One's own are known once they are prepared; until then, any shape will do."""

    name: str
    height: int = 32
    width: int = 32
    channels: int = 1
    classes: int = 10
    known: bool = False

    @property
    def pixels(self) -> int:
        """The inputs of a network: one for each pixel and channel."""
        return self.height * self.width * self.channels


ANY = Shape("any")


class Layer(Strict):
    """An entry of an architecture, as the report writes it."""

    input_nodes: Units
    activation: Activation | Literal["softmax"]


def read_architecture(value: Any, info: ValidationInfo) -> Any:
    """`auto-64-auto relu` is short for a list of layers with that hidden activation; auto is the data set's number."""
    if isinstance(value, str):
        short = re.fullmatch(r"((?:auto|\d{1,5})(?:-\d{1,5})*-(?:auto|\d{1,5})) (\w+)", value, re.ASCII)
        if not short:
            raise ValueError("write it as auto-64-auto relu, or as a list of {input_nodes, activation}")
        *hidden, last = (nodes if nodes == AUTO else int(nodes) for nodes in short[1].split("-"))
        value = [*({"input_nodes": nodes, "activation": short[2]} for nodes in hidden)]
        value += [{"input_nodes": last, "activation": "softmax"}]
    if not isinstance(value, list) or len(value) < 2 or not isinstance(info.context, Shape):
        return value
    ends = {0: info.context.pixels, len(value) - 1: info.context.classes}
    return [
        {**layer, "input_nodes": ends[place]}
        if place in ends and isinstance(layer, dict) and layer.get("input_nodes") == AUTO
        else layer
        for place, layer in enumerate(value)
    ]


def check_architecture(layers: list[Layer], info: ValidationInfo) -> list[Layer]:
    """The first layer is the input, the last the softmax output, and no other has softmax."""
    ends = [layer.activation == "softmax" for layer in layers]
    if len(layers) < 2 or not ends[-1] or any(ends[:-1]):
        raise ValueError("the last layer, and no other, has softmax; an input comes before it")
    shape = info.context or ANY
    if shape.known and (layers[0].input_nodes, layers[-1].input_nodes) != (shape.pixels, shape.classes):
        needed = f"{shape.pixels} input nodes (pixels) and {shape.classes} output nodes (classes)"
        raise ValueError(f"{shape.name} needs {needed}; write auto")
    return layers


def read_outputs(value: Any, info: ValidationInfo) -> Any:
    """`auto` is the number of classes."""
    return (info.context or ANY).classes if value == AUTO else value


def check_outputs(value: int, info: ValidationInfo) -> int:
    """Every class needs an output."""
    shape = info.context or ANY
    if shape.known and value < shape.classes:
        raise ValueError(f"{shape.name} has {shape.classes} classes; write auto")
    return value


def read_sizes(value: Any) -> Any:
    """`256-128`, or `256` for a single layer, is short for a list of layer sizes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if isinstance(value, str) and re.fullmatch(r"\d{1,5}(-\d{1,5})+", value, re.ASCII):
        return [int(size) for size in value.split("-")]
    return value


Architecture = Annotated[
    list[Layer], BeforeValidator(read_architecture), Field(max_length=32), AfterValidator(check_architecture)
]
Sizes = Annotated[list[Units], BeforeValidator(read_sizes), Field(min_length=1, max_length=32)]


class NumpyTraining(Strict):
    """All settings of a training of the NumPy network, except its seed."""

    architecture: Architecture
    objective: Literal["cross_entropy", "published"]
    protocol: Literal["validation", "published"]
    # random: the images are divided into training and test images again for each seed.
    division: Literal["original", "random"]
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
    def check_combinations(self) -> "NumpyTraining":
        """Refuse settings that contradict each other."""
        if self.weight_decay and self.optimiser != "adamw":
            raise ValueError(f"weight_decay = {self.weight_decay}: only adamw has it; with {self.optimiser} use l2")
        if self.label_smoothing and self.objective == "published":
            raise ValueError(f"label_smoothing = {self.label_smoothing}: the published objective needs 0")
        if self.division == "random" and self.protocol != "published":
            raise ValueError("division = random: only the published protocol has it, as it trains on test images")
        if self.patience is not None and self.protocol == "published":
            raise ValueError(
                f"patience = {self.patience}: under the published protocol it would choose an epoch by the test images"
                "; leave it empty"
            )
        return self


class Phase(Strict):
    """A part of a training with its own rate and a new optimiser, whose settings it may change."""

    lr: Positive
    epochs: Epochs
    momentum: Share | None = None
    weight_decay: NotNegative | None = None


class TorchTraining(Strict):
    """What both kinds of PyTorch network have in common: image preparation and optimisation."""

    pixels: Literal["unit", "standardised"]
    shift: Shift
    flip: bool
    cutout: Annotated[int, Field(ge=0, le=32)]
    optimiser: Literal["sgd", "momentum", "nesterov", "adam", "adamw", "adagrad", "rmsprop"]
    momentum: Share
    weight_decay: NotNegative
    lr: Positive | None
    epochs: Epochs | None
    phases: Annotated[list[Phase], Field(min_length=1, max_length=32)] | None
    schedule: Literal["constant", "cosine", "one_cycle"]
    warmup: Share
    batch_size: BatchSize
    label_smoothing: Share
    patience: Epochs | None
    test_time_flip: bool
    precision: Literal["float32", "bfloat16"]

    @property
    def protocol(self) -> str:
        """Trained on the training split, scored on the validation split after every epoch."""
        return "validation"

    @property
    def resolved_phases(self) -> list[Phase]:
        """The phases in turn, every setting filled in."""
        phases = self.phases or [Phase(lr=self.lr, epochs=self.epochs)]
        own = {"momentum": self.momentum, "weight_decay": self.weight_decay}
        return [Phase(**{**own, **phase.model_dump(exclude_none=True)}) for phase in phases]

    @property
    def all_epochs(self) -> int:
        """The epochs of all phases."""
        return sum(phase.epochs for phase in self.resolved_phases)

    @model_validator(mode="after")
    def check_combinations(self) -> "TorchTraining":
        """Refuse settings that contradict each other."""
        for key in ("lr", "epochs"):
            value = getattr(self, key)
            if (value is None) == (self.phases is None):
                raise ValueError(f"{key} = {value}: give {key}, or phases that each have one, not both")
        for phase in self.resolved_phases:
            if self.optimiser in ("momentum", "nesterov") and not phase.momentum:
                raise ValueError(f"momentum = {phase.momentum}: {self.optimiser} needs one above 0")
            if self.optimiser not in WITH_MOMENTUM and phase.momentum:
                raise ValueError(f"momentum = {phase.momentum}: {self.optimiser} has none; set it to 0")
        return self


class MlpTraining(TorchTraining):
    """All settings of a training of a multi-layer perceptron, except its seed."""

    hidden: Sizes
    activation: Activation
    dropout: Share
    dropout_everywhere: bool
    dropout_in_validation: bool
    batch_norm: bool
    outputs: Annotated[int, BeforeValidator(read_outputs), Field(le=10_000), AfterValidator(check_outputs)]


class CnnTraining(TorchTraining):
    """All settings of a training of a convolutional network, except its seed."""

    stem: Units
    widths: Annotated[list[Units], BeforeValidator(read_sizes), Field(min_length=1, max_length=8)]
    activation: Activation
    logit_scale: Positive
    # For this share of the epochs, crops have only this share of an image's height and width.
    early_share: Share
    early_size: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def check_widths(self, info: ValidationInfo) -> "CnnTraining":
        """The stem takes a pixel from each side, each block halves it: one pixel has no variance to normalise by."""
        shape = info.context or ANY  # there is none when a checked training becomes part of a model
        side = round(min(shape.height, shape.width) * (self.early_size if self.early_share else 1)) - 1
        if shape.known and side >> len(self.widths) < 2:
            fitting = (side // 2).bit_length() - 1
            raise ValueError(f"widths = {self.widths}: images of {side + 1} pixels allow at most {fitting} blocks")
        return self


class FinalModel(Strict):
    """A final PyTorch model: its data set and its training."""

    dataset: str
    training: MlpTraining | CnnTraining


class Data(Strict):
    """Where a data set comes from, and how many training images become its validation split."""

    source: Annotated[str, Field(min_length=1)]
    edition: str
    validation_images: Annotated[int, Field(ge=1)]
    split_seed: Seed
    share: Annotated[float, Field(gt=0, le=1)] = 1.0  # of the images of each class; less for a quick look


class EditionData(Data):
    """A data set of editions.yaml."""


class OwnData(Data):
    """Images of one's own. `size`: the height and width that they are brought to. `test_share`: the part that becomes
    test images, where there are none.
    """

    edition: Literal["own"]
    size: Annotated[list[Annotated[int, Field(ge=2, le=1024)]], Field(min_length=2, max_length=2)] | None = None
    test_share: Annotated[float, Field(gt=0, lt=1)] | None = None


class Variant(Strict):
    """A configuration of a study."""

    name: Annotated[
        str,
        BeforeValidator(lambda name: str(name) if isinstance(name, int | float) else name),
        Field(pattern=r"^[A-Za-z0-9._+-]{1,60}$"),
    ]
    training: NumpyTraining | MlpTraining | CnnTraining


class Study(Strict):
    """Variants, each trained once with every seed."""

    seeds: list[Seed]
    variants: Annotated[list[Variant], Field(min_length=1, max_length=100)]

    @property
    def trainings(self) -> dict[str, NumpyTraining | MlpTraining | CnnTraining]:
        """The settings of each variant."""
        return {variant.name: variant.training for variant in self.variants}

    @model_validator(mode="after")
    def check_variants(self) -> "Study":
        """The names of variants are unique, and all variants have the same protocol."""
        check_unique([variant.name for variant in self.variants])
        if len({variant.training.protocol for variant in self.variants}) > 1:
            raise ValueError("all variants of a study need the same protocol")
        return self


class Params(Strict):
    """params.yaml, resolved: each training has all of its settings."""

    seed: Seed
    lr: Positive
    batch_size: BatchSize
    # CPU threads of the final PyTorch models; part of the result, as the order of summation depends on it.
    threads: Annotated[int, Field(ge=1, le=64)]
    arithmetic: Literal["portable", "native"]
    data: dict[str, EditionData | OwnData]
    numpy_dataset: str
    train_numpy: NumpyTraining
    tune: dict[str, Study]
    torch_dataset: str
    train_torch: dict[str, FinalModel]
    ablations: dict[str, Study]
    repeats: dict[str, Study]  # of each final model

    @model_validator(mode="after")
    def check_references(self) -> "Params":
        """Refuse a name of a data set, an edition, a model or a study that does not exist."""
        for name, data in self.data.items():
            if isinstance(data, EditionData):
                check_name(f"data.{name}.edition", EDITIONS[name], data.edition)
        for name in ("published", "mlp", "cnn_small", "cnn_large"):
            check_name("train_torch", self.train_torch, name)
        if self.train_numpy.division == "random":
            raise ValueError("train_numpy.division = random: only studies have it; choose original")
        for section, studies in (("tune", self.tune), ("ablations", self.ablations)):
            for name in studies:
                if not re.fullmatch(r"[a-z0-9_-]{1,60}", name):
                    raise ValueError(f"{section}.{name}: a name has 1 to 60 of a-z, 0-9, _ and -")
        return self


def check_name(key: str, known: Collection[str], name: Any) -> None:
    """For a name that does not exist, list those that do."""
    if not isinstance(name, str) or name not in known:
        raise StudyError(f"{key}: {name} does not exist; choose from {', '.join(known) or 'none'}")


class Defaults(BaseModel):
    """Default settings, which are checked when they are merged."""

    model_config = ConfigDict(extra="allow", strict=True)


class DataSetDefaults(Defaults):
    """The same with the data set."""

    dataset: str


class StudyEntry(Strict):
    """A study as params.yaml has it: `settings` change the defaults, each variant changes both."""

    base: Literal["published"] | None = None
    seeds: SeedCount | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    variants: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=100)]


class Entries(Strict):
    """params.yaml as written: the sections from which all trainings are merged."""

    seed: Seed
    lr: Positive
    batch_size: BatchSize
    threads: int
    arithmetic: str
    first_seed: Seed
    seeds: SeedCount
    repeats: SeedCount
    data: dict[str, Any]
    numpy_defaults: DataSetDefaults
    numpy_published: Defaults
    train_numpy: dict[str, Any]
    tune: dict[str, StudyEntry]
    torch_defaults: DataSetDefaults
    train_torch: dict[str, dict[str, Any]]
    ablations: dict[str, StudyEntry]


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml; a StudyError names the first wrong key, its value and what is allowed.

    Every stage begins with this, so it also checks the folders into which the stages write.
    """
    check_folders(path.parent)
    try:
        return resolve(read_yaml(path), path.parent / "reports/data")
    except StudyError as error:
        raise StudyError(one_line(f"{path}: {error}")) from error


def shape_of(name: str, reports: Path) -> Shape:
    """The shape of a data set's images; of one's own, what `preprocess` found and wrote to `reports`."""
    if name in SHAPES:
        return Shape(name, *SHAPES[name], known=True)
    try:
        facts = json.loads((reports / f"{name}.json").read_text(encoding="utf-8"))
        return Shape(name, *facts["image_shape"], len(facts["class_balance"]["training"]), known=True)
    except (OSError, ValueError, KeyError, TypeError):
        return Shape(name)


def check_folders(root: Path) -> None:
    """Refuse links out of the project: git and DVC keep no file behind one, and DVC says so only after the training."""
    for name in FOLDERS:
        if not (root / name).resolve().is_relative_to(root.resolve()):
            raise StudyError(
                f"{name} is behind a link out of the project, where git and DVC keep no file: make it a folder again, "
                "and if the disk is too small, move the whole project to a larger one"
            )


def read_yaml(path: Path) -> Any:
    """What a YAML file holds, read as DVC reads it (YAML 1.2)."""
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StudyError(f"{error.strerror}; run from the project's root") from error
    except (YAMLError, ValueError, LookupError, RecursionError) as error:
        raise StudyError(f"not valid YAML: {error}") from error


def resolve(content: Any, reports: Path = Path("reports/data")) -> Params:
    """Merge each training from the defaults, the settings of its section and its own changes."""
    raw = validate(Entries, "", content)
    data = {name: resolve_data(name, entry) for name, entry in raw.data.items()}
    numpy, published, torch = raw.numpy_defaults, raw.numpy_published, raw.torch_defaults
    for half, defaults in (("numpy", numpy), ("torch", torch)):
        check_name(f"{half}_defaults.dataset", data, defaults.dataset)
    shapes = {name: shape_of(name, reports) for name in data}
    numpy_layers, torch_layers = [("numpy_defaults", numpy.model_extra)], [("torch_defaults", torch.model_extra)]
    bases = {None: numpy_layers, "published": [*numpy_layers, ("numpy_published", published.model_extra)]}
    seeds = raw.first_seed, raw.seeds
    top = {"lr": raw.lr, "batch_size": raw.batch_size}
    merge(NumpyTraining, numpy_layers, shapes[numpy.dataset])
    merge(MlpTraining, torch_layers, shapes[torch.dataset])
    train_numpy = [*numpy_layers, ("", top), ("train_numpy", raw.train_numpy)]
    sections = {
        "train_numpy": merge(NumpyTraining, train_numpy, shapes[numpy.dataset]),
        "tune": {
            name: resolve_study(NumpyTraining, f"tune.{name}", entry, bases[entry.base], shapes[numpy.dataset], *seeds)
            for name, entry in raw.tune.items()
        },
        "train_torch": {
            name: resolve_model(f"train_torch.{name}", settings, [*torch_layers, ("", top)], shapes)
            for name, settings in raw.train_torch.items()
        },
        "ablations": {
            name: resolve_study(MlpTraining, f"ablations.{name}", entry, torch_layers, shapes[torch.dataset], *seeds)
            for name, entry in raw.ablations.items()
        },
    }
    models = {
        "numpy": sections["train_numpy"],
        **{name: model.training for name, model in sections["train_torch"].items()},
    }
    sections["repeats"] = {
        name: repeated(name, training, raw.first_seed, raw.repeats) for name, training in models.items()
    }
    own = {key: getattr(raw, key) for key in ("seed", "lr", "batch_size", "threads", "arithmetic")}
    datasets = {"data": data, "numpy_dataset": numpy.dataset, "torch_dataset": torch.dataset}
    return validate(Params, "", {**own, **datasets, **sections})


def resolve_data(name: str, entry: Any) -> EditionData | OwnData:
    """A data set: one of editions.yaml, or one's own."""
    if not re.fullmatch(r"[a-z0-9_]{1,60}", name):
        raise StudyError(f"data.{name}: a name has 1 to 60 of a-z, 0-9 and _")
    return validate(EditionData if name in EDITIONS else OwnData, f"data.{name}", entry)


Layers = list[tuple[str, dict[str, Any]]]  # sections of the file, each with its settings; later ones win


def merge(kind: type[Strict], layers: Layers, shape: Shape) -> Any:
    """A training on images of a shape, from merged settings; an error names the section that has the wrong key."""
    settings = {key: value for _, changes in layers for key, value in changes.items()}

    def section_of(key: str) -> str:
        return next((where for where, changes in reversed(layers) if key in changes), layers[-1][0])

    return validate(kind, section_of, settings, shape)


def resolve_model(where: str, settings: dict[str, Any], layers: Layers, shapes: Mapping[str, Shape]) -> FinalModel:
    """A final model: a perceptron, or with `network: cnn` a convolutional network, with the defaults that it has."""
    own = dict(settings)
    dataset, network = own.pop("dataset", None), own.pop("network", "mlp")
    kinds = {"mlp": MlpTraining, "cnn": CnnTraining}
    if not isinstance(network, str) or network not in kinds:
        raise StudyError(f"{where}.network = {short_repr(network)}: choose from {', '.join(kinds)}")
    check_name(f"{where}.dataset", shapes, dataset)
    kind = kinds[network]
    known = [
        (name, {key: value for key, value in changes.items() if key in kind.model_fields}) for name, changes in layers
    ]
    training = merge(kind, [*known, (where, own)], shapes[dataset])
    if getattr(training, "outputs", shapes[dataset].classes) != shapes[dataset].classes:
        raise StudyError(f"{where}.outputs = {training.outputs}: write auto")
    return validate(FinalModel, where, {"dataset": dataset, "training": training})


def resolve_study(
    kind: type[Strict], where: str, entry: StudyEntry, layers: Layers, shape: Shape, first: int, count: int
) -> Study:
    """A study with complete variants. A variant without a name is called after the one value that it changes."""
    variants = []
    for place, changes in enumerate(entry.variants):
        here, changes = f"{where}.variants.{place}", dict(changes)
        name = changes.pop("name", None)
        if name is None:
            if len(changes) != 1:
                raise StudyError(f"{here} changes {len(changes)} settings: give it a name")
            (name,) = changes.values()
        training = merge(kind, [*layers, (f"{where}.settings", entry.settings), (here, changes)], shape)
        variants.append(validate(Variant, here, {"name": name, "training": training}))
    seeds = list(range(first, first + (entry.seeds or count)))
    return validate(Study, where, {"seeds": seeds, "variants": variants})


def repeated(model: str, training: NumpyTraining | MlpTraining | CnnTraining, first: int, count: int) -> Study:
    """The study of a final model: its training with other seeds."""
    return Study(seeds=list(range(first, first + count)), variants=[Variant(name=model, training=training)])


def validate(kind: type[Strict], where: str | Callable[[str], str], values: Any, shape: Shape | None = None) -> Any:
    """`values` as a `kind`; a StudyError names the first mistake. `where`: the section, or key -> section.

    `shape`: of the images that a training is for.
    """
    try:
        return kind.model_validate(values, context=shape)
    except ValidationError as error:
        raise StudyError(format_error(error, where)) from error


def format_error(error: ValidationError, where: str | Callable[[str], str] = "") -> str:
    """The first of pydantic's errors in one line: key, value, what is allowed."""
    first = error.errors(include_url=False)[0]
    unknown = [first["ctx"]["key"]] if first["type"] == "unknown_key" else []
    parts = [str(part) for part in (*first["loc"], *unknown)]
    section = where if isinstance(where, str) else where(parts[0] if parts else "")
    key = ".".join(part for part in (section, *parts) if part)
    shown = not isinstance(first["input"], dict | BaseModel) and first["type"] != "missing"
    value = f" = {short_repr(first['input'])}" if shown else ""
    message = first["msg"].removeprefix("Value error, ").replace("Input should", "should").replace("Field r", "r")
    return one_line(f"{key}{value}: {message}" if key else message)


SHORT = reprlib.Repr()
SHORT.maxlevel, SHORT.maxlist, SHORT.maxdict, SHORT.maxlong, SHORT.maxstring, SHORT.maxother = 2, 6, 3, 30, 60, 60


def short_repr(value: object) -> str:
    """A value in at most a few dozen characters."""
    try:
        return SHORT.repr(value)
    except ValueError:  # Python prints no integer of more than 4,300 digits
        return "a number of thousands of digits"


def one_line(text: str) -> str:
    """The text without line breaks and control characters, shortened in the middle if it is long."""
    line = "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))
    return line if len(line) <= 400 else f"{line[:247]}...{line[-150:]}"
