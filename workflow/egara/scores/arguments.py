"""Options that the commands of this stage share."""

import argparse

from egara.settings import Scores, Settings
from egara.settings.arguments import add_setting
from egara.vocabulary import L2


def add_space(arguments: argparse.ArgumentParser) -> None:
    """Add what names one space: cell, representation and L2."""
    add_cell(arguments)
    arguments.add_argument("--l2", required=True, choices=list(L2), help="give every vector length 1 first")


def add_cell(arguments: argparse.ArgumentParser) -> None:
    """Add what names the LoRAs and how they are looked at: cell and representation."""
    arguments.add_argument("--cell", required=True, help="cell of the training grid, as in paths")
    arguments.add_argument("--representation", required=True, help="name of the representation, for the table")


def add_permutations(arguments: argparse.ArgumentParser) -> None:
    """Add what a null distribution is drawn with: number of permutations and seed."""
    add_setting(arguments, Scores, "permutations")
    add_setting(arguments, Settings, "seed")
