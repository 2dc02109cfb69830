"""Two revisions of the study side by side, in Markdown: parameters, metrics, verdicts, published runs, faults, figures.

    python -m tools.compare [BASE [HEAD]] [--pictures FOLDER] [--links URL]          (or: make compare)

BASE is HEAD unless given, and HEAD is the workspace: what an experiment, or work that isn't committed yet, changed.
Either may be a commit, a branch, a tag or the name of an experiment. `--pictures` draws every changed plot there,
without a browser or network, and puts both versions of every changed figure beside them; `--links` shows the figures
from a place that serves the repository's files by commit, such as https://github.com/OWNER/REPOSITORY/raw.
"""

import argparse
import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stages.common.errors import StudyError, exit_on_error
from tools.dvc_command import dvc, environment
from tools.pictures import draw_pictures

HASH = re.compile(r"[0-9a-f]{40}")
REPORTS = "reports"
FIGURES = f"{REPORTS}/figures"
# The findings by file: the columns that name a row, and those that are compared.
FINDINGS = {
    "claims.csv": ("Verdicts", ["claim", "text"], ["verdict"]),
    "reproduction.csv": ("Published runs", ["framework", "study", "variant"], ["accuracy", "comes_back"]),
    "faults.csv": ("Faults", ["fault", "setting", "quantity"], ["effect", "low", "high"]),
}


