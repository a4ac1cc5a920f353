"""Representations in words, for tables, figures and the report."""

WORDS = {
    "factors": "factors A and B", "down": "factor A", "up": "factor B", "delta": "update ΔW = BA",
    "output": "output side ΔWΔWᵀ", "input": "input side ΔWᵀΔW", "subspace": "column space of ΔW",
    "spectrum": "singular values of ΔW", "norms": "norms of layers (control)", "sketch": "sketch of ΔW",
}  # fmt: skip


def in_words(representation: str) -> str:
    """Name a representation in words; an unknown name stays as it is."""
    name, _, ending = representation.partition("-")
    return WORDS.get(name, name) + (", layer by layer" if ending == "layerwise" else "")
