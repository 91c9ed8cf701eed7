"""Wheels of models and of the object store: entries and program names that leave their folder."""

import stat
import zipfile
from pathlib import Path

import pytest

from builder.errors import InstallFailed, ResolutionFailed
from builder.installers.uv_lock import check_lock
from builder.wheels.packed_environment import PackedEnvironment, PackedWheel
from builder.wheels.wheel_check import check_wheel
from tests.builder.packages import make_wheel

INFORMATION = "evil-1.0.dist-info"


def wheel_with(folder: Path, name: str | zipfile.ZipInfo, text: str = "") -> Path:
    wheel = make_wheel(folder, "evil")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(name, text)
    return wheel


def of_type(kind: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("evil/special")
    entry.external_attr = (kind | 0o644) << 16
    return entry


@pytest.mark.parametrize(
    "name",
    [
        "../escape.py",
        "evil/../../escape.py",
        "/etc/cron.d/evil",
        "evil\\..\\..\\escape.py",
        "C:/escape.py",
        "evil/line\nbreak.py",
        "evil/__init__.py",
        of_type(stat.S_IFLNK),
        of_type(stat.S_IFCHR),
        of_type(stat.S_IFIFO),
        of_type(stat.S_IFSOCK),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entry_that_is_no_file_of_the_folder_is_refused(tmp_path, name):
    with pytest.raises(InstallFailed, match="is refused"):
        check_wheel(wheel_with(tmp_path, name))


@pytest.mark.parametrize(
    "points",
    [
        "[console_scripts]\n../../lib/evil = evil:main\n",
        "[console_scripts]\n/usr/bin/evil = evil:main\n",
        "[gui_scripts]\n.. = evil:main\n",
        "[console_scripts]\nsub/evil = evil:main\n",
        "[console_scripts]\n.pth = evil:main\n",
        "not a configuration",
        "[console_scripts]\n" + "a" * (1 << 20) + " = x:y\n",
    ],
)
def test_program_name_that_leaves_the_folder_is_refused(tmp_path, points):
    with pytest.raises(InstallFailed, match="is refused"):
        check_wheel(wheel_with(tmp_path, f"{INFORMATION}/entry_points.txt", points))


def test_file_that_is_no_zip_is_refused(tmp_path):
    (tmp_path / "evil-1.0-py3-none-any.whl").write_bytes(b"PK\3\4 no zip")
    with pytest.raises(InstallFailed, match="not a readable zip"):
        check_wheel(tmp_path / "evil-1.0-py3-none-any.whl")


def test_ordinary_wheel_with_programs_passes(tmp_path):
    points = "[console_scripts]\nmy-tool.py3 = evil:main\n[mlflow.plugins]\n../x = y:z\n"
    check_wheel(wheel_with(tmp_path, f"{INFORMATION}/entry_points.txt", points))


@pytest.mark.parametrize(
    "key",
    [
        f"wheels/x/{'0' * 64}/../../../etc/evil.whl",
        "wheels/x/../evil-1.0-py3-none-any.whl",
        f"wheels/../{'0' * 64}/evil-1.0-py3-none-any.whl",
        f"wheels/x/{'0' * 64}/..",
        f"wheels/x/{'0' * 64}/evil\n.whl",
        f"wheels/x/{'0' * 64}/.evil.whl",
        "/etc/passwd",
        "",
    ],
)
def test_key_of_a_wheel_that_leaves_the_folder_is_refused(key):
    with pytest.raises(ValueError, match="not the key of a wheel"):
        PackedWheel(key, 1)


def test_document_of_the_store_with_such_a_key_is_refused():
    document = (
        b'{"version": 1, "text": "", "python": "3.11.1", "platform": "x", "wheels": [{"key": "../x", "size": 1}]}'
    )
    with pytest.raises(ValueError, match="not the key of a wheel"):
        PackedEnvironment.from_json(document)


@pytest.mark.parametrize(
    "line",
    ["-r /etc/passwd", "--index-url https://a.example", "x @ file:///etc/x-1.0.tar.gz", "git+file:///srv/x", "a\0"],
)
def test_lock_that_code_of_a_package_may_have_written_is_checked(line):
    with pytest.raises(ResolutionFailed, match="names no package"):
        check_lock(f"numpy==1.0 \\\n    --hash=sha256:00\n{line}\n")


def test_lock_of_uv_passes_the_check():
    check_lock(
        "# comment\nnumpy==1.0 \\\n    --hash=sha256:00\n${MODELYARD_WHEELS}/00/x-1.0-py3-none-any.whl \\\n"
        "    --hash=sha256:01\ny @ git+https://a.example/y@0123\n"
    )
