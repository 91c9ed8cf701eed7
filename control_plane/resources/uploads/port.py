"""The port by which asset nouns take the files of an upload, or of a place in a datastore."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol
from uuid import UUID

from control_plane.resources.uploads.source import FileSource
from control_plane.resources.uploads.upload import UploadedFile, UploadReference
from control_plane.resources.workspaces.workspace import Workspace, WorkspacePath
from modelyard.core.db.unit_of_work import UnitOfWork
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.model_manifest import ModelFile


class UploadedFiles(Protocol):
    def start(self, caller: Caller, workspace: WorkspacePath) -> tuple[UUID, str]:
        """Id of a new upload, and the query string that allows writing to it for an hour."""

    def opened(self, workspace: Workspace, source: FileSource) -> AbstractContextManager[UploadReference]:
        """The upload with the files of the source, until the block ends.

        The files of a place in a datastore are copied: no later change of the place changes the upload. Raises
        ReferencedResourceMissing without a file at the place, PayloadTooLarge for too many files or bytes, and Conflict
        when files of the place appear or disappear meanwhile.
        """

    def files_of(self, workspace: Workspace, reference: UploadReference) -> Sequence[UploadedFile]:
        """The complete files of a folder, or a single file. Raises UploadIncomplete, naming the missing files.

        An upload of another workspace has no files.
        """

    def content_of(self, file: UploadedFile) -> bytes:
        """The content of a small file. Raises UploadIncomplete."""

    def store_by_hash(self, file: UploadedFile) -> ModelFile:
        """Store a file's content under its hash. Repeatable. Raises UploadIncomplete."""

    def end(self, work: UnitOfWork, workspace: Workspace, uri: str | None) -> None:
        """Remove the upload that a URI names, if the URI names one, once the transaction commits."""
