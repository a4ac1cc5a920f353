"""A study's settings, each once: type, range, default and meaning, one class per section.

The JSON schema, `config/README.md`, the check of a configuration and the commands' arguments come from these classes.
"""

from egara.settings.analysis import Clusters, Control, Controls, Draw, Projections, Report, Samples, Scores
from egara.settings.images import Captions, Faces, Layout, Limits, Pages, Sets, Unreadable
from egara.settings.study import SaveDtype, Settings
from egara.settings.training import Device, Grid, Init, Interpolation, Machine, Precision, Token, Training

__all__ = [
    "Captions", "Clusters", "Control", "Controls", "Device", "Draw", "Faces", "Grid", "Init", "Interpolation", "Layout",
    "Limits", "Machine", "Pages", "Precision", "Projections", "Report", "Samples", "SaveDtype", "Scores", "Sets",
    "Settings", "Token", "Training", "Unreadable",
]  # fmt: skip
