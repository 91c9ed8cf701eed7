"""The packages in the text of uv's lock."""

from builder.installers.port import LockedPackage, format_pins, index_versions
from builder.installers.uv_lock import locked_packages

LOCK = """\
numpy==1.26.4 ; python_version < '3.13' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
Scikit_Learn==1.4.2 \\
    --hash=sha256:cc
my-tool @ https://example.com/my_tool-2.0-py3-none-any.whl \\
    --hash=sha256:dd
from-git @ git+https://example.com/team/from-git@0f1e2d
${MODELYARD_WHEELS}/ee/ours-1.0-py3-none-any.whl \\
    --hash=sha256:ee
${MODELYARD_WHEELS}/ff/source_only-3.1.tar.gz \\
    --hash=sha256:ff
"""


def test_every_kind_of_line_is_a_locked_package():
    assert locked_packages(LOCK) == (
        LockedPackage("from-git", None, (), "git+https://example.com/team/from-git@0f1e2d"),
        LockedPackage("my-tool", "2.0", ("sha256:dd",), "https://example.com/my_tool-2.0-py3-none-any.whl"),
        LockedPackage("numpy", "1.26.4", ("sha256:aa", "sha256:bb"), None),
        LockedPackage("ours", "1.0", ("sha256:ee",), "${MODELYARD_WHEELS}/ee/ours-1.0-py3-none-any.whl"),
        LockedPackage("scikit-learn", "1.4.2", ("sha256:cc",), None),
        LockedPackage("source-only", "3.1", ("sha256:ff",), "${MODELYARD_WHEELS}/ff/source_only-3.1.tar.gz"),
    )


def test_lock_without_packages_is_empty():
    assert locked_packages("") == ()


def test_index_versions_and_pins_leave_out_packages_with_a_source():
    packages = locked_packages(LOCK)
    assert index_versions(packages) == {"numpy": "1.26.4", "scikit-learn": "1.4.2"}
    assert format_pins(packages) == "numpy==1.26.4 scikit-learn==1.4.2"
