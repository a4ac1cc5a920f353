"""The registry of tables: one file makes a table, and each is re-made by its own code only."""

import pandas as pd
import pytest

from egara import fingerprint
from egara.io.errors import EgaraError
from egara.tables import __main__ as command
from egara.tables import registry, show
from egara.tables.layout import Group, Layout

EVERY = dict.fromkeys(registry.CONDITIONS, True)


def modules_of(module, monkeypatch):
    """Return the project's modules whose code is in a fingerprint."""
    found, logic = set(), fingerprint._logic
    monkeypatch.setattr(fingerprint, "_logic", lambda name: found.add(name) or logic(name))
    fingerprint.fingerprint(module)
    return found


def test_a_registered_table_is_made_shown_and_planned(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(registry.TABLES, "_entries", dict(registry.TABLES._entries))

    def layout(table):
        return Layout("Sizes", {"work": table["work"].tolist()}, [Group("", {"faces": [f"{n}" for n in table["n"]]})])

    @registry.table("sizes", "Sizes", "faces: all.", layout=layout, inputs=("faces",), when="series", text=("work",))
    def build(faces, published=()):
        return pd.DataFrame({"work": [f"00{n}" for n, _ in enumerate(faces)], "n": len(faces)})

    output = [str(tmp_path / f"sizes.{form}") for form in ("tsv", "md", "tex")]
    command.main(["sizes", "--faces", "a.tsv", "b.tsv", "--output", *output])
    show.main([output[0]])
    assert "001   " in capsys.readouterr().out, "text columns stay text"
    assert "| 001 | 2 |" in (tmp_path / "sizes.md").read_text()
    assert "sizes" in registry.table_names(EVERY)
    assert "sizes" not in registry.table_names(EVERY | {"series": False})
    with pytest.raises(ValueError, match="table sizes: registered twice"):
        registry.table("sizes", "", "", layout=layout, inputs=())(build)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cosine"], "table cosine: no files given; expected --scores"),
        (
            ["cosine", "--scores", "s.tsv", "--faces", "f.tsv"],
            "table cosine: takes no --faces; expected --scores, --publi",
        ),
        (["works", "--faces-skipped", "f.tsv"], "table works: no files given; expected --pages"),
        (["registry"], "table registry: unknown; expected one of clusters, controls, cosine"),
        (["../x"], "table ../x: unknown; expected one of"),
        (["cosine", "--scores", "s.tsv"], "s.tsv: no such file"),
    ],
)
def test_wrong_names_and_files_are_one_line(tmp_path, arguments, said):
    with pytest.raises(EgaraError) as caught:
        command.main([*arguments, "--output", str(tmp_path / "x.tsv")])
    assert str(caught.value).startswith(said) and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_table_that_could_never_be_made_is_not_registered():
    for wrong in ({"inputs": ("volumes",)}, {"inputs": (), "when": "never"}):
        with pytest.raises(ValueError, match="table odd: unknown"):
            registry.table("odd", "", "", layout=None, **wrong)
    assert "odd" not in registry.TABLES


def test_every_table_takes_what_it_is_registered_for():
    import inspect

    for name, table in show.TABLES.items():
        assert {kind.replace("-", "_") for kind in table.kinds} == set(inspect.signature(table.build).parameters), name
        assert table.build.__module__ == f"egara.tables.{name}", "the rule's fingerprint is that of this module"


def test_a_study_has_the_tables_that_it_allows():
    always = ["environment", "overlap", "works"]
    assert registry.table_names(dict.fromkeys(registry.CONDITIONS, False)) == always
    assert registry.table_names(EVERY) == sorted(show.TABLES) and len(show.TABLES) == 13
    with pytest.raises(KeyError):
        registry.table_names({"compared": True})


def test_a_tables_fingerprint_does_not_hold_the_other_tables(monkeypatch):
    held = modules_of("egara.tables.cosine", monkeypatch)
    assert {"egara.tables.cosine", "egara.tables.layout", "egara.tables.writing", "egara.tables.pivot"} <= held
    assert not {f"egara.tables.{name}" for name in show.TABLES if name != "cosine"} & held
    assert {f"egara.tables.{name}" for name in show.TABLES} <= modules_of("egara.tables.show", monkeypatch)
