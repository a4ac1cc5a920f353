"""ONNX graphs, run by onnxruntime with little memory and a known number of threads."""

from pathlib import Path

from egara.errors import EgaraError


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
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own that share no base but this
        reason = str(error).strip().splitlines()[0][:120]
        raise EgaraError(f"{what}: {path} is not a whole ONNX file ({reason})") from error
