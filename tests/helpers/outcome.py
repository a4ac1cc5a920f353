"""What must be the same after a disturbed run."""

# Tables that say when and where they were made.
OF_THIS_RUN = {"environment.tsv"}
# What Snakemake leaves in a folder that a rule makes.
SNAKEMAKES = {".snakemake_timestamp"}


def same_results(one, other, killed=False):
    """Compare tables, LoRAs and the explorer's data of two projects byte by byte, and look for temporary files.

    Only a process that was killed may leave one behind.
    """
    results = [project.folder / "results" / "tiny" for project in (one, other)]
    for pattern in ("tables/*.tsv", "loras/*/*/*.safetensors", "explorer.json", "scores/**/*.tsv"):
        names = [{path.relative_to(root) for path in root.glob(pattern)} for root in results]
        assert names[0] == names[1] and names[0], pattern
        for name in sorted(names[0]):
            if name.name not in OF_THIS_RUN:
                assert (results[0] / name).read_bytes() == (results[1] / name).read_bytes(), name
    # `egara.io.atomic.replacing` writes next to the target, under the target's name with a dot before it.
    assert killed or not [path for path in results[1].rglob(".*") if path.name not in SNAKEMAKES]
