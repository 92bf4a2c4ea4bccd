"""A study, where its results go, and what can be asked of it: the same for the command line, Python and
notebooks.
"""

from harness.experiment.experiment import Experiment, Place, load
from harness.run.driver import Listener

__all__ = ["Experiment", "Listener", "Place", "load"]
