"""What each command may import: help is fast, and commands that only read do not need torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.end_to_end.workplace import Workplace

PROGRAM = """
import sys
from harness.cli import main
try:
    main()
except SystemExit as end:
    code = end.code
import json
print("\\n" + json.dumps([code, sorted(name for name in sys.modules if "." not in name)]))
"""


@pytest.fixture(scope="module")
def imports(new_workplace: Callable[[], Workplace]) -> Callable[..., set[str]]:
    workplace = new_workplace()

    def imported(*arguments: str) -> set[str]:
        import json

        done = subprocess.run(
            [sys.executable, "-P", "-c", PROGRAM, *arguments],
            check=False,
            cwd=workplace.folder,
            env=workplace.environment(),
            capture_output=True,
            text=True,
        )
        code, modules = json.loads(done.stdout.splitlines()[-1])
        assert code in (0, None), done.stderr
        return set(modules)

    return imported


HEAVY = {
    "torch",
    "pandas",
    "numpy",
    "scipy",
    "optuna",
    "pydantic",
    "sqlalchemy",
    "matplotlib",
    "seaborn",
    "rich",
}


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("data", "--help")])
def test_help_imports_nothing_heavy(imports: Callable[..., set[str]], arguments: tuple[str, ...]) -> None:
    allowed = set() if arguments == ("--help",) else {"pydantic"}  # typer may import it
    assert not imports(*arguments) & (HEAVY - allowed)


@pytest.mark.parametrize("arguments", [("plan", "tiny"), ("list",), ("data", "list"), ("schema",)])
def test_commands_that_only_read_need_no_torch(
    imports: Callable[..., set[str]], arguments: tuple[str, ...]
) -> None:
    assert not imports(*arguments) & {"torch", "matplotlib", "seaborn", "pandas"}
