"""What a user writes stays letters: in Snakemake's rules, in shell commands, in figures and in tables."""

import html
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.io import IOFile
from tiny import ODD, ODD_AUTHOR

from egara.io.errors import EgaraError
from egara.literal import command_prefix, literal, project_path, take_literally, verbatim
from egara.shipped import MAIN

ROOT = Path(__file__).resolve().parents[2]
FREE = ("threads", "wildcards.", "resources.")  # numbers and words of ours, or constrained


def shell_commands(path):
    """Yield the lines of a rule file that stand in `shell:`."""
    inside = False
    for line in path.read_text(encoding="utf-8").splitlines():
        inside = line.strip() == "shell:" or (inside and (not line or line.startswith(" " * 8)))
        if inside:
            yield line


@pytest.mark.parametrize("path", sorted((ROOT / "workflow" / "rules").glob("*.smk")), ids=lambda path: path.stem)
def test_every_path_and_parameter_of_a_command_is_quoted(path):
    fields = [field for line in shell_commands(path) for field in re.findall(r"(?<!\{)\{([^{}]+)\}", line)]
    assert [field for field in fields if not field.endswith(":q") and not field.startswith(FREE)] == []


def test_a_literal_path_is_no_pattern():
    class Rule:
        class pathvars:
            @staticmethod
            def apply(path):
                raise AssertionError("no path variable is looked for in a literal path")

    assert take_literally(), "this Snakemake names its parts otherwise: look how paths are taken literally in it"
    for path in (ODD, f"/shelf/{ODD}/{ODD}.cbz", "{work}", "a <b>/c.cbz", "{w,[0-9]+}"):
        made = IOFile(literal(path), rule=Rule).apply_wildcards({"work": "w"})
        assert made == path and made.rule is Rule
        assert IOFile(made, rule=Rule).apply_wildcards({}) == path
    assert verbatim("{work}")(None) == "{work}"
    assert IOFile("{work}.tsv", rule=None).apply_wildcards({"work": "w"}) == "w.tsv"


def test_another_snakemake_is_left_as_it_is_and_says_so(monkeypatch):
    import snakemake.io

    class Otherwise:
        pass

    monkeypatch.setattr(snakemake.io, "_IOFile", Otherwise)
    assert take_literally() is False and not hasattr(Otherwise, "is_literal")
    monkeypatch.delattr(snakemake.io, "is_flagged")
    assert take_literally() is False


def test_a_literal_path_is_no_option_and_one_line():
    assert literal("-x.cbz") == "./-x.cbz" and literal("./a//b/") == "a/b"
    for path in ("a\nb.cbz", "a\tb", "a\x1bb"):
        with pytest.raises(EgaraError, match="control character") as caught:
            literal(path)
        assert caught.value.args[0].isprintable()


def test_commands_find_the_library_behind_odd_folders_and_next_to_a_users_modules(tmp_path):
    library, study = tmp_path / ODD / "workflow" / "egara", tmp_path / "study"
    (library / "shelf").mkdir(parents=True)
    shutil.copytree(MAIN.parent / "io", library / "io")
    for name in ("__init__.py", "__main__.py"):
        shutil.copy(MAIN.parent / name, library)
    (library / "shelf" / "__init__.py").touch()
    (library / "shelf" / "__main__.py").write_text(
        "import json, sys\ndef main(argv):\n    print(json.dumps([sys.argv[0], *argv]))"
    )
    study.mkdir()
    for name in ("json.py", "egara.py", "runpy.py"):
        (study / name).write_text("raise SystemExit('a file of the user was imported')")

    def run(command, before=None):
        prefix = command_prefix(library / "__main__.py", sys.executable, before).format()  # as shell.prefix does
        return subprocess.run(["bash", "-c", prefix + command], cwd=study, capture_output=True, text=True)

    again = command_prefix(library / "__main__.py", sys.executable, "set -e; ").format()
    for before in (None, "export A=b; ", again):
        ran = run(f"egara shelf --caption={shlex.quote(ODD)} '' -x", before)
        assert ran.stdout == json.dumps(["egara shelf", f"--caption={ODD}", "", "-x"]) + "\n", ran.stderr
        assert ran.returncode == 0
    assert run("false | true", None).returncode == 1, "Snakemake's strict mode stays"
    assert run("python -c 'print(2)'", "").stdout == "2\n", "another workflow's python is its own"


def test_a_command_too_long_for_one_argument_runs_in_an_odd_folder(tmp_path):
    folder = tmp_path / ODD
    folder.mkdir()
    script = "from egara.literal import take_literally; take_literally(); from snakemake.shell import shell; "
    script += "shell('touch made; true ' + 'x' * 70_000)"
    ran = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0 and (folder / "made").is_file(), ran.stderr


def test_files_of_the_project_are_named_as_short_as_they_can_be(tmp_path, monkeypatch):
    checkout = tmp_path / "checkout"
    for folder in (checkout, tmp_path / "other"):
        (folder / "resources").mkdir(parents=True)
        (folder / "resources" / "a.tsv").touch()
    monkeypatch.chdir(checkout)
    path, whole = "resources/a.tsv", checkout / "resources/a.tsv"
    assert project_path(path, whole) == path
    monkeypatch.chdir(tmp_path / "other")  # has a file of that name, but not ours
    assert project_path(path, whole) == str(whole)


def test_names_are_letters_in_figures(tmp_path):
    from matplotlib import pyplot

    from egara.figures.style import add_legend, save, set_theme

    names = [ODD_AUTHOR, "$x^2$", "_hidden", r"\frac & $ $"]
    set_theme()
    figure = pyplot.figure(figsize=(6, 4), layout="constrained")
    add_legend(figure, [(name, f"w-{place}") for place, name in enumerate(names)])
    save(figure, [tmp_path / "legend.svg"], ODD_AUTHOR, ODD, ["legend"])
    drawn = html.unescape(re.sub(r"<[^>]*>", "\n", (tmp_path / "legend.svg").read_text(encoding="utf-8")))
    assert {" ".join(name.split()) for name in names} <= {" ".join(line.split()) for line in drawn.splitlines()}


def test_names_are_letters_in_markdown_and_latex():
    from egara.tables.writing import _md, tex

    assert _md("$a_b$ | <b> A&amp;B [x](http://y)") == r"\$a\_b\$ \| \<b\> A\&amp;B [x]\(http://y)"
    assert _md("A & B") == "A & B"
    assert tex("$a_b$ & {1}") == r"\$a\_b\$ \& \{1\}"
