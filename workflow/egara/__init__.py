"""Egara: do the weights of a LoRA carry the work and the author that it was trained on, and how sure are we?

Every stage of the experiment is a module with pure functions and a subcommand (`egara <stage> --help`).
"""

__version__ = "0.1.0"
