"""Where the arithmetic happens: `auto` takes what accelerate finds, else the device that is named."""

from egara.errors import EgaraError


def choose_device(name: str) -> str:
    """Return `cuda`, `mps` or `cpu` for a configured device name."""
    if name == "auto":
        from accelerate import PartialState

        return PartialState().device.type
    import torch

    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(name, False):
        found = ", ".join(device for device, there in present.items() if there)
        raise EgaraError(f"device {name!r}: not on this machine; expected auto or one of {found}")
    return name
