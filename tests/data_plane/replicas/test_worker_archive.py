import stat
import subprocess
import sys
import zipfile
from pathlib import Path

from data_plane.replicas.local import worker_archive


class TestBuild:
    def test_of_the_same_worker_is_the_same_file(self, tmp_path: Path) -> None:
        one, other = tmp_path / "one", tmp_path / "other"
        one.mkdir()
        other.mkdir()
        first, second = worker_archive.build(one), worker_archive.build(other)
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes()

    def test_leaves_alone_what_is_there(self, tmp_path: Path) -> None:
        archive = worker_archive.build(tmp_path)
        before = archive.stat()
        assert worker_archive.build(tmp_path) == archive
        assert archive.stat().st_ino == before.st_ino
        assert list(tmp_path.iterdir()) == [archive]

    def test_can_be_read_by_the_user_that_workers_run_as(self, tmp_path: Path) -> None:
        assert stat.S_IMODE(worker_archive.build(tmp_path).stat().st_mode) == 0o644

    def test_holds_one_package_of_an_unmistakable_name(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(worker_archive.build(tmp_path)) as archive:
            assert {name.partition("/")[0] for name in archive.namelist()} == {"__main__.py", "modelyard_model_worker"}

    def test_runs_by_itself(self, tmp_path: Path) -> None:
        archive = worker_archive.build(tmp_path)
        done = subprocess.run(
            [sys.executable, "-I", "-S", archive, "--help"], capture_output=True, text=True, check=True
        )
        assert "--listen-fd" in done.stdout
