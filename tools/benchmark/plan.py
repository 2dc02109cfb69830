"""How much of everything is measured: the whole benchmark, or a quick look at whether it works."""

from dataclasses import dataclass, replace

FASHION, CIFAR = "fashion_mnist", "cifar10"
SHALLOW = (784, 64, 10)
DEEP = (784, 512, 256, 128, 64, 10)
CIFAR_MLP = (3072, 256, 128, 10)


@dataclass(frozen=True)
class Cell:
    """One row of the table of epochs: a network, a mini-batch size, and how much of an epoch is timed.

    `steps`: mini-batches that are timed, None for a whole epoch. `evaluated`: test images that the published way
    predicts one by one, of 10,000. Times are scaled to the whole.
    """

    data_set: str
    sizes: tuple[int, ...]
    batch_size: int
    steps: int | None
    evaluated: int

    @property
    def network(self) -> str:
        """Units of each layer, input first."""
        return "-".join(map(str, self.sizes))


@dataclass(frozen=True)
class Plan:
    """Amounts.

    `cell_seconds`: after how long a cell gets no further repeat. `noise`: None for the real data, or the number of
    random images instead. `product_side`: rows of the square matrices that set the limit. `children`: whether to start
    processes of their own for memory, start-up, the pipeline and the study.
    """

    cells: tuple[Cell, ...]
    published_cells: tuple[Cell, ...]
    repeats: int
    cell_seconds: float
    noise: int | None
    product_side: int
    products: int
    cnn_batch: int | None
    cnn_steps: int
    children: bool


CELLS = (
    Cell(FASHION, SHALLOW, 1, 1000, 1000),
    Cell(FASHION, SHALLOW, 8, 1000, 1000),
    Cell(FASHION, SHALLOW, 128, None, 1000),
    Cell(FASHION, SHALLOW, 1024, None, 1000),
    Cell(FASHION, DEEP, 1, 150, 200),
    Cell(FASHION, DEEP, 8, 200, 200),
    Cell(FASHION, DEEP, 128, 40, 200),
    Cell(FASHION, DEEP, 1024, 12, 200),
    Cell(CIFAR, CIFAR_MLP, 128, 60, 200),
)
FULL = Plan(
    cells=CELLS,
    published_cells=(Cell(FASHION, SHALLOW, 128, None, 10_000), Cell(FASHION, DEEP, 128, 30, 1000)),
    repeats=5,
    cell_seconds=7.0,
    noise=None,
    product_side=1024,
    products=6,
    cnn_batch=None,
    cnn_steps=2,
    children=True,
)
QUICK_IMAGES = 1024
QUICK = Plan(
    cells=tuple(replace(cell, steps=1, evaluated=2) for cell in CELLS),
    published_cells=tuple(replace(cell, steps=1, evaluated=2) for cell in FULL.published_cells),
    repeats=1,
    cell_seconds=0.0,
    noise=QUICK_IMAGES,
    product_side=128,
    products=1,
    cnn_batch=8,
    cnn_steps=1,
    children=False,
)
