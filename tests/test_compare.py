"""Two revisions are told apart in Markdown and in pictures, or the name that is no revision is."""

import json
from pathlib import Path

import pandas as pd
import pytest

from stages.common.errors import StudyError
from tests.project import Project
from tools.compare import changed_rows, read_table, resolve
from tools.pictures import differs, draw_pictures

HISTORY = "reports/tune/learning_rate/history.csv"


def test_rows_that_differ_show_both_values():
    base = pd.DataFrame({"claim": ["N1", "N2", "N3"], "verdict": ["supported", "undecided", "artefact"]})
    head = pd.DataFrame({"claim": ["N1", "N2", "N4"], "verdict": ["supported", "contradicted", "undecided"]})
    rows = changed_rows(base, head, ["claim"], ["verdict"])
    assert dict(zip(rows["claim"], rows["verdict"], strict=True)) == {
        "N2": "undecided → contradicted",
        "N3": "artefact → ",
        "N4": " → undecided",
    }


def test_a_plot_is_drawn_only_where_its_revisions_differ(tmp_path):
    def plot(*accuracies: str) -> list[dict]:
        rows = [{"rev": rev, "epoch": "1", "accuracy": each} for rev, each in zip("ab", accuracies, strict=False)]
        return [{"type": "vega", "content": {"data": {"values": rows}, "mark": "point"}}]

    plots = {"same": plot("0.5", "0.5"), "other": plot("0.5", "0.6"), "new": plot("0.5")}
    figures = {"reports/figures/x.png": [b"old", b"new"], "reports/figures/y.png": [None, b"new"]}
    count = draw_pictures(f"a line of DVC's\n{json.dumps({'data': plots})}", figures, tmp_path / "pictures")
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert names == {"other.png", "new.png", "x_before.png", "x_after.png", "y_after.png"}
    assert count == len(names)
    assert (tmp_path / "pictures/other.png").read_bytes().startswith(b"\x89PNG")


def test_the_order_of_rows_counts_but_that_of_columns_does_not():
    assert not differs([{"rev": "a", "x": "1", "y": "2"}, {"y": "2", "x": "1", "rev": "b"}])
    assert differs([{"rev": "a", "x": "1"}, {"rev": "a", "x": "2"}, {"rev": "b", "x": "2"}, {"rev": "b", "x": "1"}])


def test_what_is_no_revision_is_named():
    with pytest.raises(StudyError, match=r"^nonsense is neither a revision nor an experiment"):
        resolve("nonsense")
    with pytest.raises(StudyError, match=r"^--all is neither"):
        resolve("--all")


@pytest.fixture(scope="module")
def compared(reproduced_project: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """A copy with one number of a history changed, and what the comparison says."""
    project = reproduced_project.copy(tmp_path_factory.mktemp("compare") / "project")
    path = project.folder / HISTORY
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    cells = lines[1].rstrip("\n").split(",")
    lines[1] = ",".join([*cells[:-1], "0.123"]) + "\n"
    path.write_text("".join(lines), encoding="utf-8")
    return project, project.succeed("python", "-m", "tools.compare", "--pictures", "comparison")


def test_a_change_in_a_history_shows_in_its_plots_alone(compared: tuple[Project, str]):
    project, text = compared
    assert {path.name for path in (project.folder / "comparison").iterdir()} == {
        "learning_rate_accuracy.png",
        "learning_rate_loss.png",  # drawn from the same file
    }
    for heading in ("## Parameters", "## Metrics", "### Verdicts", "### Published runs", "### Faults", "## Figures"):
        assert f"{heading}\n\nNo change." in text


def test_figures_are_linked_by_commit_where_a_place_serves_them(compared: tuple[Project, str]):
    project, _ = compared
    before = project.succeed("git", "rev-parse", "HEAD").strip()
    (project.folder / "reports/figures/summary.png").write_bytes(b"another")
    (project.folder / "reports/figures/torch_dropout.png").unlink(missing_ok=True)
    project.commit()
    after = project.succeed("git", "rev-parse", "HEAD").strip()
    text = project.succeed("python", "-m", "tools.compare", "HEAD~1", "HEAD", "--links", "https://example.invalid/raw")
    name = "reports/figures/summary.png"
    row = " | ".join(f"![summary](https://example.invalid/raw/{commit}/{name})" for commit in (before, after))
    assert f"| {row} |" in text


def test_hashes_are_short_in_headings(compared: tuple[Project, str]):
    project = compared[0]
    project.replace("params.yaml", "\nlr: 0.1\n", "\nlr: 0.2\n")
    project.commit()
    before, after = (project.succeed("git", "rev-parse", revision).strip() for revision in ("HEAD~1", "HEAD"))
    text = project.succeed("python", "-m", "tools.compare", before, after)
    heading = next(line for line in text.splitlines() if line.startswith("| Path"))
    assert [cell.strip() for cell in heading.split("|")[3:5]] == [before[:9], after[:9]]


def test_a_figure_that_goes_by_another_name_is_one_removed_and_one_new(compared: tuple[Project, str]):
    project = compared[0]
    figures = project.folder / "reports/figures"
    (figures / "torch_final.png").rename(figures / "another.png")
    project.commit()
    text = project.succeed("python", "-m", "tools.compare", "HEAD~1", "HEAD")
    assert text.endswith("- `reports/figures/another.png`\n- `reports/figures/torch_final.png`\n")


def test_findings_of_older_form_are_compared_and_what_is_no_table_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert read_table(None, "claims.csv", ["claim", "verdict"]) is None
    path = tmp_path / "reports/claims.csv"
    path.parent.mkdir()
    path.write_text("claim,remark\nN1,so\n")
    assert read_table(None, "claims.csv", ["claim", "verdict"]).to_dict("list") == {"claim": ["N1"], "verdict": [""]}
    path.write_text("")
    with pytest.raises(StudyError, match=r"^reports/claims\.csv of the workspace is no table: "):
        read_table(None, "claims.csv", ["claim"])


def test_a_folder_that_cannot_be_written_ends_in_one_line(compared: tuple[Project, str]):
    done = compared[0].run("python", "-m", "tools.compare", "--pictures", "README.md")
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert last == "error: no pictures can be written to README.md: File exists"


def test_a_wrong_revision_ends_in_one_line(compared: tuple[Project, str]):
    done = compared[0].run("python", "-m", "tools.compare", "nonsense")
    assert done.returncode == 1
    assert done.stdout.strip().splitlines() == [
        "error: nonsense is neither a revision nor an experiment: `git log` and `dvc exp list` name them"
    ]
