"""The worker's modules: Python 3.8 grammar and the standard library only."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_plane import worker

MODULES = sorted(Path(str(worker.__file__)).parent.glob("*.py"))


def module_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield every statement that runs at import."""
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        statement = pending.pop()
        yield statement
        if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            pending += [
                child for child in ast.walk(statement) if isinstance(child, ast.stmt) and child is not statement
            ]


def imported_packages(tree: ast.Module) -> set[str]:
    packages = set()
    for statement in module_level(tree):
        if isinstance(statement, ast.Import):
            packages |= {alias.name.partition(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom) and statement.level == 0:
            packages.add(str(statement.module).partition(".")[0])
    return packages


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
class TestWorkerModules:
    def test_module_has_python_3_8_grammar(self, module: Path) -> None:
        ast.parse(module.read_text(), feature_version=(3, 8))

    def test_module_imports_only_the_standard_library_at_import(self, module: Path) -> None:
        assert imported_packages(ast.parse(module.read_text())) <= set(sys.stdlib_module_names)

    def test_module_imports_siblings_relatively(self, module: Path) -> None:
        # In the archive the package has another name.
        assert "data_plane" not in {
            package
            for statement in ast.walk(ast.parse(module.read_text()))
            if isinstance(statement, (ast.Import, ast.ImportFrom))
            for package in imported_packages(ast.Module([statement], []))
        }
