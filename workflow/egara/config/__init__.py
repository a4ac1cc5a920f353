"""A study's configuration: read, checked and completed, and described for those who write one.

`egara config` writes `workflow/schemas/config.schema.yaml` and `config/README.md` from `egara.settings`.
"""

from egara.config.checking import complete_config, examine_config
from egara.config.files import FILES, find_file, find_files

__all__ = ["FILES", "complete_config", "examine_config", "find_file", "find_files"]
