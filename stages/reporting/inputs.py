"""Reading what the other stages left: a missing or damaged file is answered in one line that says how to make it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from stages.common.errors import StudyError
from stages.common.files import read_json

MAKE = "run `dvc repro`"


def read_table(path: Path, columns: Sequence[str], text: Sequence[str] = (), *, empty: bool = False) -> pd.DataFrame:
    """A CSV file that must have `columns` and, unless it may be `empty`, rows.

    Columns in `text` stay strings ("0.10", "none"); empty cells become NaN.
    """
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
    except FileNotFoundError as error:
        raise missing(path) from error
    except (OSError, ValueError) as error:  # pandas' parsing errors are ValueErrors
        raise damaged(path) from error
    if absent := [column for column in columns if column not in table.columns]:
        raise StudyError(f"{path} has no column {absent[0]}; {MAKE}")
    if table.empty and not empty:
        raise StudyError(f"{path} has no rows; {MAKE}")
    return table


def read_record(path: Path) -> Any:
    """A JSON or YAML file."""
    try:
        if path.suffix == ".json":
            return read_json(path)
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise missing(path) from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise damaged(path) from error


def missing(path: Path) -> StudyError:
    """What to say of a file that isn't there."""
    return StudyError(f"{path} is missing; {MAKE}")


def damaged(path: Path) -> StudyError:
    """What to say of a file that can't be read."""
    return StudyError(f"{path} cannot be read; {MAKE}")
