"""What a model of record leaves behind for its report, whatever trained it.

history.csv      a row an epoch
metrics.json     the headline figures (what `dvc metrics diff` shows)
confusion.csv    counts of true and predicted classes
classes.csv      precision, recall and F1 of each class
calibration.csv  how often the network is right when it is so sure
mistakes.csv     the mistakes that it was surest of
"""

from pathlib import Path

import numpy as np

from stages.common.files import write_json, write_text
from stages.common.metrics import calibration_table, class_table, confusion_table, mistakes_table, record_metrics
from stages.common.runs import Run, csv, history_table


def write_record(folder: Path, run: Run, labels: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...]) -> None:
    """Write the files of a model of record.

    labels (n, classes): one-hot, of the test images; probabilities (n, classes): what the network says of them.
    """
    numbers = labels.argmax(axis=1)  # (n,)
    write_text(folder / "history.csv", csv(history_table([run]).drop(columns=["variant", "seed"])))
    write_json(folder / "metrics.json", record_metrics(run, numbers, probabilities))
    write_text(folder / "confusion.csv", csv(confusion_table(numbers, probabilities, names)))
    write_text(folder / "classes.csv", csv(class_table(numbers, probabilities, names)))
    write_text(folder / "calibration.csv", csv(calibration_table(numbers, probabilities)))
    write_text(folder / "mistakes.csv", csv(mistakes_table(numbers, probabilities, names)))
