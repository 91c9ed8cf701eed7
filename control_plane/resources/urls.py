"""Absolute URLs in responses."""

from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from control_plane.resources.blob_container import ACCOUNT, ACCOUNT_SEGMENT
from modelyard.core.domain.resource_ids import PROVIDER

_API_VERSION = "2024-04-01"


@dataclass(frozen=True, slots=True)
class ResourceUrls:
    """URLs of the platform as a client reaches it."""

    control: str
    """Base URL of the control plane, without a final slash."""
    scoring: str
    """Base URL of the gateway, without a final slash."""

    @property
    def discovery(self) -> str:
        return f"{self.control}/discovery"

    def mlflow_tracking(self, workspace_id: str) -> str:
        """In Azure's form, with the ARM id of a workspace."""
        return f"azureml://{self.control.partition('://')[2]}/mlflow/v1.0{workspace_id}"

    def operation(self, subscription: str, location: str, operation_id: UUID) -> str:
        return self._operation("mfeOperationsStatus", subscription, location, operation_id)

    def operation_result(self, subscription: str, location: str, operation_id: UUID) -> str:
        return self._operation("mfeOperationResults", subscription, location, operation_id)

    def _operation(self, word: str, subscription: str, location: str, operation_id: UUID) -> str:
        provider = f"/subscriptions/{subscription}/providers/{PROVIDER}"
        return f"{self.control}{provider}/locations/{location}/{word}/{operation_id}?api-version={_API_VERSION}"

    def scoring_uri(self, endpoint: str) -> str:
        return f"{self.scoring}/{endpoint}/score"

    def swagger_uri(self, endpoint: str) -> str:
        return f"{self.scoring}/{endpoint}/swagger.json"

    def batch_scoring_uri(self, endpoint: str) -> str:
        return f"{self.control}/batch/{endpoint}/jobs"

    def upload(self, upload_id: UUID) -> str:
        return f"{self.control}/uploads/{upload_id}"

    def stored_file(self, key: str, query: str) -> str:
        """`key` begins with "datastores/"."""
        return f"{self.control}/{quote(key)}?{query}"

    @property
    def storage_account(self) -> str:
        """The account name of datastores, from which clients make `https://<name>.blob.core.windows.net`."""
        return f"{self.control.partition('://')[2]}/{ACCOUNT}"

    def blob_container(self, name: str) -> str:
        return f"{self.control}/{ACCOUNT_SEGMENT}/{name}"

    def blob(self, sha256: str, query: str) -> str:
        return f"{self.control}/blobs/{quote(sha256)}?{query}"
