"""Trained models: the folder of each one, and whether its files are still those that the training wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from harness.config import digest
from harness.errors import HarnessError, Location
from harness.run.identity import Setting
from harness.store.rows import Artifact
from harness.store.store import Store
from harness.training.checkpoint import read_state_file, state_path, weights_digest
from harness.trial.outcome import Outcome
from harness.trial.spec import TrialSpec


class Checkpoints:
    """The checkpoints of trainings, shared by all studies that run with the same code.

    `note` receives a message when a model must be trained again, with the reason.
    """

    def __init__(self, setting: Setting, store: Store, note: Callable[[str], None]) -> None:
        self._setting, self._store, self._note = setting, store, note
        self._reported: set[Path] = set()

    def folder(self, training: TrialSpec) -> Path:
        return self._setting.results.resolve() / "checkpoints" / self._content_id(training)

    def folders(self, trainings: Iterable[TrialSpec]) -> dict[str, str]:
        """The folder of each training by the digest of its config, which is how workers look for it."""
        return {digest(spec.config): str(self.folder(spec)) for spec in trainings}

    def has(self, training: TrialSpec) -> bool:
        """Whether the model exists and is undamaged. If not, it must be trained again."""
        known = self._store.artifact("checkpoint", self._content_id(training))
        if known is None:
            return False
        folder = self.folder(training)
        try:
            undamaged = weights_digest(folder) == known.sha256
        except OSError as error:
            self._report(folder, f"cannot be read ({error.strerror})")
            return False
        if not undamaged:
            self._report(folder, "is damaged")
        return undamaged

    def _report(self, folder: Path, problem: str) -> None:
        if folder not in self._reported:
            self._reported.add(folder)
            self._note(f"the checkpoint in {folder} {problem}, so the model is trained again")

    def refuse_elsewhere(self, trainings: Iterable[TrialSpec]) -> None:
        """Raises HarnessError if another driver has trained one of these models, and it is not here."""
        for training in trainings:
            folder = self.folder(training)
            if self._store.artifact("checkpoint", self._content_id(training)) and not folder.exists():
                raise HarnessError(
                    f"another driver has trained the model of seed {training.seed}, which is not here",
                    at=Location(str(folder)),
                    hint="give all drivers of a run the same folder of results, on a shared file system",
                )

    def check_state(self, training: TrialSpec) -> None:
        """Raises InputError if the training would continue from a damaged state or from another recipe's."""
        path = state_path(self.folder(training))
        if path.exists() and not self.has(training):
            read_state_file(path, {"train": training.config, "seed": training.generator})

    def record(self, training: TrialSpec, outcome: Outcome, attempt_id: int) -> None:
        """Record the checkpoint of a training, if the training produced one."""
        if outcome.status == "finished" and "weights" in outcome.outputs:
            self._store.record_artifact(
                Artifact(
                    kind="checkpoint",
                    content_id=self._content_id(training),
                    sha256=outcome.outputs["weights"],
                    path=str(self.folder(training)),
                    attempt_id=attempt_id,
                )
            )

    def _content_id(self, training: TrialSpec) -> str:
        """Identifies a model by the content of its recipe and its texts, by its seed and by the code."""
        return digest(
            {
                "train": training.config_content,
                "seed": training.generator,
                "code": self._setting.code,
                "corpora": list(self._setting.corpora),
                "plant": self._setting.plant,
            }
        )
