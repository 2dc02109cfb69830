"""The schema of params.yaml: every key, its type and its allowed values. Loaded parameters are complete and immutable.

An error in the file gives one line that names the key, its value and what is allowed, before anything is computed.
"""

import re
import reprlib
from collections.abc import Callable, Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML, YAMLError

from stages.errors import StudyError

CLASSES = 10  # of every data set here
PIXELS = 28 * 28  # of an image of Fashion-MNIST, on which the NumPy network is trained
EDITIONS = {"fashion_mnist": ("original", "withdrawn"), "cifar10": ("original", "jpeg")}
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


class Layer(Strict):
    """An entry of an architecture, as the report writes it."""

    input_nodes: Units
    activation: Activation | Literal["softmax"]


def read_architecture(value: Any) -> Any:
    """`784-64-10 relu` is short for a list of layers with that hidden activation."""
    if not isinstance(value, str):
        return value
    short = re.fullmatch(r"(\d{1,5}(?:-\d{1,5})+) (\w+)", value, re.ASCII)
    if not short:
        raise ValueError("write it as 784-64-10 relu, or as a list of {input_nodes, activation}")
    *hidden, last = map(int, short[1].split("-"))
    layers = [{"input_nodes": nodes, "activation": short[2]} for nodes in hidden]
    return [*layers, {"input_nodes": last, "activation": "softmax"}]


def check_architecture(layers: list[Layer]) -> list[Layer]:
    """The first layer is the input, the last the softmax output, and no other has softmax."""
    ends = [layer.activation == "softmax" for layer in layers]
    if len(layers) < 2 or not ends[-1] or any(ends[:-1]):
        raise ValueError("the last layer, and no other, has softmax; an input comes before it")
    if (layers[0].input_nodes, layers[-1].input_nodes) != (PIXELS, CLASSES):
        raise ValueError(f"Fashion-MNIST needs {PIXELS} input nodes (pixels) and {CLASSES} output nodes (classes)")
    return layers


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
    outputs: Annotated[int, Field(ge=CLASSES, le=10_000)]


class CnnTraining(TorchTraining):
    """All settings of a training of a convolutional network, except its seed."""

    stem: Units
    # 28 pixels leave the stem as 27, then 13, 6, 3: a fourth block would leave one pixel, without variance.
    widths: Annotated[list[Units], BeforeValidator(read_sizes), Field(min_length=1, max_length=3)]
    activation: Activation
    logit_scale: Positive


class FinalModel(Strict):
    """A final PyTorch model: its data set and its training."""

    dataset: str
    training: MlpTraining | CnnTraining


class Data(Strict):
    """Which edition of a data set, and how many training images become its validation split."""

    edition: str
    # Of CIFAR-10's 50,000 training images, at least one per class must remain.
    validation_images: Annotated[int, Field(ge=CLASSES, le=50_000 - CLASSES, multiple_of=CLASSES)]
    split_seed: Seed


class Variant(Strict):
    """A configuration of a study."""

    name: Annotated[
        str,
        BeforeValidator(lambda name: str(name) if isinstance(name, int | float) else name),
        Field(pattern=r"^[A-Za-z0-9._+-]{1,60}$"),
    ]
    training: NumpyTraining | MlpTraining


class Study(Strict):
    """Variants, each trained once with every seed."""

    seeds: list[Seed]
    variants: Annotated[list[Variant], Field(min_length=1, max_length=100)]

    @property
    def trainings(self) -> dict[str, NumpyTraining | MlpTraining]:
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
    data: dict[Literal["fashion_mnist", "cifar10"], Data]
    train_numpy: NumpyTraining
    tune: dict[str, Study]
    torch_dataset: str
    train_torch: dict[str, FinalModel]
    ablations: dict[str, Study]

    @model_validator(mode="after")
    def check_references(self) -> "Params":
        """Refuse a name of a data set, an edition, a model or a study that does not exist."""
        for name, data in self.data.items():
            check_name(f"data.{name}.edition", EDITIONS[name], data.edition)
        check_name("data", self.data, "fashion_mnist")
        check_name("torch_defaults.dataset", self.data, self.torch_dataset)
        for name, model in self.train_torch.items():
            check_name(f"train_torch.{name}.dataset", self.data, model.dataset)
            if getattr(model.training, "outputs", CLASSES) != CLASSES:
                raise ValueError(f"train_torch.{name}.outputs = {model.training.outputs}: {CLASSES} are needed")
        for name in ("published", "mlp", "cnn_fashion_mnist", f"cnn_{self.torch_dataset}"):
            check_name("train_torch", self.train_torch, name)
        if self.train_numpy.division == "random":
            raise ValueError("train_numpy.division = random: only studies have it; choose original")
        for section, studies in (("tune", self.tune), ("ablations", self.ablations)):
            for name in studies:
                if not re.fullmatch(r"[a-z0-9_-]{1,60}", name):
                    raise ValueError(f"{section}.{name}: a name has 1 to 60 of a-z, 0-9, _ and -")
        return self


