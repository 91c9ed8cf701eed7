"""Find a Python, and make the interpreter reachable for the user of model workers."""

import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from builder.build_run import BuildLog
from builder.errors import NoInterpreter
from builder.interpreters.find import Interpreters
from builder.interpreters.probe import probe
from builder.interpreters.runtime_copy import point_at_own_library, reachable_interpreter
from builder.interpreters.search import SearchPlaces
from modelyard.core.adapters.file_access import make_readable, reachable
from tests.builder.conftest import WORKER_USER

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def own():
    """The interpreter of the test run, as probed."""
    found = probe(Path(sys.executable))
    assert found is not None
    return found


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def search(tmp_path: Path, *, own: Path = Path("/nonexistent"), path_folders: tuple[Path, ...] = ()) -> SearchPlaces:
    return SearchPlaces(tmp_path / "pyenv" / "versions", (tmp_path / "uv",), path_folders, own)


class TestProbe:
    def test_virtual_environment_resolves_to_its_interpreter(self, own):
        assert own.version == ".".join(map(str, sys.version_info[:3]))
        assert own.executable == own.executable.resolve()
        assert own.prefix == Path(sys.base_prefix).resolve()

    @pytest.mark.parametrize("text", ["#!/bin/sh\necho 'python3.9: command not found' >&2\nexit 127\n", "no program"])
    def test_failing_shim_is_no_interpreter(self, tmp_path, text):
        assert probe(script(tmp_path / "python3.9", text)) is None

    def test_program_with_other_output_is_no_interpreter(self, tmp_path):
        assert probe(script(tmp_path / "python3.9", "#!/bin/sh\necho hello\n")) is None


class TestInterpreters:
    def interpreters(self, places: SearchPlaces, tmp_path: Path) -> Interpreters:
        return Interpreters(places, user=None, copies=tmp_path / "copies")

    def test_interpreters_of_pyenv_uv_and_path_are_found_once(self, tmp_path, own):
        for place in ("pyenv/versions/3.11.7/bin/python", "uv/cpython-3.11.7-linux/bin/python3", "bin/python3"):
            script(tmp_path / place, f'#!/bin/sh\nexec {own.executable} "$@"\n')
        places = search(tmp_path, path_folders=(tmp_path / "bin",))
        assert len(list(places.candidates())) == 4
        # All three start the same interpreter.
        assert self.interpreters(places, tmp_path).found() == [own]

    def test_pyenv_shims_are_not_candidates(self, tmp_path):
        script(tmp_path / "shims" / "python3", "#!/bin/sh\nexit 1\n")
        places = search(tmp_path, path_folders=(tmp_path / "shims",))
        assert list(places.candidates()) == [Path("/nonexistent")]

    def test_closed_folders_of_another_account_have_no_candidates(self, passable_folder):
        home = passable_folder / "home"
        for folder in (home / "pyenv" / "versions", home / "uv"):
            folder.mkdir(parents=True)
        home.chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            assert list(search(home).candidates()) == [Path("/nonexistent")]
        finally:
            os.seteuid(user)
            home.chmod(0o700)

    def test_other_patch_version_is_used_and_logged(self, tmp_path, own):
        lines: list[str] = []
        places = search(tmp_path, own=own.executable)
        found = self.interpreters(places, tmp_path).get(
            OWN, f"{OWN}.99", log=BuildLog(lines.append), fetch=lambda minor: None
        )
        assert found == own
        assert lines == [f"asked for Python {OWN}.99, using {own.version}"]

    def test_exact_patch_version_logs_no_line(self, tmp_path, own):
        lines: list[str] = []
        places = search(tmp_path, own=own.executable)
        self.interpreters(places, tmp_path).get(OWN, own.version, log=BuildLog(lines.append), fetch=lambda minor: None)
        assert lines == []

    def test_missing_version_error_lists_the_versions_found(self, tmp_path, own):
        places = search(tmp_path, own=own.executable)
        with pytest.raises(NoInterpreter) as refusal:
            self.interpreters(places, tmp_path).get("3.5", None, log=BuildLog(print), fetch=lambda minor: "no network")
        assert "no Python 3.5 on this machine" in refusal.value.message
        assert "(no network)" in refusal.value.message
        assert f"{own.version} ({own.executable})" in refusal.value.message

    def test_missing_version_in_an_image_error_tells_how_to_add_a_python(self, tmp_path, own):
        places = replace(search(tmp_path, own=own.executable), remedy="build the image again")
        fetched: list[str] = []
        with pytest.raises(NoInterpreter) as refusal:
            self.interpreters(places, tmp_path).get("3.5", None, log=BuildLog(print), fetch=fetched.append)
        assert refusal.value.message.startswith("no Python 3.5 is in this image; build the image again, or change")
        assert not fetched

    def test_fetched_interpreter_is_used(self, tmp_path, own):
        def fetch(minor: str) -> None:
            script(tmp_path / f"uv/cpython-{minor}/bin/python3", f'#!/bin/sh\nexec {own.executable} "$@"\n')

        found = self.interpreters(search(tmp_path), tmp_path).get(OWN, None, log=BuildLog(print), fetch=fetch)
        assert found == own


class TestReachable:
    def test_reachable_checks_the_permissions_of_every_parent_folder(self, passable_folder):
        file = passable_folder / "inner" / "file"
        file.parent.mkdir(mode=0o755)
        file.write_text("")
        file.chmod(0o644)
        assert reachable(file, 64042)
        file.parent.chmod(0o700)
        assert not reachable(file, 64042)
        file.parent.chmod(0o711)
        file.chmod(0o600)
        assert not reachable(file, 64042)

    def test_make_readable_opens_private_files_and_keeps_executable_bits(self, tmp_path):
        (tmp_path / "closed").mkdir(mode=0o700)
        for name, mode in (("data", 0o600), ("program", 0o700)):
            (tmp_path / "closed" / name).write_text("")
            (tmp_path / "closed" / name).chmod(mode)
        make_readable(tmp_path)
        modes = [stat.S_IMODE(path.stat().st_mode) for path in sorted((tmp_path / "closed").iterdir())]
        assert modes == [0o644, 0o755]
        assert stat.S_IMODE((tmp_path / "closed").stat().st_mode) == 0o755


class TestRuntimeCopies:
    def test_reachable_interpreter_is_not_copied(self, own, tmp_path):
        assert reachable_interpreter(own, user=None, copies=tmp_path) is own

    def test_interpreter_in_a_private_folder_is_copied_once_and_runs_as_the_worker_user(self, own, session_data_dir):
        user = WORKER_USER if WORKER_USER is not None else os.getuid()
        copies = session_data_dir.runtime / "python"
        copy = reachable_interpreter(own, user=user, copies=copies)
        again = reachable_interpreter(own, user=user, copies=copies)
        assert copy == again
        assert copy.version == own.version
        asked = probe(copy.executable, user=WORKER_USER)
        assert asked is not None
        assert asked.prefix == copy.prefix

    def test_copied_executable_finds_its_own_libpython_and_the_original_is_unchanged(self, tmp_path):
        original = b"\x7fELF..\0/home/me/.pyenv/versions/3.12.1/lib\0.."
        executable = tmp_path / "python3.12"
        executable.write_bytes(original)
        executable.chmod(0o755)
        os.link(executable, tmp_path / "linked")
        point_at_own_library(executable, original_prefix=Path("/home/me/.pyenv/versions/3.12.1"))
        changed = executable.read_bytes()
        assert b"\0$ORIGIN/../lib\0" in changed
        assert len(changed) == len(original)
        assert executable.stat().st_mode & 0o111
        assert (tmp_path / "linked").read_bytes() == original
