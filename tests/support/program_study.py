"""A study of a program as a person writes it: a shell script that learns something from its seed."""

from __future__ import annotations

from pathlib import Path

from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from tests.support.tiny_study import patched

NAME = "mine"
SCRIPT = """\
echo "begin" >&2
echo "{\\"metric\\": \\"val_loss\\", \\"value\\": 9.5, \\"step\\": 0}"
echo "{\\"metric\\": \\"val_loss\\", \\"value\\": 2.$((5000 + $2 * 37 % 11 - $1)), \\"step\\": 10}"
echo "score 0.$((500 + $2 * 13 % 7 + $1 / 10))"
printf 'rate\\n1%s\\n1%s\\n' "$(($2 + $1))" "$(($2 + $1))" > rates.csv
"""
"""Its warm-up lowers the loss by 4 %, and raises the score by 0.1."""

STUDY = """\
study: mine
question: Does warm-up help?
task: command
base: {command: [sh, train.sh, "{warmup}", "{seed}"], warmup: 0}
compare: {warmup: [0, 1000]}
metrics:
  val_loss: {better: lower, paired_over: seeds, unit: nats}
  score:
    better: higher
    compared_by: difference
    paired_over: seeds
    output: {kind: pattern, pattern: "score ([0-9.]+)"}
  rate: {better: higher, paired_over: rounds, output: {kind: csv, file: rates.csv, column: rate}}
design: {seeds: 6}
primary: val_loss
margins: {score: 0.005}
claims:
  lower: {source: me, says: It lowers the loss., level: {warmup: 1000}, direction: better}
  higher:
    {source: me, says: It raises the score., level: {warmup: 1000}, metric: score, direction: better}
"""


def put_program(folder: Path, *patches: tuple[str, str], script: str = SCRIPT, name: str = NAME) -> Path:
    """Write the study and its program below `folder`, changed by the patches, and return the study's path."""
    file = folder / "studies" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(patched(STUDY, *patches).replace(f"study: {NAME}", f"study: {name}", 1))
    (folder / "train.sh").write_text(script)
    return file


def loaded_program(folder: Path, *patches: tuple[str, str], script: str = SCRIPT) -> LoadedStudy:
    return load_study(put_program(folder, *patches, script=script))[0]
