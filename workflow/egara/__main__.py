"""The command `egara`: what a person asks of the project beside the workflow.

`egara check config/paper.yaml` says before the first job whether a study can run, what it holds and what it takes.
"""

import argparse
import importlib

from egara.io.errors import run

# Command → the module that adds its arguments and runs it, and what help says of it.
COMMANDS = {"check": ("egara.check.command", "say what a study holds and takes, and what would stop it; runs nothing")}


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    arguments = argparse.ArgumentParser(prog="egara", description=__doc__.split("\n\n")[1])
    commands = arguments.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, said) in COMMANDS.items():
        importlib.import_module(module).add_arguments(commands.add_parser(name, help=said, description=said))
    options = arguments.parse_args(argv)
    return importlib.import_module(COMMANDS[options.command][0]).main(options)


def start() -> None:
    """Run the command line and exit, as the installed command does."""
    run(main)


if __name__ == "__main__":
    run(main)
