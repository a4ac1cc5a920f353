"""A stage's fingerprint: a hash of the code behind it, so that changed logic re-runs the stage and a comment does not.

Snakemake compares a rule's params between runs but never looks into the modules that its command imports. So every rule
carries `params: code=fingerprint("egara.<stage>")`.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
# They decide how a stage talks, never what it computes; the values of settings are params of the rules.
SILENT = ("egara.io.errors", "egara.io.progress", "egara.fingerprint", "egara.registry", "egara.settings")


def fingerprint(module: str) -> str:
    """Hash the syntax trees of `module` and of all project modules that it reaches by imports.

    Comments, blank lines, formatting and docstrings do not count. A package means its command line (`__main__`).

    Returns
    -------
    Twelve hex digits.
    """
    start = f"{module}.__main__" if _file(f"{module}.__main__") else module
    if _file(start) is None:
        raise ModuleNotFoundError(f"{module}: not a module of the project")
    reached, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in reached and not _is_silent(name):
            reached.add(name)
            waiting += [found for found in _imports(name) if _file(found)]
    digest = hashlib.sha256()
    for name in sorted(reached):
        digest.update(_logic(name))
    return digest.hexdigest()[:12]


def _is_silent(module: str) -> bool:
    return module.startswith(tuple(f"{silent}." for silent in SILENT)) or module in SILENT


@cache
def _file(module: str) -> Path | None:
    """Return the file of a project module, None for anything else."""
    head, *rest = module.split(".")
    if head != PACKAGE.name:
        return None
    stem = PACKAGE.joinpath(*rest)
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


@cache
def _tree(module: str) -> ast.Module:
    """Parse a module and drop its docstrings."""
    tree = ast.parse(_file(module).read_text(encoding="utf-8"))
    for node in _statements(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            del node.body[0]
    return tree


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield a module and all its statements; expressions, most of a tree, hold neither imports nor docstrings."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for field in ("body", "orelse", "handlers", "finalbody", "cases"):
            found = getattr(node, field, [])
            waiting += found if isinstance(found, list) else []  # a lambda's body is an expression


@cache  # most modules stand behind several stages, and a workflow asks for all stages at each start
def _logic(module: str) -> bytes:
    """Return a module's name and syntax tree as they are hashed."""
    return f"{module}\0{ast.dump(_tree(module))}\0".encode()


@cache
def _imports(module: str) -> list[str]:
    """Return every name that an import statement of the module may mean, wherever it stands in the file."""
    names = []
    for node in _statements(_tree(module)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Expr | ast.Assign) and isinstance(node.value, ast.Call):
            names += _discovered(node.value)
    return names


def _discovered(call: ast.Call) -> list[str]:
    """Return the modules that a call of `egara.registry.discover` imports."""
    if getattr(call.func, "id", "") != "discover" or not isinstance(call.args[0], ast.Constant):
        return []
    package = call.args[0].value
    return [f"{package}.{path.stem}" for path in sorted(_file(package).parent.glob("*.py"))]
