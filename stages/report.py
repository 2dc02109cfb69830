"""The report: verdicts, figures, tables and pages, from the results of the other stages. Nothing is trained here."""

from pathlib import Path

from stages.errors import StudyError, exit_on_error
from stages.params import load_params
from stages.reporting.document import draw_figures, drawings, write_report
from stages.reporting.page import write_page
from stages.reporting.pictures import read_pictures
from stages.training.files import write_text
from stages.verdicts.findings import conclude, write_findings
from stages.verdicts.reading import read_results

PUBLISHED, PREPARED, MODELS = Path("data/published"), Path("data/prepared"), Path("data/models")
REPORTS = Path("reports")


def main(arguments: list[str]) -> None:
    """`python -m stages.report`."""
    if arguments:
        raise StudyError(f"report takes no arguments, not {' '.join(arguments)}")
    results = read_results(load_params(), REPORTS, PUBLISHED)
    pictures = read_pictures(results.models, MODELS, PREPARED)
    findings = conclude(results, PUBLISHED)
    texts = write_report(results, findings, pictures)
    write_findings(findings, REPORTS)
    draw_figures(drawings(results, findings, pictures), REPORTS / "figures")
    for path, text in texts.items():
        write_text(REPORTS / path, text)
    write_text(REPORTS / "report.html", write_page(texts, REPORTS / "figures"))


if __name__ == "__main__":
    exit_on_error(main)
