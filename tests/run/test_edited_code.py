"""A bug that nobody planted for us: one number in a cache is edited, and the study must say so instead of a
speed-up.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from tests.run.workplace import LEAST, Workplace


def test_an_off_by_one_in_a_cache_makes_its_arm_invalid(
    corpus_cache: Path, code: Path, tmp_path: Path
) -> None:
    place = Workplace.make(
        tmp_path / "place", cache=corpus_cache, code=Path(shutil.copytree(code, tmp_path / "code"))
    )
    cache = place.code / "models" / "cache.py"
    length = re.compile(r"(class DynamicCache.*?def length.*?return )([^\n]+)", re.DOTALL)
    edited, edits = length.subn(r"\1max(0, (\2) - 1)", cache.read_text())
    assert edits == 1
    cache.write_text(edited)

    done = place.harness(*LEAST, "--json")

    answer = json.loads(done.stdout)
    verdicts = {claim["id"]: claim["verdict"] for claim in answer["claims"]}
    assert done.returncode == 5
    assert set(answer["invalid"]) == {"cache=dynamic"}
    assert answer["invalid"]["cache=dynamic"].startswith("invariant cache-parity is broken: ")
    assert verdicts["faster"] == "invalid"
    assert verdicts["same"] in ("invalid", "refuted")
    assert "cache-parity is broken" in answer["answer"]
    assert "cache-parity is broken" in done.stderr
    assert "cache-parity is broken" in (place.folder / answer["report"]).read_text()
