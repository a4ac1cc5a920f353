"""The findings of a check as text for a terminal, and as JSON."""

import json
import shlex
import textwrap
from pathlib import Path

from egara.check.faces import Faces, needed
from egara.check.findings import Findings
from egara.check.hours import SMALL, Hours
from egara.check.lines import WIDTH, duration, in_bytes, listed, milliseconds, shorten, table
from egara.check.shelf import Shelf
from egara.check.training import lora_bytes
from egara.config import find_file
from egara.io.errors import counted
from egara.sets import expected_overlap
from egara.shipped import CHECKOUT
from egara.skipped import count_by_cause, describe_counts

ROWS = 25  # of works
NAME_WIDTH = 24


def as_text(found: Findings) -> str:
    """Return the findings as text: first what stops the study."""
    study = found.study
    authors = {work.author for work in study.works}
    stops = study.stops
    lines = [
        f"{found.config}: study {study.corpus}, {counted(len(study.works), 'work')} by "
        f"{counted(len(authors), 'author')}"
    ]
    if stops:
        lines += ["", f"It cannot run as it is: {counted(len(stops), 'problem')}", *listed(stops)]
    parts = [
        ("Please note", listed(study.remarks)),
        ("Volumes", _volumes(found)),
        ("Left out", _left_out(found.shelves)),
        ("Faces", _faces(found)),
        ("Training", _training(found)),
        ("Disk", _disk(found)),
    ]
    for title, part in parts:
        if part:
            lines += ["", title, *part]
    if not stops:
        lines += ["", f"Ready to run: {_command(found.config)}"]
    return "\n".join(lines)


def _command(config: str) -> str:
    """Return the shell command that runs the study from the working directory."""
    words = ["snakemake", "--cores", "all"]
    snakefile = CHECKOUT / "Snakefile"  # an installed library has none: the user's own names the project
    if not any(Path(place).exists() for place in ("Snakefile", "workflow/Snakefile")) and snakefile.exists():
        words += ["-s", str(snakefile)]
    return shlex.join([*words, "--configfile", find_file(config)])


def _volumes(found: Findings) -> list[str]:
    study = found.study
    authors = {work.work: work.author for work in study.works}
    if study.casts:
        casts = [study.casts[work.work] for work in study.works if work.work in study.casts]
        volumes = sum(int(cast["volumes"]) for cast in casts)
        pages = sum(int(cast["volumes"]) * int(cast["pages"]) for cast in casts)
        whole = f"{counted(volumes, 'volume')}, {counted(pages, 'page')} in all"
        return [f"  {whole}, composed by the workflow ({study.settings['casts']})"]
    if not found.shelves:
        return []
    rows = [["work", "author", "volumes", "pages", "size in pixels", "left out"]]
    shown = _telling(found.shelves)
    for shelf in shown:
        kinds = ", ".join(f"{count} {_kind(kind, count)}" for kind, count in shelf.kinds.items()) or "none"
        left = sum(shelf.left_out.values())
        rows.append(
            [
                shorten(shelf.work, NAME_WIDTH), shorten(authors[shelf.work], NAME_WIDTH), kinds, f"{shelf.pages:,}",
                _sizes(shelf), f"{left:,}" if left else "",
            ]
        )  # fmt: skip
    if len(shown) < len(found.shelves):
        rows.append(["…", "", "", "", "", ""])
    if len(found.shelves) > 1:
        volumes = sum(len(shelf.volumes) for shelf in found.shelves)
        left = sum(sum(shelf.left_out.values()) for shelf in found.shelves)
        pages = sum(shelf.pages for shelf in found.shelves)
        rows.append(["all", "", str(volumes), f"{pages:,}", "", f"{left:,}" if left else ""])
    measured = sum(len(shelf.sizes) for shelf in found.shelves)
    hidden = (
        f" --json lists {counted(len(found.shelves) - len(shown), 'more work')}."
        if len(shown) < len(found.shelves)
        else ""
    )
    told = f"Sizes are medians, from {counted(measured, 'page')} measured." if measured else ""
    return [*table(rows, right=(3, 5)), *([f"  {told}{hidden}"] if told or hidden else [])]


