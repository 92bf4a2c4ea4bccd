"""The command line: parse, call, print. Every heavy import happens in the command that needs it."""

from harness.cli.app import main

__all__ = ["main"]
