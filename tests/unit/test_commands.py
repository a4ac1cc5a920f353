"""The command `egara`: every stage is a subcommand, and its help loads nothing heavy."""

import re
import subprocess
import sys

import pytest
from rule_files import read_rules

from egara.__main__ import GROUPS, commands, main, resolve
from egara.shipped import MAIN

HEAVY = (
    "torch",
    "diffusers",
    "transformers",
    "pandas",
    "sklearn",
    "scipy",
    "umap",
    "hdbscan",
    "matplotlib",
    "cv2",
    "PIL",
)


def egara(*words, cwd=None):
    """Run the command as the rules do."""
    return subprocess.run([sys.executable, "-P", str(MAIN), *words], capture_output=True, text=True, cwd=cwd)


def test_all_stages_have_a_command():
    stages = {"demo", "corpus", "faces", "sets", "loras", "weights", "projections", "clusters", "scores", "report"}
    assert stages <= set(commands())
    assert {words for group in GROUPS.values() for words in group} <= set(commands())


@pytest.mark.parametrize("words", commands())
def test_help_says_what_a_command_does_and_loads_nothing_heavy(words):
    code = (
        "import sys\n"
        "from egara.__main__ import start\n"
        f"sys.argv = ['egara', *{words.split()!r}, '--help']\n"
        "try:\n"
        "    start()\n"
        "except SystemExit as stopped:\n"
        f"    print('LOADED', *[name for name in {HEAVY!r} if name in sys.modules])\n"
        "    sys.exit(stopped.code)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"usage: egara {words} ")
    assert len(ran.stdout.split()) > 20
    assert ran.stdout.strip().splitlines()[-1] == "LOADED"


def test_the_list_names_every_command_with_a_line_and_imports_none(tmp_path):
    ran = egara("--help", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    for words, said in commands().items():
        assert said[:1].isupper(), words
        assert re.search(rf"^  {words}  +\S", ran.stdout, re.M), words
    code = "import sys; from egara.__main__ import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr.split()
    assert [name for name in modules if name.startswith("egara.")] == ["egara.__main__"]


def test_a_group_lists_its_own_commands(capsys):
    assert main(["loras", "base", "--help"]) == 0
    assert re.findall(r"^  (\w.*?)  ", capsys.readouterr().out, re.M) == ["loras base find"]
    with pytest.raises(SystemExit) as stopped:
        main(["loras", "base"])
    assert stopped.value.code == 2
    assert "loras base find" in capsys.readouterr().err


def test_words_and_arguments_are_told_apart():
    assert resolve(["faces", "evaluate", "--work", "w"]) == ("faces evaluate", ["--work", "w"])
    assert resolve(["faces", "--work", "evaluate"]) == ("faces", ["--work", "evaluate"])
    assert resolve(["loras", "store", "prune", "results/store"]) == ("loras store", ["prune", "results/store"])
    assert resolve(["check", "../registry"]) == ("check", ["../registry"])
    assert resolve(["registry"]) == ("", ["registry"]), "a module without a command"


@pytest.mark.parametrize(
    ("given", "said"), [("facse", "did you mean egara faces?"), ("samples laros", "did you mean egara samples loras?")]
)
def test_an_unknown_command_is_one_line_that_names_the_nearest(given, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(given.split())
    assert stopped.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert said in shown.err


def test_bad_input_is_one_line_and_status_1(tmp_path):
    ran = egara("check", "no-such.yaml", cwd=tmp_path)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr


def test_the_version_is_the_librarys(capsys):
    import egara as library

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"egara {library.__version__}\n"


@pytest.mark.parametrize("rule", list(read_rules()), ids=lambda rule: rule.name)
def test_a_rule_depends_on_the_code_of_the_command_that_it_calls(rule):
    assert rule.words in commands()
    assert rule.code in (None, rule.words)


def test_a_command_is_called_by_a_rule_or_listed_in_a_group():
    grouped = {words for group in GROUPS.values() for words in group}
    called = {rule.words for rule in read_rules()}
    by_a_wildcard = tuple(f"{rule.words} " for rule in read_rules() if rule.any_of)
    assert not called & grouped
    assert [words for words in set(commands()) - called - grouped if not words.startswith(by_a_wildcard)] == []
