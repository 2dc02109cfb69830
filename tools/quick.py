"""`make quick`: the whole pipeline and its report in minutes, with a tenth of the images and a twentieth of the epochs.

    python -m tools.quick

Works in quick/, a copy of the project that is made anew. Data sets that the project has are not fetched again.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from dvc.utils.serialize import modify_yaml

from stages.errors import exit_on_error

ROOT = Path(__file__).parent.parent
QUICK = ROOT / "quick"
IMAGES, EPOCHS, SEEDS = 0.1, 0.05, 2


def shorten(params: dict) -> None:
    """Fewer images, epochs and seeds, in place."""
    for data in params["data"].values():
        data |= {"share": IMAGES, "validation_images": max(round(data["validation_images"] * IMAGES), 1)}
    params |= {"seeds": SEEDS, "repeats": 1}
    trainings = [params["numpy_defaults"], params["torch_defaults"], params["train_numpy"]]
    trainings += params["train_torch"].values()
    for study in (*params["tune"].values(), *params["ablations"].values()):
        study.pop("seeds", None)
        trainings += study["variants"]
    for training in trainings:
        if list(training) == ["epochs"]:
            training["name"] = training["epochs"]  # by which claims call it
        for part in (training, *(training.get("phases") or ())):
            if part.get("epochs"):
                part["epochs"] = max(round(EPOCHS * part["epochs"]), 1)


def main(arguments: list[str]) -> None:
    """Copy the project's files, shorten the study, run it."""
    shutil.rmtree(QUICK, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listed.split("\0"):
        if (ROOT / name).is_file() and not name.startswith(("reports/", "tests/")) and name != "dvc.lock":
            (QUICK / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, QUICK / name)
    (QUICK / ".dvc/config.local").write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    with modify_yaml(QUICK / "params.yaml") as params:
        shorten(params)
    fetched = {"DATASETS_DIR": str(ROOT / "data/raw")} if (ROOT / "data/raw").is_dir() else {}
    status = subprocess.call([sys.executable, "-m", "tools.repro"], cwd=QUICK, env={**fetched, **os.environ})
    if not status:
        print("Report of the quick look: quick/reports/report.html")
    sys.exit(status)


if __name__ == "__main__":
    exit_on_error(main)
