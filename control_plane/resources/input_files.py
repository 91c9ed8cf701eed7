"""The input files of data versions and jobs, as a manifest in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from modelyard.core.domain.batch import InputFile


def to_manifest(files: Sequence[InputFile] | None) -> list[dict[str, Any]] | None:
    return None if files is None else [asdict(file) for file in files]


def from_manifest(manifest: Sequence[Mapping[str, Any]] | None) -> tuple[InputFile, ...] | None:
    return None if manifest is None else tuple(InputFile(e["path"], e["key"], e["size"]) for e in manifest)
