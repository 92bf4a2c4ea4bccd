"""What the driver hands to a worker, as one line of JSON."""

from __future__ import annotations

from harness.config import Config
from harness.trial.spec import TrialSpec


class Job(Config):
    """A trial and its surroundings. `events` is the file to write, `checkpoints` the folders of trained
    models by their key.

    `gpu` is the UUID of the GPU to run on, None for the CPU; `plant` names a bug to plant,
    `invariant/mutant`. In `shared` trials leave what is found alike in each of them
    (`harness.run.tiny_checks`); a trial without it finds all by itself.
    """

    spec: TrialSpec
    events: str
    checkpoints: dict[str, str]
    threads: int
    gpu: str | None = None
    plant: str | None = None
    shared: str | None = None

    @property
    def device(self) -> str:
        return "cpu" if self.gpu is None else "cuda:0"