def check_name(key: str, known: Collection[str], name: str) -> None:
    """For a name that does not exist, list those that do."""
    if name not in known:
        raise ValueError(f"{key}: {name} does not exist; choose from {', '.join(known) or 'none'}")


class Defaults(BaseModel):
    """Default settings, which are checked when they are merged."""

    model_config = ConfigDict(extra="allow", strict=True)


class TorchDefaults(Defaults):
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
    data: dict[str, Any]
    numpy_defaults: Defaults
    numpy_published: Defaults
    train_numpy: dict[str, Any]
    tune: dict[str, StudyEntry]
    torch_defaults: TorchDefaults
    train_torch: dict[str, dict[str, Any]]
    ablations: dict[str, StudyEntry]


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml; a StudyError names the first wrong key, its value and what is allowed.

    Every stage begins with this, so it also checks the folders into which the stages write.
    """
    check_folders(path.parent)
    try:
        return resolve(read_yaml(path))
    except StudyError as error:
        raise StudyError(one_line(f"{path}: {error}")) from error


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


def resolve(content: Any) -> Params:
    """Merge each training from the defaults, the settings of its section and its own changes."""
    raw = validate(Entries, "", content)
    numpy, published, torch = raw.numpy_defaults, raw.numpy_published, raw.torch_defaults
    numpy_layers, torch_layers = [("numpy_defaults", numpy.model_extra)], [("torch_defaults", torch.model_extra)]
    bases = {None: numpy_layers, "published": [*numpy_layers, ("numpy_published", published.model_extra)]}
    seeds = raw.first_seed, raw.seeds
    top = {"lr": raw.lr, "batch_size": raw.batch_size}
    merge(NumpyTraining, numpy_layers)
    merge(MlpTraining, torch_layers)
    sections = {
        "train_numpy": merge(NumpyTraining, [*numpy_layers, ("", top), ("train_numpy", raw.train_numpy)]),
        "tune": {
            name: resolve_study(NumpyTraining, f"tune.{name}", entry, bases[entry.base], *seeds)
            for name, entry in raw.tune.items()
        },
        "train_torch": {
            name: resolve_model(f"train_torch.{name}", settings, torch.dataset, [*torch_layers, ("", top)])
            for name, settings in raw.train_torch.items()
        },
        "ablations": {
            name: resolve_study(MlpTraining, f"ablations.{name}", entry, torch_layers, *seeds)
            for name, entry in raw.ablations.items()
        },
    }
    own = {key: getattr(raw, key) for key in ("seed", "lr", "batch_size", "threads", "arithmetic", "data")}
    return validate(Params, "", {**own, **sections, "torch_dataset": torch.dataset})


Layers = list[tuple[str, dict[str, Any]]]  # sections of the file, each with its settings; later ones win


def merge(kind: type[Strict], layers: Layers) -> Any:
    """A training from merged settings; an error names the section that contains the wrong key."""
    settings = {key: value for _, changes in layers for key, value in changes.items()}

    def section_of(key: str) -> str:
        return next((where for where, changes in reversed(layers) if key in changes), layers[-1][0])

    return validate(kind, section_of, settings)


def resolve_model(where: str, settings: dict[str, Any], dataset: Any, layers: Layers) -> FinalModel:
    """A final model: a perceptron, or with `network: cnn` a convolutional network, with the defaults that it has."""
    own = dict(settings)
    dataset, network = own.pop("dataset", dataset), own.pop("network", "mlp")
    kinds = {"mlp": MlpTraining, "cnn": CnnTraining}
    if not isinstance(network, str) or network not in kinds:
        raise StudyError(f"{where}.network = {short_repr(network)}: choose from {', '.join(kinds)}")
    kind = kinds[network]
    known = [
        (name, {key: value for key, value in changes.items() if key in kind.model_fields}) for name, changes in layers
    ]
    return validate(FinalModel, where, {"dataset": dataset, "training": merge(kind, [*known, (where, own)])})


def resolve_study(kind: type[Strict], where: str, entry: StudyEntry, layers: Layers, first: int, count: int) -> Study:
    """A study with complete variants. A variant without a name is called after the one value that it changes."""
    variants = []
    for place, changes in enumerate(entry.variants):
        here, changes = f"{where}.variants.{place}", dict(changes)
        name = changes.pop("name", None)
        if name is None:
            if len(changes) != 1:
                raise StudyError(f"{here} changes {len(changes)} settings: give it a name")
            (name,) = changes.values()
        training = merge(kind, [*layers, (f"{where}.settings", entry.settings), (here, changes)])
        variants.append(validate(Variant, here, {"name": name, "training": training}))
    seeds = list(range(first, first + (entry.seeds or count)))
    return validate(Study, where, {"seeds": seeds, "variants": variants})


def validate(kind: type[Strict], where: str | Callable[[str], str], values: Any) -> Any:
    """`values` as a `kind`; a StudyError names the first mistake. `where`: the section, or key -> section."""
    try:
        return kind.model_validate(values)
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
