import stat
import subprocess
import sys
import zipfile
from pathlib import Path

from data_plane.replicas.local import worker_archive


class TestBuild:
    def test_same_worker_gives_the_same_archive(self, tmp_path: Path) -> None:
        one, other = tmp_path / "one", tmp_path / "other"
        one.mkdir()
        other.mkdir()
        first, second = worker_archive.build(one), worker_archive.build(other)
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes()

    def test_existing_archive_is_not_written_again(self, tmp_path: Path) -> None:
        archive = worker_archive.build(tmp_path)
        before = archive.stat()
        assert worker_archive.build(tmp_path) == archive
        assert archive.stat().st_ino == before.st_ino
        assert list(tmp_path.iterdir()) == [archive]

    def test_archive_is_readable_by_the_workers_user(self, tmp_path: Path) -> None:
        assert stat.S_IMODE(worker_archive.build(tmp_path).stat().st_mode) == 0o644

    def test_archive_holds_one_package_with_a_unique_name(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(worker_archive.build(tmp_path)) as archive:
            assert {name.partition("/")[0] for name in archive.namelist()} == {"__main__.py", "modelyard_model_worker"}

    def test_archive_runs_as_a_program(self, tmp_path: Path) -> None:
        archive = worker_archive.build(tmp_path)
        done = subprocess.run(
            [sys.executable, "-I", "-S", archive, "--entered", "--help"], capture_output=True, text=True, check=True
        )
        assert "--listen-fd" in done.stdout
