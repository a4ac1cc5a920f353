"""ONNX graphs, run by onnxruntime with little memory and a fixed number of threads."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from egara.faces.protocol import PageFailed
from egara.io.errors import EgaraError

if TYPE_CHECKING:
    import numpy as np
    from onnxruntime import InferenceSession


# Files that are mistaken for ONNX, by their first bytes.
_OTHERS = {
    b"PK\x03\x04": "a PyTorch file or another archive; expected its export to ONNX",
    b"\x80": "a Python pickle, as PyTorch writes it; expected its export to ONNX",
    b"version https://git-lfs": "a pointer of Git LFS; expected the file itself (`git lfs pull`)",
    b"<": "a web page or XML; expected an ONNX file",
}
# Messages of onnxruntime about weights in a separate file.
_EXTERNAL_DATA = ("external tensors", "external data", "model_path must not be empty")
# The start of onnxruntime's messages: a code, and the line of its own source.
_PLACE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (/\S+\.(cc|h):\d+ .*?\) )?")


def open_graph(path: str | Path, threads: int, what: str) -> "InferenceSession":
    """Return an onnxruntime session for the graph in `path`; `what` names the file in errors."""
    path = Path(path)
    if not path.is_file():
        raise EgaraError(f"{what}: {path} is missing; expected an ONNX file")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Pages differ in size; an arena would keep the largest block of every size.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    data = path.read_bytes()
    for start, kind in _OTHERS.items():
        if data.startswith(start):
            raise EgaraError(f"{what}: {path} is {kind}")
    try:
        # Without enable_fallback=0 a broken file is tried twice, with a banner on stdout.
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # the only base class of onnxruntime's exceptions
        if any(word in str(error).lower() for word in _EXTERNAL_DATA):
            raise EgaraError(
                f"{what}: {path} keeps its weights in a separate file; expected an export to a single file"
            ) from error
        raise EgaraError(
            f"{what}: {path} is truncated, or not an ONNX file that onnxruntime {onnxruntime.__version__} opens"
            f" ({_reason(error)})"
        ) from error


def run_graph(session: "InferenceSession", inputs: "dict[str, np.ndarray]", what: str) -> "list[np.ndarray]":
    """Return all outputs of a graph; `what` names it in errors, which are `PageFailed`."""
    try:
        return session.run(None, inputs)
    except Exception as error:  # see above
        raise PageFailed(f"{what} cannot be run on a page ({_reason(error)}); expected a detector") from error


def _reason(error: Exception) -> str:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (_PLACE.sub("", said) or said)[:200]
