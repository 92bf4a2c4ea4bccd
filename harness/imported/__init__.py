"""Results that other programs measured: a file with a row per trial is read, paired and judged by the
procedures of every study. Nothing is stored, and a verdict says that the trials were not randomised.
"""

from harness.imported.analyse_file import FileAnalysis, analyse_file
from harness.imported.options import PAIRED_BY, FileOptions, PairedBy

__all__ = ["PAIRED_BY", "FileAnalysis", "FileOptions", "PairedBy", "analyse_file"]
