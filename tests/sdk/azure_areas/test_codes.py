"""Code assets, which the SDK registers for deployments with a scoring script."""

from pathlib import Path

import pytest
from azure.ai.ml.entities._assets import Code


@pytest.fixture(scope="module")
def folder(tmp_path_factory, release) -> Path:
    folder = tmp_path_factory.mktemp("code") / "src"
    folder.mkdir()
    (folder / "score.py").write_text(f"# {release}\ndef init(): pass\n\ndef run(data): return data\n")
    return folder


def test_code_is_uploaded_once_and_downloaded(ml, folder, tmp_path):
    first = ml._code.create_or_update(Code(path=folder))
    again = ml._code.create_or_update(Code(path=folder))
    assert (again.name, again.version) == (first.name, first.version)
    ml._code.download(first.name, version=first.version, download_path=tmp_path)
    (downloaded,) = tmp_path.rglob("score.py")
    assert downloaded.read_bytes() == (folder / "score.py").read_bytes()
