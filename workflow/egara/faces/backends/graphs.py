"""ONNX graphs, run by onnxruntime with little memory and a known number of threads."""

from pathlib import Path
from typing import TYPE_CHECKING

from egara.errors import EgaraError
from egara.faces.protocol import PageFailed

if TYPE_CHECKING:
    import numpy as np


def open_graph(path: str | Path, threads: int, what: str) -> "object":
    """Return an onnxruntime session for the graph in `path`; `what` names the file in errors."""
    path = Path(path)
    if not path.is_file():
        raise EgaraError(f"{what}: {path} is missing; expected an ONNX file")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Pages differ in size: an arena would keep the largest block of every size that ever came.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    try:
        # Without enable_fallback=0 a broken file is tried twice, with a banner on stdout.
        return onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # onnxruntime raises classes of its own that share no base but this
        raise EgaraError(f"{what}: {path} is not a whole ONNX file ({_reason(error)})") from error


def run_graph(session: "object", inputs: "dict[str, np.ndarray]", what: str) -> "list[np.ndarray]":
    """Return all outputs of a graph on a page; `what` names it in errors, which are `PageFailed`."""
    try:
        return session.run(None, inputs)
    except Exception as error:  # as above
        raise PageFailed(f"{what} cannot be run on a page ({_reason(error)}); expected a detector") from error


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
