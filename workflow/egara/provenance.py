"""Trace a result to its sources: jobs, code, LoRAs, seeds, images, machine.

    egara provenance results/demo/tables/neighbours.tsv rank=8 representation=delta l2=on

Run it where Snakemake ran: it follows Snakemake's own records in `.snakemake/metadata`. Settings behind the file keep
only what goes into rows of a table with these settings.
"""

import base64
import binascii
import json
import re
import time
from collections import Counter
from pathlib import Path

from egara.cells import parse_cell
from egara.io.errors import EgaraError, counted
from egara.io.hashing import sha256
from egara.io.json import read_json
from egara.io.progress import parser
from egara.io.tables import read_tsv

RECORDS = Path(".snakemake/metadata")
CODE = re.compile(r"'([0-9a-f]{12,64})'")
SPACE = re.compile(r"(.+)_l2~(on|off)")
SHOWN = 12


def read_records(folder: Path = RECORDS) -> dict[str, dict]:
    """Return Snakemake's record of every output below `folder`, by its path as in the rules.

    Raises
    ------
    EgaraError : no records there.
    """
    found = {}
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        name = "".join(part.removeprefix("@") for part in path.relative_to(folder).parts)
        try:
            found[base64.urlsafe_b64decode(name).decode()] = read_json(path, "a record of Snakemake")
        except (binascii.Error, ValueError, EgaraError):
            continue
    if not found:
        raise EgaraError(f"{folder}: no records of a run; expected to be called where Snakemake ran")
    return found


def settings_of(path: str) -> dict[str, str]:
    """Return the settings that a path names: of its cell, its representation and L2."""
    found: dict[str, str] = {}
    parts = Path(path).parts
    for place, part in enumerate(parts):
        if part.startswith("rank~"):
            found |= {key: str(value) for key, value in parse_cell(part.partition(".")[0]).items()}
        if space := SPACE.fullmatch(part):
            found |= {"representation": space[1], "l2": space[2]}
        if part == "spaces" and place + 2 < len(parts):
            found["representation"] = parts[place + 2].partition(".")[0]
    return found


def trace(path: str, records: dict[str, dict], wanted: dict[str, str]) -> tuple[dict[str, dict], list[str]]:
    """Follow a result back through the records.

    Returns
    -------
    records of all files that it was made from, itself first, by path; and the sources, which no job made. Files whose
    settings contradict `wanted` are left out.
    """
    made: dict[str, dict] = {}
    sources: dict[str, None] = {}
    waiting = [path]
    while waiting:
        name = waiting.pop(0)
        if name in made or name in sources:
            continue
        found = settings_of(name)
        if any(found.get(key, value) != value for key, value in wanted.items()):
            continue
        if record := records.get(name):
            made[name] = record
            waiting += record.get("input") or []
        else:
            sources[name] = None
    return made, list(sources)


def describe_jobs(made: dict[str, dict]) -> list[dict[str, object]]:
    """One entry a rule, from the result backwards: files, jobs, seconds and fingerprints of the code."""
    rules: dict[str, dict] = {}
    for name, record in made.items():
        entry = rules.setdefault(record["rule"], {"rule": record["rule"], "files": 0, "jobs": {}, "code": Counter()})
        entry["files"] += 1
        start, end = record.get("starttime") or 0.0, record.get("endtime") or 0.0
        entry["jobs"][record.get("shellcmd") or name] = max(0.0, end - start)
        entry["code"].update(CODE.findall(" ".join(record.get("params") or [])))
    return [
        {
            **entry,
            "jobs": len(entry["jobs"]),
            "seconds": round(sum(entry["jobs"].values()), 1),
            "code": [code for code, _ in entry["code"].most_common(2)],
        }
        for entry in rules.values()
    ]


def describe_loras(made: dict[str, dict]) -> list[dict[str, object]]:
    """One entry a cell and work: LoRAs, seed, base, code, and the images that they were trained on."""
    from egara.loras.files import read_layout

    groups: dict[tuple, dict] = {}
    for name, record in made.items():
        if record["rule"] not in ("train_loras", "train_controls") or not Path(name).is_file():
            continue
        header = read_layout(name).header
        cell, work = Path(name).parts[-3:-1]
        entry = groups.setdefault(
            (cell, work),
            {
                "cell": cell,
                "work": work,
                "author": header.get("author"),
                "loras": 0,
                "images": set(),
                "settings": set(),
            },
        )
        entry["loras"] += 1
        entry["images"] |= set(header.get("images", []))
        version = header.get("training_version")
        known = {"seed": header.get("training", {}).get("seed"), "version": version, "base": header.get("base")}
        entry["settings"].add(json.dumps(known, sort_keys=True))
    return [
        {
            **entry,
            "images": sorted(entry["images"]),
            "settings": [json.loads(text) for text in sorted(entry["settings"])],
        }
        for entry in groups.values()
    ]