def _telling(shelves: list[Shelf]) -> list[Shelf]:
    """Return the works to show: of many, those with problems or unusual pages, then the first ones."""
    said = [shelf for shelf in shelves if shelf.stops or shelf.skipped or shelf.outlying]
    others = [shelf for shelf in shelves if shelf not in said]
    chosen = {shelf.work for shelf in [*said, *others][:ROWS]}
    return [shelf for shelf in shelves if shelf.work in chosen]


def _kind(kind: str, count: int) -> str:
    plurals = {"folder of images": "folders of images", "image": "images"}
    return kind if count == 1 else plurals.get(kind, kind)


def _sizes(shelf: Shelf) -> str:
    if shelf.usual_size is None:
        return "?"
    usual = "{} x {}".format(*shelf.usual_size)
    return usual + (", up to {} x {}".format(*shelf.outlying[0]) if shelf.outlying else "")


def _left_out(shelves: list[Shelf]) -> list[str]:
    rows = [row for shelf in shelves for row in shelf.skipped]
    if not rows:
        return []
    whole = f"{describe_counts(count_by_cause(rows))} (as far as file names and measured pages show)"
    items = []
    for row in rows:
        times = f" ({row['count']} such)" if int(row["count"]) > 1 else ""
        items.append(f"{'/'.join(filter(None, (row['source'], row['member'])))}: {row['reason']}{times}")
    return [
        *textwrap.wrap(whole, WIDTH, initial_indent="  ", subsequent_indent="  "),
        *listed(items, 8),
    ]


def _faces(found: Findings) -> list[str]:
    settings = found.study.settings
    count, size, least = settings["sets"]["count"], settings["sets"]["size"], needed(found.study)
    if not found.study.works:
        return []
    lines = [
        f"  detector   {found.detector or settings['faces']['detector'] + ': cannot be used'}",
        f"  needed     {counted(least, 'face')} per work, in crops of at least "
        f"{settings['faces']['min_pixels']:,} pixels",
    ]
    numbers = {work: _number(one) for work, one in found.faces.items() if _number(one) is not None}
    if numbers:
        told = ", ".join(dict.fromkeys(found.faces[work].source for work in numbers))
        fewest = min(numbers, key=numbers.get)
        both = [one for work, one in found.faces.items() if work in numbers and None not in (one.found, one.kept)]
        of = f" of {sum(one.found for one in both):,}" if len(both) == len(numbers) else ""
        lines.append(
            f"  expected   {sum(numbers.values()):,}{of} in {counted(len(numbers), 'work')} ({told}); "
            f"fewest in {fewest}, {numbers[fewest]:,}"
        )
        if count > 1 and numbers[fewest] >= size:
            share = expected_overlap(numbers[fewest], size)
            lines.append(f"             two of its {count} sets share {share:.0%} of their faces on average")
    if unknown := len(found.faces) - len(numbers):
        works = f" in {counted(unknown, 'work')}" if numbers else ""
        lines.append(f"  {'' if numbers else 'expected':<8}   unknown{works} until faces are detected")
        if count > 1:
            first, *others = [(size * times, f"{expected_overlap(size * times, size):.0%}") for times in (2, 4, 10)]
            with_more = ", ".join(f"{share} with {faces:,}" for faces, share in others)
            lines.append(
                f"             with {first[0]:,} faces per work, two sets share {first[1]} on average, {with_more}"
            )
    return lines


def _number(faces: Faces) -> int | None:
    return faces.kept if faces.kept is not None else faces.found


def _training(found: Findings) -> list[str]:
    study, settings, works = found.study, found.study.settings, len(found.study.works)
    loras, steps = sum(study.trained.values()) * works, settings["training"]["max_train_steps"]
    each = [lora_bytes(cell, found.sides, settings["save_dtype"]) for cell in study.trained] if found.sides else []
    of = ", " + " to ".join(dict.fromkeys(map(in_bytes, (min(each), max(each))))) + " each" if each else ""
    there = f"; {found.trained:,} already trained" if found.trained else ""
    if not works:
        return [f"  base       {_base(found)}"]
    sets = " or ".join(map(str, dict.fromkeys(study.trained.values())))
    whole = f"{counted(len(study.trained), 'cell')} x {counted(works, 'work')} x {sets} sets"
    return [
        f"  base       {_base(found)}",
        f"  LoRAs      {loras:,}: {whole}{of}{there}",
        f"  steps      {loras * steps:,}: {steps:,} each, batch {settings['training']['train_batch_size']}",
        *_hours(found),
    ]


