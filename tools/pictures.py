"""Pictures of what differs between two revisions, drawn without a browser or a network."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import vl_convert

VEGA_LITE = "5.20"  # the page that DVC writes loads a version 5
SIDES = ("before", "after")


def draw_pictures(specifications: str, figures: Mapping[str, Sequence[bytes | None]], folder: Path) -> int:
    """Draw the changed ones of the plots in the output of `dvc plots diff --json`, and both versions of `figures`.

    Returns how many pictures there are in `folder` for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # DVC may print a line of its own before the JSON.
    plots = json.loads(specifications[specifications.index("{") : specifications.rindex("}") + 1]).get("data", {})
    count = 0
    for name, drawn in plots.items():
        for plot in drawn:
            content = plot.get("content")
            if plot.get("type") == "vega" and differs(rows_of(content)):
                picture = vl_convert.vegalite_to_png(content, vl_version=VEGA_LITE, scale=2)
                (folder / f"{Path(name).name}.png").write_bytes(picture)
                count += 1
    for name, versions in figures.items():
        for side, data in zip(SIDES, versions, strict=True):
            if data is not None:
                (folder / f"{Path(name).stem}_{side}.png").write_bytes(data)
                count += 1
    return count


def rows_of(content: Any) -> list[dict]:
    """The data of a plot's specification, which may be a string."""
    specification = json.loads(content) if isinstance(content, str) else content
    return specification.get("data", {}).get("values", [])


def differs(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the revisions have other rows."""
    by_revision: dict[str, list[str]] = {}
    for row in rows:
        own = {key: value for key, value in row.items() if key != "rev"}
        by_revision.setdefault(str(row.get("rev")), []).append(json.dumps(own, sort_keys=True))
    return len(by_revision) < 2 or len({tuple(own) for own in by_revision.values()}) > 1
