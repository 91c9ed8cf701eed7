"""The start of an upload as JSON, in Azure's shape."""

from typing import Annotated

from control_plane.resources.arm_body import ArmBody
from control_plane.resources.without_effect import WithoutEffect


class PendingUploadRequest(ArmBody):
    pending_upload_type: Annotated[
        str | None,
        WithoutEffect("files are uploaded to a temporary URL of the platform", harmless=("temporaryblobreference",)),
    ] = None
    pending_upload_id: Annotated[str | None, WithoutEffect("the platform names the upload")] = None


class SasCredential(ArmBody):
    credential_type: str = "SAS"
    sas_uri: str


class BlobReference(ArmBody):
    blob_uri: str
    storage_account_arm_id: str = ""
    credential: SasCredential


class PendingUploadBody(ArmBody):
    blob_reference_for_consumption: BlobReference
    pending_upload_id: str | None
    """None: the files arrive in a blob container."""
    pending_upload_type: str = "TemporaryBlobReference"

    @classmethod
    def of(cls, upload_id: str | None, uri: str, query: str) -> "PendingUploadBody":
        credential = SasCredential(sas_uri=f"{uri}?{query}")
        return cls(
            blob_reference_for_consumption=BlobReference(blob_uri=uri, credential=credential),
            pending_upload_id=upload_id,
        )
