"""Loads an experiment from the file of a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import Location
from harness.experiment.calibrated_rounds import asks_calibration, with_calibrated_rounds
from harness.experiment.experiment import Experiment
from harness.experiment.searching import SearchExperiment
from harness.experiment.this_machine import this_machine
from harness.experiment.workspace import Workspace, find_study
from harness.metrics import declared
from harness.run.identity import check_plant
from harness.run.listener import Listener
from harness.study.load import StudyFile
from harness.study.reading.overlays import BODY_SCALE
from harness.study.reading.yaml_document import Override

GPU_SCALE = "gpu"


def load(
    study: str | Path,
    *,
    scale: str | None = None,
    settings: Sequence[str] = (),
    device: str = "auto",
    workspace: Workspace | None = None,
    plant: str | None = None,
    allow_commands: bool = False,
) -> StudyExperiment:
    """Load a study, given its file or its name in `studies/`.

    `scale` is by default `gpu` if there is a GPU and the study has this scale, else `cpu`. Each of `settings`
    is `path=value`, for example `design.rounds=20`. Settings change the study before it is checked, and they
    change its digest; `design.rounds=calibrated` stands for the number of rounds that the calibration of this
    machine recommends. `device` is auto, cpu or the UUID of a GPU. `plant` is a bug, `invariant/bug`, that
    is planted in the workers. With `allow_commands`, the study may run programs of its own.

    Raises StudyError or InputError, one line that says what is wrong and where, if the study cannot be
    loaded.
    """
    path = find_study(str(study))
    here, gpu = this_machine(device)
    file = StudyFile(path)
    if scale is None:
        scale = GPU_SCALE if gpu is not None and GPU_SCALE in file.scales else BODY_SCALE
    fixed = [setting for setting in settings if not asks_calibration(setting)]
    parts = file.load(scale, fixed)
    if plant is not None:
        check_plant(parts, plant)
    experiment = StudyExperiment(parts, here, workspace=workspace or Workspace(), gpu=gpu, plant=plant)
    experiment.allow_commands = allow_commands
    experiment.declared = tuple(part for name in file.scales for part in file.load(name))
    if len(fixed) < len(settings):
        with declared(experiment.records):
            settings = with_calibrated_rounds(settings, parts, experiment.calibration())
        experiment.parts = file.load(scale, settings)
    return experiment


class StudyExperiment(Experiment):
    """A study that was loaded from its file. It can be run, and it can be searched for better settings."""

    def search(
        self,
        *,
        part: str = "",
        trials: int | None = None,
        timeout: float | None = None,
        listener: Listener | None = None,
        **declared: Any,
    ) -> SearchExperiment:
        """Search for better settings, prove the best ones on fresh seeds, and return the search.

        It asks points until there are `trials` in all, or until all of them together took `timeout` seconds.
        `declared` are keys of the study's `search`, which they replace, for example
        `space={"optimizer.lr": {"low": 1e-4, "high": 1e-1, "log": True}}`. Raises StudyError if there is
        nothing to search, or if the search could not work.
        """
        over = [
            Override(("search", key), value, Location(f"search({key}=…)")) for key, value in declared.items()
        ]
        return self.searching(part, over).run(trials=trials, timeout=timeout, listener=listener)

    def searching(
        self, part: str = "", over: Sequence[Override] = (), options: Sequence[str] = ()
    ) -> SearchExperiment:
        """The search of the study, or of one of its parts, which has not begun or goes on. `over` replaces
        keys of the study, and `options` are the words of a command line that say the same.
        """
        first = self.parts[0]
        search = StudyFile(first.path).search(part, first.scale, first.settings, over)
        experiment = SearchExperiment(
            search, self._here, workspace=self.workspace, gpu=self._gpu, plant=self._plant, options=options
        )
        experiment.allow_commands = self.allow_commands
        return experiment
