"""Grids of samples are drawn on demand only, one job a cell, and training crops stay out unless faces may be shown."""


def test_samples_are_not_part_of_all(project):
    jobs = project.planned("--forceall")
    assert not {"samples", "sample_loras"} & set(jobs)
    assert jobs["gather_losses"] == 1


def test_samples_are_one_job_a_cell(project):
    kept = project.config.read_bytes()
    try:
        project.change("rank: [2]", "rank: [2, 3]")
        project.change("init: [independent]", "init: [independent, shared]")
        jobs = project.planned("samples")
        assert jobs["sample_loras"] == 4
        assert not {"write_report", "compute_gram", "gather_losses"} & set(jobs)
    finally:
        project.config.write_bytes(kept)


def test_training_crops_are_private(project):
    kept = project.config.read_bytes()
    try:
        assert "--crops results/tiny/faces" not in sampling_command(project)
        project.change("l2: [true]", "l2: [true]\nreport: {show_faces: true}")
        assert "--crops results/tiny/faces" in sampling_command(project)
    finally:
        project.config.write_bytes(kept)


def sampling_command(project):
    printed = project.snakemake("-n", "--printshellcmds", "samples")
    return next(line for line in printed.splitlines() if "egara samples loras" in line)