def _base(found: Findings) -> str:
    base = found.base
    if base.folder is None:
        stops = any(base.name in stop for stop in found.study.stops)
        return f"{base.name}: {'cannot be used' if stops else 'not on this machine yet; the first run downloads it'}"
    name = "" if str(base.folder).endswith(base.name) else f"{base.name}: "
    return f"{name}{in_bytes(base.bytes)} of weights in {base.folder}"


def _hours(found: Findings) -> list[str]:
    hours = found.hours
    if hours.seconds is None:
        if found.unfinished:
            return ["  time       a training step is being timed; run the check again in a few seconds"]
        why = "a training step fails, see above" if found.fault else "not measured yet"
        takes = "seconds" if found.base.bytes <= SMALL else "a minute or more"
        how = f"egara check --measure {found.config} takes {takes}"
        how = how if found.base.folder else "a step can be timed when the base is on this machine"
        return [f"  time       {why}; {how}"]
    step = ", ".join(f"{milliseconds(one)} at {side} pixels" for side, one in hours.step.items())
    lines = [
        f"  time       {_time(hours)} of training; pages, faces, Gram matrices and figures are extra",
        f"             one step of one LoRA: {step} ({hours.source})",
    ]
    if hours.bytes:
        lines.append(
            f"  memory     {in_bytes(hours.bytes)} per LoRA plus the base, {counted(hours.pack, 'LoRA')} at once"
        )
    return lines


def _time(hours: Hours) -> str:
    alone = duration(hours.seconds)
    if hours.parallel == 1:
        return f"{alone} on this machine"
    return f"{duration(hours.seconds / hours.parallel)} on {hours.parallel} cores ({alone} of one core)"


def _disk(found: Findings) -> list[str]:
    if found.disk is None or not found.study.works:
        return []
    parts = ", ".join(f"{name} {in_bytes(size)}" for name, size in found.disk.needed.items())
    unknown = "" if found.sides else "; LoRAs and latents are unknown without the base"
    return [
        f"  needed     {in_bytes(sum(found.disk.needed.values()))}: {parts}{unknown}",
        f"  free       {in_bytes(found.disk.free)} in {found.study.results.parent.absolute()}",
    ]


def as_json(found: Findings) -> str:
    """Return all findings as one JSON object."""
    study, hours, disk = found.study, found.hours, found.disk
    shelves = {shelf.work: shelf for shelf in found.shelves}
    works = []
    for work in study.works:
        shelf, faces = shelves.get(work.work), found.faces.get(work.work, Faces())
        row = {"author": work.author, "work": work.work, "series": work.series, "faces": vars(faces)}
        if shelf:
            row |= {
                "volumes": [
                    {"path": volume.path, "kind": volume.kind, "pages": volume.pages, "sizes": volume.sizes}
                    for volume in shelf.volumes
                ],
                "pages": shelf.pages, "size": shelf.usual_size, "outlying": shelf.outlying,
                "left_out": shelf.left_out, "skipped": shelf.skipped,
            }  # fmt: skip
        works.append(row)
    whole = {
        "config": found.config, "corpus": study.corpus, "runs": not study.stops, "stops": study.stops,
        "remarks": study.remarks, "works": works, "detector": found.detector, "faces_needed": needed(study),
        "base": {"name": found.base.name, "folder": found.base.folder, "bytes": found.base.bytes},
        "cells": study.trained, "loras": sum(study.trained.values()) * len(study.works), "loras_there": found.trained,
        "steps": sum(study.trained.values()) * len(study.works) * study.settings["training"]["max_train_steps"],
        "seconds": hours.seconds, "side_by_side": hours.parallel, "step_seconds": hours.step, "timed": hours.source,
        "pack": hours.pack, "pack_bytes": hours.bytes,
        "disk": {"needed": disk.needed, "free": disk.free} if disk else None,
    }  # fmt: skip
    return json.dumps(
        whole,
        ensure_ascii=False,
        indent=2,
        default=lambda value: str(value) if isinstance(value, Path) else vars(value),
    )
