"""The notebook of the documents: a kernel runs all of its cells, as a reader does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_it_is_stored_without_results() -> None:
    cells = code_cells(json.loads(NOTEBOOK.read_text(encoding="utf-8")))
    assert {(cell["execution_count"], tuple(cell["outputs"])) for cell in cells} == {(None, ())}


@pytest.mark.slow
def test_every_cell_shows_what_the_text_says(tmp_path: Path) -> None:
    """A kernel starts, and a study runs at its smallest scale, which takes half a minute."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    first, ran, verdicts, contrasts, speeds, figures, report = (
        cell["outputs"][-1]["data"] for cell in code_cells(notebook)
    )
    assert "there are no results at" in first["text/html"]
    assert "<td>confirmed</td>" in ran["text/html"]
    assert all(f"<th>{column}</th>" in verdicts["text/html"] for column in ("source", "unit", "region"))
    assert "<td>cache_bytes</td>" in contrasts["text/html"]
    assert "decode_tokens" not in speeds["text/plain"]
    assert "cache=dynamic" in speeds["text/plain"]
    assert figures["text/html"].count("<img src=") >= 2
    assert report["text/plain"] == "'kv_cache.smoke.html'"
