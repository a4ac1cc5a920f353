"""A study: its configuration and works table, read to the end in spite of mistakes."""

from dataclasses import dataclass, field
from pathlib import Path

from egara.captions import check_caption, make_caption
from egara.cells import list_cells, list_controls
from egara.config import examine_config, find_file
from egara.demo.casts import read_casts
from egara.feasibility import plan_study
from egara.io.errors import EgaraError
from egara.works import Work, look_alikes, read_works


@dataclass
class Study:
    """Contents of configuration and works table.

    Attributes
    ----------
    settings : the whole configuration; a mistaken key, with its section, has its defaults.
    works, casts : rows of the works table and of the table of casts, without mistaken rows.
    cells, controls : cells of the grid, and control cells by kind.
    stops : problems that keep the study from running, one line each.
    remarks : what the user should look at, one line each.
    """

    settings: dict
    works: list[Work] = field(default_factory=list)
    casts: dict[str, dict[str, str]] = field(default_factory=dict)
    cells: list[str] = field(default_factory=list)
    controls: dict[str, str] = field(default_factory=dict)
    stops: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def corpus(self) -> str:
        """Name of the study."""
        return str(self.settings.get("corpus", "?"))

    @property
    def results(self) -> Path:
        """Folder of the study's results, which need not exist."""
        return Path("results") / self.corpus

    @property
    def trained(self) -> dict[str, int]:
        """Sets per work of each cell, control cells included."""
        sets = self.settings["sets"]["count"]
        counts = dict.fromkeys(self.cells, sets)
        return counts | {
            cell: self.settings["controls"]["sets"] for cell in self.controls.values() if cell not in counts
        }


def read_study(path: str, overrides: list[str], works: str | None = None) -> Study:
    """Read a study's configuration and works table.

    Parameters
    ----------
    path : configuration, YAML or JSON.
    overrides : words such as `sets.size=20`, which override the file.
    works : a works table, overrides the configuration's.

    Raises
    ------
    EgaraError : the configuration cannot be read at all.
    """
    config, remarks = _load(find_file(path))
    for word in overrides:
        _override(config, word)
    if works is not None:
        config["works"] = works
    settings, stops = _settle(config)
    study = Study(settings, stops=[f"{path}: {line}" for line in stops], remarks=remarks)
    if isinstance(settings.get("works"), str):
        try:
            study.works = read_works(find_file(settings["works"]), study.remarks, study.stops)
        except EgaraError as error:
            study.stops.append(str(error))
    _look_through(study)
    return study


def _load(path: str) -> tuple[dict, list[str]]:
    """Return a configuration, and a line for each key that is in it twice."""
    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        config, doubled = yaml.safe_load(text), _doubled(yaml.compose(text, yaml.SafeLoader), "", set())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else path
        raise EgaraError(
            f"{where}: not valid YAML ({getattr(error, 'problem', None) or error}); expected key: value"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EgaraError(
            f"{path}: cannot be read ({reason}); expected a configuration such as config/paper.yaml"
        ) from error
    if not isinstance(config, dict):
        raise EgaraError(f"{path}: contains no keys with values; expected a configuration such as config/paper.yaml")
    return config, [f"{path}: {line}" for line in doubled]


def _doubled(node: object, where: str, seen: set[int]) -> list[str]:
    """Return a line for each key that is written twice in one mapping; YAML silently takes the last one."""
    import yaml

    if not isinstance(node, yaml.MappingNode) or id(node) in seen:
        return []
    seen.add(id(node))
    lines, first = [], {}
    for key, value in node.value:
        name = f"{where}{key.value}" if isinstance(key, yaml.ScalarNode) else where
        line = key.start_mark.line + 1
        if (other := first.setdefault(name, line)) != line:
            lines.append(f"{name} is set twice, in lines {other} and {line}; the last one is used")
        lines += _doubled(value, f"{name}.", seen)
    return lines


def _override(config: dict, word: str) -> None:
    import yaml

    name, equals, text = word.partition("=")
    keys = name.split(".")
    if not equals or not all(keys):
        raise EgaraError(f"--set {word}: expected KEY=VALUE, such as sets.size=20")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise EgaraError(f"--set {word}: {text!r} is not a YAML value") from error
    for key in keys[:-1]:
        if not isinstance(config.setdefault(key, {}), dict):
            raise EgaraError(f"--set {word}: {key} is a value, not a section")
        config = config[key]
    config[keys[-1]] = value


def _settle(config: dict) -> tuple[dict, list[str]]:
    """Return checked settings and a line for each mistake; a mistaken top-level key gets its defaults."""
    settings, mistakes = examine_config(config)
    kept = dict(config)
    for key in [*config]:
        others = {other: value for other, value in kept.items() if other != key}
        if mistakes and len(examine_config(others)[1]) < len(examine_config(kept)[1]):
            kept = others
    return (examine_config(kept)[0] if mistakes else settings), mistakes


def _look_through(study: Study) -> None:
    """Add what settings and works do not allow together, and remarks on what they limit."""
    settings, works = study.settings, study.works
    for examine in (_casts, _captions, _grid):
        try:
            examine(study)
        except EgaraError as error:
            study.stops.append(str(error))
    study.remarks += look_alikes(works)
    if works:
        study.remarks += plan_study(settings, works).remarks
    training = settings["training"]
    if training["lr_warmup_steps"] >= training["max_train_steps"]:
        study.stops.append(
            f"training.lr_warmup_steps is {training['lr_warmup_steps']}; expected less than training.max_train_steps, "
            f"{training['max_train_steps']}"
        )
    if settings["machine"]["device"] == "cpu" and training["mixed_precision"] == "fp16":
        study.stops.append("training.mixed_precision is fp16, which is not for a CPU; expected bf16 or no")


def _casts(study: Study) -> None:
    if study.settings["casts"]:
        study.casts = read_casts(find_file(study.settings["casts"]), study.works)


def _grid(study: Study) -> None:
    study.cells = list_cells(study.settings["grid"])
    study.controls = list_controls(study.settings["controls"], study.cells, study.settings["sets"]["count"])


def _captions(study: Study) -> None:
    captions, works = study.settings["captions"], study.works
    authors, names = list(dict.fromkeys(work.author for work in works)), [work.work for work in works]
    for token in study.settings["grid"]["token"]:
        for work in works:
            caption = make_caption(captions["text"], token, work.author, work.work, authors, names)
            check_caption(caption, [*authors, *names, *captions["names"]])
