"""A study with its results, for the command line, Python and notebooks."""

from harness.experiment.experiment import Experiment, load
from harness.experiment.workspace import Workspace
from harness.run.driver import Listener

__all__ = ["Experiment", "Listener", "Workspace", "load"]
