"""Input functions of rules, and what their parameters share: which files and settings a job of some wildcards takes."""


def volumes_of(wildcards):
    """Return the volumes of a work: the user's own, or the folder of composed ones."""
    if CASTS:
        return f"<results>/volumes/{wildcards.work}"
    return VOLUMES[wildcards.work]


def caption_of(token, name):
    """Return the caption of all pictures of a work under a token policy."""
    text = SETTINGS["captions"]["text"]
    return make_caption(text, token, WORKS[name].author, name, AUTHORS, list(WORKS))


def get_training_settings(wildcards):
    """Return the training settings of a cell as one string."""
    cell = parse_cell(wildcards.cell)
    adapter = {name: cell[name] for name, axis in AXES.items() if axis.trained}
    return as_json(SETTINGS["training"] | adapter | {"seed": SEED})


def detector_files(wildcards):
    """Return the files that the configured detector reads."""
    backend, path = parse_detector(SETTINGS["faces"]["detector"])
    return literal(path) if path else own(backend.weights) if backend.weights else []


def detector_thresholds(wildcards):
    """Return the files that state the configured detector's own threshold."""
    return [literal(path) for path in threshold_files(SETTINGS["faces"]["detector"])]


def get_sample_rows(wildcards):
    """Return author, work and caption of every row of a cell's grid of samples, as one string."""
    token = parse_cell(wildcards.cell)["token"]
    return as_json([{"author": WORKS[n].author, "work": n, "caption": caption_of(token, n)} for n in WORKS])


def get_training_inputs(wildcards):
    """Return the sets of a cell's work and their latents; a control has its own."""
    cell = parse_cell(wildcards.cell)
    draw = f"{cell.get('sets', DRAWN)}/" if wildcards.cell in CONTROL_CELLS else ""
    latents = f"resolution~{cell['resolution']}" + (f"_sets~{draw}" if draw else "/")
    return {
        "sets": f"<results>/sets/{draw}{wildcards.work}.tsv",
        "latents": f"<results>/latents/{latents}{wildcards.work}.safetensors",
    }


def sets_of(cell):
    """Return the names of the sets of each work in a cell: all, or a control's few."""
    return SETS if cell in CELLS else SETS[: SETTINGS["controls"]["sets"]]


def loras_of_cell(wildcards):
    """Return all LoRAs of one cell."""
    return collect(
        "<results>/loras/{cell}/{work}/{set}.safetensors",
        cell=wildcards.cell,
        work=WORKS,
        set=sets_of(wildcards.cell),
    )


def gram_inputs(wildcards):
    """Return what a Gram matrix is computed from: the LoRAs, or their layers' Gram matrices where those are made anyway."""
    derived = representations.find(wildcards.representation).from_delta is not None
    if derived and "delta" in LAYERS and wildcards.cell in CELLS:
        return "<results>/spaces/{cell}/delta.layers.npz"
    return loras_of_cell(wildcards)


def gram_source(wildcards, input):
    """Return the options that name what a Gram matrix is computed from."""
    return ["--layers", *input] if len(input) == 1 and input[0].endswith(".npz") else lora_source(wildcards, input)


def lora_source(wildcards, input):
    """Return the options that name the LoRAs of a cell."""
    folder, sets = Path(input[0]).parents[1], len(sets_of(wildcards.cell))
    return ["--folder", str(folder), "--works", *WORKS, "--sets", str(sets)]


def linear_maps(wildcards):
    """Return the maps in which distances are scored: the papers' IncrementalPCA where there are vectors, exact PCA for all."""
    folder = f"<results>/projections/{wildcards.cell}/{wildcards.representation}_l2~{wildcards.l2}"
    names = ["ipca", "pca"] if wildcards.representation in FLAT else ["pca"]
    return {name: f"{folder}/{name}.tsv" for name in names}


def clustered_maps(wildcards):
    """Return the maps that are clustered: exact PCA, and UMAP where there are enough LoRAs for it."""
    folder = f"<results>/projections/{wildcards.cell}/{wildcards.representation}_l2~{wildcards.l2}"
    return {name: f"{folder}/{name}.tsv" for name in (["pca", "umap"] if PLAN.umap else ["pca"])}


