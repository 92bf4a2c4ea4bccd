"""`harness report --all`: the page about all studies in the store."""

from __future__ import annotations

from typing import Any

from harness.cli.console import CommandOutput
from harness.experiment import Workspace
from harness.report.build import write_page
from harness.report.index import IndexStudy, render_index
from harness.report.index_source import INDEX, index_input
from harness.store.store import open_store


def write_index(workspace: Workspace, output: CommandOutput) -> None:
    """Write the page from the verdicts in the store, and print its path. The same store and the same folder
    of reports give the same page.

    Raises InputError if there is no store, or if the page cannot be written.
    """
    workspace.check_exists()
    workspace.check_writable()
    with open_store(workspace.location) as store:
        given = index_input(store, workspace.reports)
    path = workspace.reports / INDEX
    path.parent.mkdir(parents=True, exist_ok=True)
    write_page(render_index(given), path)
    if output.json:
        studies = [_study_data(study) for study in given.studies]
        output.data({"index": str(path), "studies": studies, "unjudged": list(given.unjudged)})
        return
    for name in given.unjudged:
        output.note(f"the newest run of {name} has no verdicts yet; `harness report {name}` computes them")
    output.line(f"index: {path}")


def _study_data(study: IndexStudy) -> dict[str, Any]:
    files = [link.file for link in study.reports]
    return {"study": study.name, "runs": [run.run for run in study.runs], "reports": files}
