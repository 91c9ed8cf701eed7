"""The start of an upload as JSON, in Azure's shape."""

from control_plane.resources.arm_body import ArmBody


class PendingUploadRequest(ArmBody):
    pending_upload_type: str | None = None
    pending_upload_id: str | None = None


class SasCredential(ArmBody):
    credential_type: str = "SAS"
    sas_uri: str


class BlobReference(ArmBody):
    blob_uri: str
    storage_account_arm_id: str = ""
    credential: SasCredential


class PendingUploadBody(ArmBody):
    blob_reference_for_consumption: BlobReference
    pending_upload_id: str
    pending_upload_type: str = "TemporaryBlobReference"

    @classmethod
    def of(cls, upload_id: str, uri: str, query: str) -> "PendingUploadBody":
        credential = SasCredential(sas_uri=f"{uri}?{query}")
        return cls(
            blob_reference_for_consumption=BlobReference(blob_uri=uri, credential=credential),
            pending_upload_id=upload_id,
        )
