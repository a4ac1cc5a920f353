"""Turn the LoRAs of a cell into points: the exact Gram matrix of a representation, and an index of its rows.

`factors` is the papers' vector (A and B flattened), `delta` the update ΔW = alpha / rank · B A itself; the others are
described in `egara.weights.representations`.
"""

from egara.io.errors import run
from egara.io.progress import bar, logger, parser
from egara.weights.representations import find, names


def main(argv: list[str] | None = None) -> None:
    """Read LoRA files and write the Gram matrix, its index and, if asked, the matrix of vectors."""
    arguments = parser(__doc__)
    arguments.add_argument("--folder", required=True, help="folder with {work}/{set}.safetensors")
    arguments.add_argument("--works", required=True, nargs="+", help="works, in the order of the rows")
    arguments.add_argument("--sets", required=True, type=int, help="LoRAs a work: 00, 01, …")
    known = ", ".join(names())
    arguments.add_argument("--representation", required=True, choices=names(), metavar="NAME", help=f"one of {known}")
    arguments.add_argument("--gram", required=True, help="Gram matrix to write, n x n float64 (.npy)")
    arguments.add_argument("--index", required=True, help="index to write: lora, author, work, set, norm (.tsv)")
    arguments.add_argument("--matrix", help="matrix of factors or sketches to write, n x d float32 (.npy)")
    arguments.add_argument("--cache", help="folder of inner products that are known already")
    options = arguments.parse_args(argv)
    if options.sets < 1:
        arguments.error("--sets must be at least 1")
    if options.matrix and options.representation not in ("factors", "sketch"):
        arguments.error("--matrix goes with --representation factors or sketch")

    from pathlib import Path

    import numpy as np

    from egara.io.atomic import replacing
    from egara.io.tables import write_tsv
    from egara.weights.gram import authors_of, gram_of_loras, lora_files, read_layouts, write_matrix

    log = logger("weights")
    files = lora_files(options.folder, options.works, options.sets)
    paths = files["lora"].tolist()
    layouts = read_layouts(paths, one_rank=find(options.representation).one_rank)
    files.insert(1, "author", authors_of(files, layouts))
    layers = len(layouts[0].shapes)
    log.info("%s of %d LoRAs, %d layers", options.representation, len(paths), layers)
    with bar(layers, "layer") as watched:
        cache = Path(options.cache) if options.cache else None
        gram = gram_of_loras(paths, options.representation, layouts, watched.update, cache)
    files["norm"] = np.sqrt(np.diag(gram))
    if options.matrix:
        write_matrix(options.matrix, paths, layouts, options.representation)
    with replacing(options.gram) as part:
        np.save(part, gram)
    write_tsv(options.index, files)
    log.info("norms %.4g to %.4g: %s", files["norm"].min(), files["norm"].max(), options.gram)


if __name__ == "__main__":
    run(main)
