"""Which tests a change affects, in a small repository."""

import subprocess
from pathlib import Path

import pytest

from tests.changed_tests import affected_tests, changed_files

FILES = {
    "pyproject.toml": '[project]\nname = "shop"\nscripts = {shop = "shop.cli:main"}\n',
    "docs/orders.md": "",
    "shop/__init__.py": "",
    "shop/orders.py": "TOTAL = 1\n",
    "shop/cli.py": "from shop import orders\nUP = 'shop.up:up'\ndef main(): ...\n",
    "shop/up.py": "def up(): ...\n",
    "shop/worker/__init__.py": "",
    "shop/worker/main.py": "import json\n",
    "shop/worker/letter.template": "",
    "tests/orders/test_orders.py": "from shop.orders import TOTAL\n",
    "tests/orders/test_docs.py": "from pathlib import Path\nPAGE = Path('docs') / 'orders.md'\n",
    "tests/cli/test_cli.py": "import subprocess\nsubprocess.run(['shop', 'list'])\n",
    "tests/worker/conftest.py": "from tests.worker.process import start\n",
    "tests/worker/process.py": "def start(): return ['-m', 'shop.worker.main']\n",
    "tests/worker/test_worker.py": "def test_worker(): ...\n",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "all")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True)


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        pytest.param("shop/orders.py", {"orders/test_orders.py", "cli/test_cli.py"}, id="imported module"),
        pytest.param("shop/cli.py", {"cli/test_cli.py"}, id="program"),
        pytest.param("shop/up.py", {"cli/test_cli.py"}, id="module by the name of a function"),
        pytest.param("shop/worker/main.py", {"worker/test_worker.py"}, id="module of a process"),
        pytest.param("shop/worker/letter.template", {"worker/test_worker.py"}, id="file of a package"),
        pytest.param("tests/worker/process.py", {"worker/test_worker.py"}, id="harness"),
        pytest.param("tests/orders/test_docs.py", {"orders/test_docs.py"}, id="test"),
        pytest.param("docs/orders.md", {"orders/test_docs.py"}, id="page that a test names"),
        pytest.param(
            "pyproject.toml",
            {"orders/test_orders.py", "orders/test_docs.py", "cli/test_cli.py", "worker/test_worker.py"},
            id="project file",
        ),
    ],
)
def test_change_affects_the_tests_that_depend_on_the_file(repository: Path, changed: str, tests: set[str]) -> None:
    assert affected_tests(repository, {changed}) == {f"tests/{name}" for name in tests}


def test_changed_files_are_those_of_the_branch_and_those_not_committed(repository: Path) -> None:
    git(repository, "switch", "--quiet", "--create", "branch")
    (repository / "shop" / "orders.py").write_text("TOTAL = 2\n")
    git(repository, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--all", "--message", "two")
    (repository / "shop" / "cli.py").unlink()
    (repository / "shop" / "new.py").write_text("")
    assert changed_files(repository, "main") == {"shop/orders.py", "shop/cli.py", "shop/new.py"}
