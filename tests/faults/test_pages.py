"""A page or a crop that is cut short or has a bit turned over: one line, and nothing is trained on it."""

import re

from corruption import cut, flip, forget, forget_from, log_of, one_line
from outcome import same_results


def test_a_corrupt_page_is_not_taken_for_the_listed_one(undisturbed, copied):
    forget_from(copied, "faces")
    for work, damage in (("A-1", flip), ("B-1", cut)):
        page = copied.folder / "volumes" / work / "3.png"
        kept = page.read_bytes()
        if damage is flip:
            flip(page, len(kept) // 2)
        else:
            cut(page)
        said = copied.snakemake(f"results/tiny/faces/{work}.tsv", good=False)
        one_line(said, f"volumes/{work}", "3.png", "the volume changed since its pages were listed")
        page.write_bytes(kept)
    copied.snakemake()
    same_results(undisturbed, copied)


def test_a_corrupt_crop_is_not_encoded(undisturbed, copied):
    forget_from(copied, "latents")
    for work, damage in (("A-2", flip), ("B-2", cut)):
        latents = f"results/tiny/latents/resolution~64/{work}.safetensors"
        crop = sorted((copied.folder / f"results/tiny/faces/{work}").glob("*.png"))[0]
        damage(crop)
        said = copied.snakemake(latents, good=False)
        one_line(said, str(crop.relative_to(copied.folder)), "changed since the sets were drawn")
        forget(copied, f"tiny/faces/{work}")
        copied.snakemake(latents)
        said = log_of(copied, f"latents/resolution~64/{work}")
        assert re.search(r"(\d+) faces, \1 in the cache", said), "no face is encoded twice"
    copied.snakemake()
    same_results(undisturbed, copied)
