"""A study, where its results go, and what can be asked of it: the same for the command line, Python and
notebooks.
"""

from harness.experiment.experiment import Experiment, Place, Watch, load

__all__ = ["Experiment", "Place", "Watch", "load"]
