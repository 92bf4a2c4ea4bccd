"""A study with its results, for the command line, Python and notebooks."""

from harness.experiment.experiment import Experiment
from harness.experiment.loading import StudyExperiment, load
from harness.experiment.workspace import Workspace
from harness.plugins import use_plugins
from harness.run.listener import Listener

__all__ = ["Experiment", "Listener", "StudyExperiment", "Workspace", "load", "use_plugins"]