def control_vectors(pattern):
    """Return vectors of all cells, and of the controls, for each representation and the norms."""
    kinds = list(dict.fromkeys([*REPRESENTATIONS, "norms"]))
    return collect(pattern, cell=[*CELLS, *CONTROL_CELLS], representation=kinds, allow_missing=True)


def per_work(pattern):
    """Return one file per work."""
    return collect(pattern, work=WORKS, allow_missing=True)


def per_space(pattern):
    """Return one file for each cell, representation and l2."""
    return collect(pattern, cell=CELLS, representation=REPRESENTATIONS, l2=L2, allow_missing=True)


def with_inputs(kinds):
    """Return the representations for which all these kinds of input are made."""
    names = list(dict.fromkeys([*REPRESENTATIONS, *LAYERS]))
    made = {"layers": LAYERS, "ipca": FLAT, "ipca_variance": FLAT}
    return [name for name in names if all(name in made.get(kind, REPRESENTATIONS) for kind in kinds)]


def scope_of(wildcards):
    """Return what a figure shows: cell, representation and L2 of a space, the cell of a cell, nothing of the study."""
    parts = re.fullmatch("(?P<cell>[^/]+)/((?P<representation>.+)_l2~(?P<l2>on|off)/)?|", wildcards.scope)
    return {key: value for key, value in parts.groupdict().items() if value}


def inputs_of_figure(wildcards):
    """Return the files of each kind that a figure is plotted from: those within its scope."""
    kinds = FIGURES[wildcards.figure].inputs
    chosen = {"cell": CELLS, "representation": with_inputs(kinds), "l2": L2} | scope_of(wildcards)
    return {kind: collect(FIGURE_INPUTS[kind], **chosen, allow_missing=True) for kind in kinds}


def options_of_figure(wildcards, input):
    """Return the flags of a figure's command: its files by kind, and its scope."""
    given = {kind: input[kind] for kind in FIGURES[wildcards.figure].inputs} | {"l2": L2} | scope_of(wildcards)
    return [
        part
        for name, values in given.items()
        for part in (flag(name), *([values] if isinstance(values, str) else values))
    ]


def can_plot(figure):
    """Return whether the study has a figure's inputs: one LoRA has losses only, and a few LoRAs have no UMAP."""
    kinds = set(figure.inputs)
    return bool(with_inputs(kinds)) and (PLAN.compared or kinds <= {"losses"}) and (PLAN.umap or "umap" not in kinds)


def planned_figures(wildcards):
    """Return the figures of the report in its order, one of two that stand for each other."""
    paths = []
    for name, figure in FIGURES.items():
        better = with_inputs(FIGURES[figure.unless].inputs) if figure.unless else []
        names = [found for found in with_inputs(figure.inputs) if found not in better]
        scope = {"space": f"{SPACE}/", "cell": "{cell}/", "study": ""}[figure.per]
        if can_plot(figure):
            paths += collect(f"<results>/figures/{scope}{name}.svg", cell=CELLS, representation=names, l2=L2)
    return paths


def groups_inputs(wildcards):
    """Return what tells the groups of LoRAs apart: the clusters, or all distances and the series of each work."""
    if wildcards.groups == "clusters":
        return {"clusters": f"<results>/clusters/{wildcards.cell}/{space_of(wildcards)}/hdbscan.tsv"}
    stem = f"<results>/spaces/{wildcards.cell}/{wildcards.representation}"
    return {"gram": f"{stem}.gram.npy", "index": f"{stem}.tsv"}


def table_inputs(wildcards):
    """Return the files that a table is made from, by kind."""
    found = {kind: [] for kind in REGISTERED_TABLES[wildcards.table].kinds}
    for given in REGISTERED_TABLES[wildcards.table].inputs:
        kind, _, name = given.partition("/")
        found[kind] += [own(f"resources/published/{name}.tsv")] if name else TABLE_INPUTS[kind]
    return {kind.replace("-", "_"): files for kind, files in found.items()}
