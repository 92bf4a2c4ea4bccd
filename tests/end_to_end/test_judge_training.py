"""`harness judge` on two revisions of a training script: it finds a planted gain, and no gain in noise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.in_process import InProcess
from tests.end_to_end.test_judge import Here
from tests.support import train_tiny
from tests.support.repository import repository

pytestmark = pytest.mark.slow

SCRIPT = Path(train_tiny.__file__).read_text(encoding="utf-8")
SEEDED = "    random = np.random.default_rng(settings.seed)\n"
REPORTED = 'report("val_loss", loss, step + 1)'
REPETITIONS = 20
QUESTION = (
    *("--command", "{python} train.py --seed {seed}", "--metric", "val_loss"),
    *("--lower", "--seeds", "8"),
)


def with_other_random_numbers(count: int) -> str:
    """The script with a change that does nothing, but draws so many random numbers before the training."""
    assert SCRIPT.count(SEEDED) == 1
    return SCRIPT.replace(SEEDED, f"{SEEDED}    random.random({count})\n")


def planted(text: str) -> str:
    """The script with a loss that is 2 % lower."""
    assert text.count(REPORTED) == 1
    return text.replace(REPORTED, REPORTED.replace("loss, step", "0.98 * loss, step"))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Here:
    versions = {"main": {"train.py": SCRIPT}, "gain": {"train.py": planted(with_other_random_numbers(1))}}
    for count in range(1, REPETITIONS + 1):
        versions[f"nothing{count}"] = {"train.py": with_other_random_numbers(count)}
    return Here(repository(tmp_path_factory.mktemp("training") / "mine", versions))


@pytest.fixture(autouse=True)
def _in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.run.backends.local.LocalBackend", InProcess)
    monkeypatch.setattr("harness.report.build.write_report", lambda _, path: path.touch())


def test_a_planted_gain_of_2_percent_is_found_with_8_seeds(here: Here) -> None:
    data = here.data("main", "gain", *QUESTION)
    assert (data["verdict"], data["exit_code"], data["n"]) == ("better", 0, 8)
    assert data["low"] <= 0.98 <= data["high"]


def test_a_change_of_the_random_numbers_alone_is_no_gain(here: Here) -> None:
    words = [
        here.data("main", f"nothing{count}", *QUESTION)["verdict"] for count in range(1, REPETITIONS + 1)
    ]
    assert sum(word in ("equivalent", "undecided") for word in words) >= 19, words