def describe(path: str, records: dict[str, dict], wanted: dict[str, str]) -> dict[str, object]:
    """The provenance of a result, as plain values.

    Raises
    ------
    EgaraError : no such file, or no record of it.
    """
    if not Path(path).is_file():
        raise EgaraError(f"{path}: no such file; expected a result of a run")
    if path not in records:
        raise EgaraError(f"{path}: no job of this folder's records made it; give the path as Snakemake prints it")
    made, sources = trace(path, records, wanted)
    environment = Path(*Path(path).parts[:2], "tables", "environment.tsv")
    machine = {}
    if environment.is_file():
        table = read_tsv(environment, ["item", "value"], text=["item", "value"])
        machine = dict(zip(table["item"], table["value"], strict=True))
    first = records[path]
    return {
        "file": path,
        "sha256": sha256(path),
        "written": time.strftime(
            "%Y-%m-%d %H:%M:%S", time.localtime(first.get("endtime") or Path(path).stat().st_mtime)
        ),
        "rule": first["rule"],
        "command": first.get("shellcmd"),
        "log": first.get("log") or [],
        "settings": wanted,
        "jobs": describe_jobs(made),
        "loras": describe_loras(made),
        "sources": [
            {"file": name, "sha256": sha256(name) if Path(name).is_file() else None} for name in sorted(sources)
        ],
        "environment": machine,
    }


def in_words(found: dict) -> list[str]:
    """Lines for a terminal; long lists are cut, --json has them whole."""
    chosen = ", ".join(f"{key} {value}" for key, value in found["settings"].items())
    lines = [
        f"{found['file']}{f' ({chosen})' if chosen else ''}",
        f"  written {found['written']} by {found['rule']}, SHA-256 {found['sha256']}",
        f"  command: {found['command']}",
        f"  log: {', '.join(found['log'])}",
        "",
        "Made by, from the result backwards:",
    ]
    for entry in found["jobs"]:
        counts = f"{entry['files']} files, {entry['jobs']} jobs, {entry['seconds']:.0f} s"
        lines.append(f"  {entry['rule']:22} {counts:34} code {', '.join(entry['code'])}")
    lines += ["", "LoRAs:"]
    for entry in found["loras"][:SHOWN]:
        known = "; ".join(
            f"seed {s['seed']}, training version {s['version']}, base {str(s['base'])[:16]}" for s in entry["settings"]
        )
        who = f"{entry['cell']} {entry['work']} ({entry['author']})"
        lines.append(f"  {who}: {entry['loras']}, from {counted(len(entry['images']), 'image')}; {known}")
    lines += _rest(found["loras"]) + ["", "Sources:"]
    for source in found["sources"][:SHOWN]:
        lines.append(f"  {source['file']}{'  SHA-256 ' + source['sha256'] if source['sha256'] else ''}")
    lines += [*_rest(found["sources"]), "", "Machine:"]
    return lines + [f"  {item}: {value}" for item, value in found["environment"].items()]


def _rest(entries: list) -> list[str]:
    return [f"  … and {len(entries) - SHOWN} more (--json)"] if len(entries) > SHOWN else []


def main(argv: list[str] | None = None) -> None:
    """Print where a result comes from."""
    arguments = parser(__doc__)
    arguments.add_argument("file", help="a result, as results/demo/tables/neighbours.tsv")
    arguments.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="settings of the rows, as rank=8 l2=on")
    arguments.add_argument("--json", action="store_true", help="print everything as JSON")
    options = arguments.parse_args(argv)
    wanted = dict(text.partition("=")[::2] for text in options.settings)
    if odd := [text for text in options.settings if "=" not in text]:
        arguments.error(f"{odd[0]}: expected KEY=VALUE")
    found = describe(options.file, read_records(), wanted)
    print(json.dumps(found, indent=2, ensure_ascii=False) if options.json else "\n".join(in_words(found)))
