"""All that a check finds, gathered while volumes are surveyed and a training step is timed beside."""

from dataclasses import dataclass, field

from egara.check import faces as of_faces
from egara.check import shelf as of_shelf
from egara.check import training as of_training
from egara.check.hours import Hours, Measuring, count_hours
from egara.check.study import Study, read_study


@dataclass
class Findings:
    """What was found.

    Attributes
    ----------
    config : the configuration, as it was named.
    study : settings, works, what stops the study and what to look at.
    shelves : volumes by work; empty where the volumes are composed by the workflow.
    detector, faces : the detector's line, and the faces of each work.
    base, sides, disk, there : the base, the numbers of a LoRA a rank, bytes needed, LoRAs that are there already.
    hours, fault, unfinished : what training takes, or why no step could be timed, or whether one still is.
    """

    config: str
    study: Study
    base: of_training.Base
    shelves: list[of_shelf.Shelf] = field(default_factory=list)
    detector: str = ""
    faces: dict[str, of_faces.Faces] = field(default_factory=dict)
    sides: int = 0
    disk: of_training.Disk | None = None
    there: int = 0
    hours: Hours = field(default_factory=Hours)
    fault: str = ""
    unfinished: bool = False


def examine(config: str, overrides: list[str], works: str | None, measure: bool, deadline: float) -> Findings:
    """Examine a study; see `egara.check.study.read_study` for the arguments and errors.

    Parameters
    ----------
    measure : whether to time training steps anew, however long it takes.
    deadline : when to stop waiting for what runs beside, of `time.monotonic`.
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
    of_faces.judge(read, found.faces)
    if base.folder and not found.sides:
        named = read.settings["training"]["target_modules"]
        read.stops.append(f"training.target_modules {named}: no linear layer of {base.name} has such a name")
    found.there = of_training.count_there(read)
    found.disk = of_training.count_disk(read, base, found.sides, layers, found.faces)
    of_training.judge(read, found.disk)
    found.hours = count_hours(read, measuring.results(deadline))
    found.fault, found.unfinished = measuring.fault, measuring.unfinished
    if found.fault:
        read.stops.append(f"a training step fails: {found.fault}; egara check --measure tries again")
    return found
