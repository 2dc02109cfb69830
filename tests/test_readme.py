"""What the README says of results and files is what the repository holds."""

import json
import re
from pathlib import Path

import pandas as pd

from stages.common.params import load_params
from stages.common.sharing import own_tasks

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_headline_figures_are_those_of_the_results():
    records = ("train_numpy", "train_torch/record", "train_cnn/fashion_mnist", "train_cnn/cifar10")
    runs = pd.read_csv(ROOT / "reports/tune/published_architecture/runs.csv", dtype={"variant": str})
    reproduced = runs[runs["seed"] == 42].set_index("variant").loc["8", "final_accuracy"]
    table = [line for line in README.splitlines() if line.startswith("|")]
    for record in records:
        metrics = json.loads((ROOT / "reports" / record / "metrics.json").read_text(encoding="utf-8"))
        assert any(f"**{metrics['test_accuracy']:.4f}**" in line for line in table), record
    assert any(f"| {reproduced:.4f} |" in line for line in table)
    baseline = pd.read_csv(ROOT / "reports/ablations/baseline/runs.csv")
    again = baseline[baseline["variant"] == "staircase"]["test_accuracy"].mean()
    assert any(f"| {again:.4f} |" in line for line in table)


def test_its_count_of_runs_is_that_of_the_parameters():
    params = load_params(ROOT / "params.yaml")
    sections = (params.tune, params.ablations)
    runs = sum(len(own_tasks(studies, name)) for studies in sections for name in studies)
    assert f"{runs} runs and the models of record" in README


def test_its_links_lead_somewhere():
    targets = re.findall(r"\]\(([^)]+)\)", README)
    local = [target.partition("#") for target in targets if not target.startswith(("https://", "#"))]
    assert len(local) > 5
    assert [path for path, _, _ in local if not (ROOT / path).exists()] == []
    for path, _, place in local:
        headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE) if place else []
        assert not place or place in [heading.lower().replace(" ", "-") for heading in headings]


def test_its_counts_are_those_of_the_findings():
    metrics = json.loads((ROOT / "reports/metrics.json").read_text(encoding="utf-8"))
    counts = metrics["runs"] | metrics["verdicts"]
    assert f"{counts['come_back']} of the {counts['published']} published runs come back" in README
    told = [f"{counts['supported']} are supported", f"{counts['contradicted']} contradicted"]
    told += [f"{counts['artefact']} artefacts of the code, and {counts['undecided']}\nundecided"]
    assert ", ".join(told) in README


def test_it_gives_a_reason_for_each_requirement():
    pinned = [line.split("==")[0] for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()]
    section = README.partition("## Requirements")[2]
    assert sorted(re.findall(r"\*\*([a-z0-9-]+)\*\*", section)) == sorted(pinned)


def test_its_reading_order_covers_the_network():
    modules = {path.name for path in (ROOT / "stages/numpy_net").glob("*.py")} - {"__init__.py"}
    named = set(re.findall(r"stages/numpy_net/(\w+\.py)", README))
    assert modules - named == {"choices.py"}  # plumbing, opened when it is met


def test_its_reading_order_covers_the_networks_in_pytorch():
    modules = {path.name for path in (ROOT / "stages/torch_net").glob("*.py")}
    assert modules == set(re.findall(r"stages/torch_net/(\w+\.py)", README))