def run(*command: str) -> str:
    """The output of a command that must succeed; a StudyError has the last line of what it complained of."""
    done = subprocess.run(command, env=environment(), capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise StudyError(f"{Path(command[0]).name} {' '.join(command[1:4])}: {reason}")
    return done.stdout


def resolve(revision: str) -> str:
    """The commit that a revision, or the name of an experiment, stands for."""
    candidates = [revision, *(ref for ref in experiments() if ref.rpartition("/")[2] == revision)]
    for candidate in candidates:
        found = subprocess.run(
            ["git", "rev-parse", "--quiet", "--verify", "--end-of-options", f"{candidate}^{{commit}}"],
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if found.returncode == 0:
            return found.stdout.strip()
    raise StudyError(f"{revision} is neither a revision nor an experiment: `git log` and `dvc exp list` name them")


def experiments() -> list[str]:
    """Git's references to DVC's experiments."""
    return run("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()


def short(revision: str) -> str:
    """A full commit hash, which fills a table's heading, cut to what still names it; other names as they are."""
    return run("git", "rev-parse", "--short=9", revision).strip() if HASH.fullmatch(revision) else revision


def read(revision: str | None, path: str) -> bytes | None:
    """A file at a revision, or in the workspace; None where it isn't there."""
    if revision is None:
        file = Path(path)
        return file.read_bytes() if file.is_file() else None
    shown = subprocess.run(["git", "show", f"{revision}:{path}"], capture_output=True, check=False)
    return shown.stdout if shown.returncode == 0 else None


def read_table(revision: str | None, name: str, columns: Sequence[str]) -> pd.DataFrame | None:
    """These columns of a file of findings as text, cell by cell; empty where an older file hasn't such a column."""
    data = read(revision, f"{REPORTS}/{name}")
    if data is None:
        return None
    try:
        table = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise StudyError(f"{REPORTS}/{name} of {revision or 'the workspace'} is no table: {reason}") from error
    return table.reindex(columns=list(columns), fill_value="")


def changed_rows(base: pd.DataFrame, head: pd.DataFrame, names: Sequence[str], compared: Sequence[str]) -> pd.DataFrame:
    """The rows that differ in a compared column, with both values as `before → after`; those of one side alone too."""
    both = base.merge(head, on=list(names), how="outer", suffixes=("\0before", "\0after"), sort=False).fillna("")
    told = pd.DataFrame(both[list(names)])
    differs = pd.Series(False, index=both.index)
    for column in compared:
        before, after = both[f"{column}\0before"], both[f"{column}\0after"]
        differs |= before != after
        told[column] = before.where(before == after, before + " → " + after)
    return told[differs]


def findings(base: str | None, head: str | None) -> list[str]:
    """The changed rows of every file of findings, each under its heading."""
    parts = []
    for name, (title, names, compared) in FINDINGS.items():
        tables = [read_table(revision, name, [*names, *compared]) for revision in (base, head)]
        known = [table for table in tables if table is not None]
        if len(known) < len(tables):
            parts += [f"### {title}", f"`{name}` is in {'one' if known else 'none'} of the two."]
            continue
        rows = changed_rows(*known, names, compared)
        parts += [f"### {title}", rows.to_markdown(index=False, disable_numparse=True) if len(rows) else "No change."]
    return parts


def changed_figures(base: str, head: str | None) -> list[str]:
    """The figures that differ, by path; new and removed ones too."""
    names = run("git", "diff", "--name-only", "--no-renames", "-z", base, *([head] if head else []), "--", FIGURES)
    if head is None:
        names += run("git", "ls-files", "-z", "--others", "--exclude-standard", "--", FIGURES)
    return sorted({name for name in names.split("\0") if name.endswith(".png")})


def figures(base: str, head: str | None, links: str | None) -> list[str]:
    """The changed figures as a list or, with `links`, before and after, side by side."""
    names = changed_figures(base, head)
    if not names:
        return ["No change."]
    if links is None or head is None:
        return [f"- `{name}`" for name in names]
    lines = ["| before | after |", "|---|---|"]
    for name in names:
        cells = [
            f"![{Path(name).stem}]({links}/{revision}/{name})" if read(revision, name) is not None else "–"
            for revision in (base, head)
        ]
        lines.append(f"| {cells[0]} | {cells[1]} |")
    return lines


def with_rows(table: str) -> str:
    """A Markdown table that has more than its heading and the rule below it."""
    return table if table.count("\n") > 1 else "No change."


def compare(names: Sequence[str], base: str, head: str | None, links: str | None) -> str:
    """The whole comparison. `names`: what the two commits were called by, for DVC's headings."""
    params, metrics = (with_rows(run(*dvc(kind, "diff", "--md", *names)).strip()) for kind in ("params", "metrics"))
    parts = ["## Parameters", params, "## Metrics", metrics, "## Findings", *findings(base, head), "## Figures"]
    return "\n\n".join([*parts, "\n".join(figures(base, head, links))]) + "\n"


def draw(names: Sequence[str], base: str, head: str | None, folder: Path) -> None:
    """Draw the changed plots and figures into `folder`."""
    # DVC copies the figures among its plots somewhere; here both versions of each come from git.
    with tempfile.TemporaryDirectory() as copies:
        specifications = run(*dvc("plots", "diff", "--json", "--out", copies, *names))
    versions = {name: [read(revision, name) for revision in (base, head)] for name in changed_figures(base, head)}
    try:
        count = draw_pictures(specifications, versions, folder)
    except OSError as error:
        raise StudyError(f"no pictures can be written to {folder}: {error.strerror}") from error
    print(f"{count} pictures are in {folder}", file=sys.stderr)


def main(arguments: list[str]) -> None:
    """Print the comparison; draw the pictures where they are asked for."""
    parser = argparse.ArgumentParser(prog="python -m tools.compare", description="Compare two revisions of the study.")
    parser.add_argument("base", nargs="?", default="HEAD", help="a revision or an experiment (HEAD)")
    parser.add_argument("head", nargs="?", help="another one (the workspace)")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw the changed plots and figures there")
    parser.add_argument("--links", metavar="URL", help="where the repository's files are served by commit")
    options = parser.parse_args(arguments)
    base = resolve(options.base)
    head = resolve(options.head) if options.head else None
    names = [short(options.base), *([short(options.head)] if options.head else [])]
    print(compare(names, base, head, options.links), end="")
    if options.pictures:
        draw(names, base, head, options.pictures)


if __name__ == "__main__":
    exit_on_error(main)
