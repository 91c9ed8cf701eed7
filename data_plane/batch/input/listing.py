"""The files of a job's input."""

from collections.abc import Sequence

from data_plane.batch.failures import InvalidInput
from modelyard.core.domain.batch import InputFile, InputKind, is_hidden
from modelyard.core.ports.object_store import ObjectStore


def list_input(
    store: ObjectStore, *, files: Sequence[InputFile] | None, key: str | None, kind: InputKind
) -> list[InputFile]:
    """Return the input files in the order of the output. Folders are listed recursively.

    Names that begin with `.` or `_` (such as `_SUCCESS`) are left out. Raises InvalidInput for an input without files.
    """
    if files is None and key is None:
        raise InvalidInput("the job has no input: name a folder or a file")
    if files is not None:
        found = list(files) if kind is InputKind.URI_FILE else [file for file in files if not is_hidden(file.path)]
    else:
        found = _of_key(store, str(key), kind)
    if not found:
        raise InvalidInput(
            f"there are no files in the input{f' {key}' if key else ''} (names that begin with '.' or '_' are left out)"
        )
    return sorted(found, key=lambda file: file.path)


def _of_key(store: ObjectStore, key: str, kind: InputKind) -> list[InputFile]:
    folder = key.rstrip("/") + "/" if key.strip("/") else ""
    if folder and store.exists(folder.rstrip("/")):
        key = folder.rstrip("/")
        return [InputFile(key.rpartition("/")[2], key, store.size(key))]
    if kind is InputKind.URI_FILE:
        if next(iter(store.list(folder)), None) is not None:
            raise InvalidInput(f"the input {key} is a folder: set the input's type to uri_folder")
        raise InvalidInput(f"there is no file {key}")
    listed = ((found.key.removeprefix(folder), found) for found in store.list_objects(folder))
    return [InputFile(path, found.key, found.size) for path, found in listed if not is_hidden(path)]
