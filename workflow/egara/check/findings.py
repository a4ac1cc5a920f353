"""All findings of a check; while volumes are surveyed, a training step is timed in another process."""

from dataclasses import dataclass, field

from egara.check import faces as of_faces
from egara.check import shelf as of_shelf
from egara.check import training as of_training
from egara.check.hours import Hours, Measuring, count_hours
from egara.check.study import Study, read_study


@dataclass
class Findings:
    """Findings of a check.

    Attributes
    ----------
    config : path of the configuration, as given.
    study : settings, works, problems and remarks.
    shelves : volumes of each work; empty if the workflow composes the volumes.
    detector, faces : description of the detector, and the faces of each work.
    base, sides : the base model, and the numbers of a LoRA per rank.
    disk, trained : bytes needed, and LoRAs that are already trained.
    hours, fault, unfinished : training time; why a training step failed; whether one is still being timed.
    """

    config: str
    study: Study
    base: of_training.Base
    shelves: list[of_shelf.Shelf] = field(default_factory=list)
    detector: str = ""
    faces: dict[str, of_faces.Faces] = field(default_factory=dict)
    sides: int = 0
    disk: of_training.Disk | None = None
    trained: int = 0
    hours: Hours = field(default_factory=Hours)
    fault: str = ""
    unfinished: bool = False


def examine(config: str, overrides: list[str], works: str | None, measure: bool, deadline: float) -> Findings:
    """Examine a study; see `egara.check.study.read_study` for the arguments and errors.

    Parameters
    ----------
    measure : time training steps again, however long it takes.
    deadline : when to stop waiting for other processes, on the clock of `time.monotonic`.
    """
    read = read_study(config, overrides, works)
    base = of_training.find(read)
    found = Findings(config, read, base)
    measuring = Measuring(read, base, measure)
    found.sides, layers = measuring.shapes() or (0, 0)
    with of_shelf.helpers() as pool:
        counting = None
        if base.folder and not found.sides:
            targets, text_encoder = (read.settings["training"][key] for key in ("target_modules", "train_text_encoder"))
            counting = pool.submit(of_training.count_numbers, base.folder, targets, text_encoder)
        if not read.casts:
            found.shelves = of_shelf.survey_shelves(read.works, read.settings["pages"])
        found.detector = of_faces.describe(read)
        if found.detector and found.shelves:
            found.faces = of_faces.expect_faces(read, found.shelves, pool)
        else:
            found.faces = {work.work: of_faces.Faces() for work in read.works}
        if counting:
            found.sides, layers = counting.result()
    for one in found.shelves:
        read.stops += one.stops
        read.remarks += one.remarks
    of_faces.check_faces(read, found.faces)
    if base.folder and not found.sides:
        named = read.settings["training"]["target_modules"]
        read.stops.append(f"training.target_modules {named}: no linear layer of {base.name} has such a name")
    found.trained = of_training.count_trained(read)
    found.disk = of_training.count_disk(read, base, found.sides, layers, found.faces)
    of_training.check_disk(read, found.disk)
    found.hours = count_hours(read, measuring.results(deadline))
    found.fault, found.unfinished = measuring.fault, measuring.unfinished
    if found.fault:
        read.stops.append(f"a training step fails: {found.fault}; to try again: egara check --measure")
    return found
