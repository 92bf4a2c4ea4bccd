"""Trained models: where each lies, and whether it is still as it was made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from harness.config import digest
from harness.run.identity import Setting
from harness.store.rows import Artifact
from harness.store.store import Store
from harness.training.checkpoint import weights_digest
from harness.training.state_file import read_state_file, state_path
from harness.trial.outcome import Outcome
from harness.trial.spec import TrialSpec


class Checkpoints:
    """The models that trainings leave, shared by every study of the same code.

    `note` is told why one is made again.
    """

    def __init__(self, setting: Setting, store: Store, note: Callable[[str], None]) -> None:
        self._setting, self._store, self._note = setting, store, note
        self._told: set[Path] = set()

    def folder(self, training: TrialSpec) -> Path:
        return self._setting.results.resolve() / "checkpoints" / self._content_id(training)

    def folders(self, trainings: Iterable[TrialSpec]) -> dict[str, str]:
        """Digest of a training's config → its folder, as workers look for it."""
        return {digest(spec.config): str(self.folder(spec)) for spec in trainings}

    def has(self, training: TrialSpec) -> bool:
        """Whether the model is there as it was made; one that is lost or damaged is to be trained again."""
        known = self._store.artifact("checkpoint", self._content_id(training))
        if known is None:
            return False
        folder = self.folder(training)
        try:
            whole = weights_digest(folder) == known.sha256
        except OSError as error:
            self._tell(folder, f"cannot be read ({error.strerror})")
            return False
        if not whole:
            self._tell(folder, "is damaged")
        return whole

    def _tell(self, folder: Path, problem: str) -> None:
        if folder not in self._told:
            self._told.add(folder)
            self._note(f"the checkpoint {folder} {problem}; training it again")

    def check_state(self, training: TrialSpec) -> None:
        """Raises InputError where a training would go on from a state that is damaged, or of another recipe."""
        path = state_path(self.folder(training))
        if path.exists() and not self.has(training):
            read_state_file(path, {"train": training.config, "seed": training.seed})

    def record(self, training: TrialSpec, outcome: Outcome, attempt_id: int) -> None:
        """Keep what a training left, if it left a model."""
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
        """The recipe's content, its text's content, the seed and the code: a model made from equal ones is
        shared.
        """
        return digest(
            {
                "train": training.config_content,
                "seed": training.seed,
                "code": self._setting.code,
                "corpora": list(self._setting.corpora),
                "plant": self._setting.plant,
            }
        )
