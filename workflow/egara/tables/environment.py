"""Table 2: the machine and software of this run and the published ones, and the base model by its hash."""

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from egara.cores import usable_cores
from egara.io.errors import EgaraError
from egara.io.tables import read_tsv
from egara.tables.layout import NOTHING, Group, Layout
from egara.tables.registry import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

# Packages whose version can change a number in a table, in the order of the stages.
PACKAGES = (
    "dicebear-core", "dicebear-styles", "pillow", "onnxruntime", "torch", "diffusers", "transformers", "peft",
    "safetensors", "numpy", "scipy", "scikit-learn", "umap-learn", "hdbscan", "snakemake",
)  # fmt: skip


def processor() -> str:
    """Name of the processor, or its architecture where the system keeps the name to itself."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin" and (name := _ask("sysctl", "-n", "machdep.cpu.brand_string")):
        return name
    return platform.processor() or platform.machine()


def graphics() -> str:
    """Names and memory of NVIDIA's processors as their driver gives them; `none` where there is no driver."""
    lines = _ask("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    return "; ".join(line.strip() for line in lines.splitlines()) if lines else "none"


def _ask(*command: str) -> str:
    """Return what a command prints, nothing where it is not there or fails."""
    if not shutil.which(command[0]):
        return ""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def system() -> str:
    """Name and version of the operating system."""
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"


def memory() -> str:
    """Size of the main memory."""
    import psutil

    return f"{psutil.virtual_memory().total / 2**30:.0f} GB"


def cores() -> str:
    """Cores that this process may use, of those that there are."""
    usable = usable_cores()
    return str(usable) if usable == os.cpu_count() else f"{usable} of {os.cpu_count()}"


def revision() -> str:
    """Git revision of the project, followed by `+` where files differ; a dash outside a repository."""
    found = _ask("git", "rev-parse", "--short=12", "HEAD")
    return f"{found}{'+' if _ask('git', 'status', '--porcelain', '--untracked-files=no') else ''}" if found else NOTHING


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Versions of the packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = NOTHING
    return found


TITLE = "Environment of this run"
NOTE = "The machine that made this table; on a cluster LoRAs may have been trained on others."


def layout(table: "pd.DataFrame") -> Layout:
    """Lay the table out; a hash is cut to its first twelve digits."""
    shown = [v[:12] + "…" if len(v) == 64 else v for v in table["value"].astype(str)]
    columns = {"this run": shown}
    notes = [NOTE]
    if table["published"].fillna("").astype(bool).any():
        columns["published"] = [v or NOTHING for v in table["published"].fillna("")]
        notes.append("Published: Shimoide & Ito, table 2.")
    return Layout(TITLE, {"item": table["item"].tolist()}, [Group("", columns)], notes)


@table(
    "environment", TITLE, NOTE, layout=layout, inputs=("base", "published/environment"), number=2,
    text=("item", "value", "published"), section="run", folded=False,
)  # fmt: skip
def environment_table(base: list[str], published: "Sequence[str]" = ()) -> "pd.DataFrame":
    """One row per item: item, value of this run, published value (empty where the paper says nothing).

    Raises
    ------
    EgaraError : the description of the base model lacks its name or hash.
    """
    from egara.loras.base.components import read_description

    return list_environment(read_description(base[0]), *published)


def list_environment(base: dict[str, object], published: str | None = None) -> "pd.DataFrame":
    """Build the table from a description of the base model."""
    import pandas as pd

    if missing := {"base", "sha256"} - base.keys():
        raise EgaraError(f"description of the base model: no {', '.join(sorted(missing))}; expected base and sha256")
    values = {"CPU": processor(), "cores": cores(), "GPU": graphics(), "memory": memory(), "OS": system()}
    values |= {"git revision": revision(), "Python": platform.python_version(), "base model": str(base["base"])}
    values |= {"base model, SHA-256": str(base["sha256"]), **versions()}
    known = {}
    if published:
        known = read_tsv(published, ["item", "value"], text=["item", "value"]).set_index("item")["value"].to_dict()
    rows = [{"item": item, "value": value, "published": known.get(item, "")} for item, value in values.items()]
    return pd.DataFrame(rows)
