"""Settings of what is made of trained LoRAs: projections, clusters, scores, controls, samples and the report."""

from dataclasses import dataclass
from typing import Literal

from egara.settings.rules import setting

Draw = Literal["drawn", "disjoint", "same"]  # how a work's sets share faces; `drawn` is the study's own way
Control = Literal["token", "disjoint", "same"]


@dataclass(frozen=True)
class Projections:
    """Projections of LoRAs: IncrementalPCA, exact PCA and UMAP."""

    n_components: int = setting("Principal components.", 50, minimum=2, maximum=1000)
    batch_size: int = setting("LoRAs per batch of IncrementalPCA.", 66, minimum=2)
    incremental: Literal["coordinates", "vectors"] = setting(
        "What IncrementalPCA reads: n coordinates per LoRA with the same inner products, which gives the same "
        "projection in seconds; or, as published, the vectors, which are then written as a memory-mapped matrix.",
        "coordinates",
    )
    n_neighbors: int = setting("UMAP's neighbourhood size.", 15, minimum=2)
    min_dist: float = setting("UMAP's minimum distance between points.", 0.1, minimum=0, maximum=1)


@dataclass(frozen=True)
class Clusters:
    """Clusters that HDBSCAN finds in projections."""

    min_cluster_size: int = setting("Fewest LoRAs in a cluster.", 10, minimum=2)
    min_samples: int = setting("Neighbours of a core point; more of them make more LoRAs noise.", 1, minimum=1)


@dataclass(frozen=True)
class Scores:
    """Scores and their permutation tests."""

    layers: tuple[str, ...] = setting(
        "Representations that are also scored layer by layer, to see where in the network a label shows.", ("delta",)
    )
    permutations: int = setting("Label permutations per p-value.", 999, minimum=19, maximum=1_000_000)


@dataclass(frozen=True)
class Controls:
    """Extra LoRAs that show what a score is made of."""

    kinds: tuple[Control, ...] = setting(
        "Controls to train: the grid's first cell with another token policy (token), on sets without a common face "
        "(disjoint), or on one set with several seeds (same). Permuted labels and norms cost nothing and are always "
        "tested.",
        (),
    )
    sets: int = setting("LoRAs per work in each control.", 3, minimum=2)


@dataclass(frozen=True)
class Report:
    """The report."""

    show_faces: bool = setting(
        "Whether contact sheets of faces are in the report; your own pages stay private unless you set this.", False
    )


@dataclass(frozen=True)
class Samples:
    """Images sampled with trained LoRAs."""

    lora_scales: tuple[float, ...] = setting(
        "Scales of a LoRA in the grid of samples, next to none; 1 is the trained update itself.",
        (0.5, 1.0, 1.5), minimum=-10, maximum=10, minItems=1,
    )  # fmt: skip
    num_images: int = setting("Images per scale, each from its own noise.", 2, minimum=1, maximum=16)
    num_inference_steps: int = setting("Sampling steps.", 30, minimum=1, maximum=1000)
    guidance_scale: float = setting("Scale of classifier-free guidance.", 2.0, minimum=0, maximum=50)
