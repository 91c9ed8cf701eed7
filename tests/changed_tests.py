"""Print the test files affected by the changes since a commit: `python -m tests.changed_tests [COMMIT]`.

A file depends on the modules in its imports, on the modules named in its strings ("data_plane.gateway.main" in the
arguments of a process) and on the files named in its strings ("constraints.txt"). A test also depends on the programs
of pyproject.toml named in its strings ("modelyard"). A data file of a package belongs to the modules of its folder.
"""

import ast
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
# Needs a Docker engine: `make test-compose`.
_COMPOSE = "tests/compose/"
# Files with an effect on the code or the packages of every test.
_AFFECTS_ALL = {"pyproject.toml", "server/pyproject.toml", "constraints.txt", "tests/conftest.py"}


def main() -> None:
    commit = sys.argv[1] if len(sys.argv) > 1 else "main"
    print(*sorted(affected_tests(REPOSITORY, changed_files(REPOSITORY, commit))), sep="\n")


def changed_files(repository: Path, commit: str) -> set[str]:
    """Paths that differ from the commit where the branch left `commit`, untracked files included."""
    base = _git(repository, "merge-base", commit, "HEAD")[0]
    changed = _git(repository, "diff", "--name-only", "--no-renames", base)
    return {*changed, *_git(repository, "ls-files", "--others", "--exclude-standard")}


def affected_tests(repository: Path, changed: set[str]) -> set[str]:
    """Paths of test files."""
    sources = _Sources(repository)
    named = (file for file in sources.files if Path(file).name.startswith("test_"))
    tests = {file for file in named if not file.startswith(_COMPOSE)}
    if changed & _AFFECTS_ALL:
        return tests
    affected = {user for file in changed for user in sources.users(file)}
    waiting = list(affected)
    while waiting:
        for user in sources.users(waiting.pop()) - affected:
            affected.add(user)
            waiting.append(user)
    folders = {Path(file).parent for file in affected if Path(file).name == "conftest.py"}
    return {test for test in tests if test in affected or folders & set(Path(test).parents)}


class _Sources:
    """The Python files of a repository, and the direct users of each file."""

    def __init__(self, repository: Path) -> None:
        listed = _git(repository, "ls-files", "--cached", "--others", "--exclude-standard", "*.py")
        self.files = [file for file in listed if (repository / file).exists()]
        self._modules = {_module(file): file for file in self.files}
        self._programs = _programs(repository)
        self._users: dict[str, set[str]] = defaultdict(set)
        self._naming: dict[str, set[str]] = defaultdict(set)
        """Files by the strings in the code."""
        for file in self.files:
            self._read(file, ast.parse((repository / file).read_bytes()))

    def users(self, file: str) -> set[str]:
        """Files directly affected by a change of `file`, a module itself included."""
        if file in self._modules.values():
            return {file} | self._users[file]
        beside = {module for module in self.files if Path(module).parent == Path(file).parent}
        named = self._naming[Path(file).name] | self._naming[file]
        return self._users[file] | named | (beside if "/" in file else set())

    def _read(self, file: str, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            for module in _imported(node, _module(file).rpartition(".")[0]):
                self._use(file, module)
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                # A package's name alone may be another word: "builder" is a role.
                if "." in node.value:
                    self._use(file, node.value.partition(":")[0])
                if file.startswith("tests/"):
                    self._use(file, self._programs.get(node.value, ""))
                self._naming[node.value.rpartition("/")[2]].add(file)
                self._naming[node.value].add(file)

    def _use(self, file: str, module: str) -> None:
        if module in self._modules:
            self._users[self._modules[module]].add(file)


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    """Dotted names of a statement: modules, and names inside modules."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parents = package.split(".")
        start = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
        module = ".".join(filter(None, [start, node.module]))
        yield module
        yield from (f"{module}.{alias.name}" for alias in node.names)


def _module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _programs(repository: Path) -> dict[str, str]:
    """The module of each program that the package installs."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    return {name: target.partition(":")[0] for name, target in project.get("scripts", {}).items()}


def _git(repository: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=repository, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


if __name__ == "__main__":
    main()
