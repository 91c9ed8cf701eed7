"""The model worker as a single file for any Python, named by content.

The archive lies in the runtime folder, readable by the workers' user. A running worker keeps its archive: the archive
of a newer version has another name.
"""

import hashlib
import io
import zipfile
from pathlib import Path

from data_plane import worker
from modelyard.process.atomic_files import replace_file

# No user's package has the same name.
_PACKAGE = "modelyard_model_worker"
_ENTRY = f"""\
import sys

from {_PACKAGE}.user_environment import ENTERED, enter

if __name__ == "__main__":
    if ENTERED not in sys.argv:
        enter(sys.argv[1:])

    from {_PACKAGE}.main import main

    sys.exit(main(sys.argv[1:]))
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)


def build(runtime_dir: Path) -> Path:
    """Publish the archive, if missing, and return the path. The same worker gives the same bytes."""
    content = _archive()
    target = runtime_dir / f"worker-{hashlib.sha256(content).hexdigest()[:16]}.pyz"
    if not target.exists():
        replace_file(target, content, mode=0o644)
    return target


def _archive() -> bytes:
    package = Path(str(worker.__file__)).parent
    buffer = io.BytesIO()
    # Stored, not deflated: zlib is not in every Python.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", _EPOCH), _ENTRY)
        for module in sorted(package.glob("*.py")):
            archive.writestr(zipfile.ZipInfo(f"{_PACKAGE}/{module.name}", _EPOCH), module.read_bytes())
    return buffer.getvalue()
