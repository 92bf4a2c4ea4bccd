"""Where a program writes the values of a metric: one file per kind of place."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.programs.outputs.base import Printed as Printed
from harness.programs.outputs.base import Value as Value
from harness.programs.outputs.csv_file import CsvFile
from harness.programs.outputs.json_file import JsonFile
from harness.programs.outputs.json_lines import JsonLines
from harness.programs.outputs.pattern import Pattern
from harness.programs.outputs.pytest_benchmark import PytestBenchmark
from harness.programs.outputs.tensorboard import TensorBoard

AnyOutput = Annotated[
    JsonLines | Pattern | JsonFile | CsvFile | PytestBenchmark | TensorBoard, Field(discriminator="kind")
]

JSON_LINES = JsonLines()
"""Where values are if a study says nothing else."""
