"""Datastores as JSON."""

from typing import Annotated, Literal

from pydantic import Field

from control_plane.features.datastores.datastore import Datastore, DatastoreSpec
from control_plane.resources.arm_body import ArmBody, Document, Texts
from control_plane.resources.resource import Resource, SystemData
from control_plane.resources.urls import ResourceUrls
from control_plane.resources.without_effect import WithoutEffect
from modelyard.core.domain.resource_ids import PROVIDER
from modelyard.core.errors import InvalidRequest

_BLOB = "AzureBlob"
_PLACE = WithoutEffect("a datastore is a folder of the platform's object store, not a storage account elsewhere")
_SECRETS = WithoutEffect("a datastore of this platform needs no secrets; the given ones are not stored")


class DatastoreRequestProperties(ArmBody):
    datastore_type: str = _BLOB
    description: str | None = None
    tags: Texts = Field(default_factory=dict)
    properties: Texts = Field(default_factory=dict)
    account_name: Annotated[str | None, _PLACE] = None
    container_name: Annotated[str | None, _PLACE] = None
    endpoint: Annotated[str | None, WithoutEffect(_PLACE.reason, harmless=("core.windows.net",))] = None
    protocol: Annotated[str | None, WithoutEffect(_PLACE.reason, harmless=("https",))] = None
    credentials: Annotated[Document | None, _SECRETS] = None


class DatastoreRequest(ArmBody):
    properties: DatastoreRequestProperties

    def to_spec(self) -> DatastoreSpec:
        asked = self.properties
        if asked.datastore_type.lower() != _BLOB.lower():
            raise InvalidRequest(
                f"datastoreType is {asked.datastore_type!r}: the datastores of this platform are of the type {_BLOB!r}",
                target="properties.datastoreType",
            )
        return DatastoreSpec(asked.description, asked.tags, asked.properties)


class DatastoreCredentials(ArmBody):
    credentials_type: Literal["Sas"] = "Sas"


class DatastoreProperties(ArmBody):
    datastore_type: Literal["AzureBlob"] = "AzureBlob"
    account_name: str
    container_name: str
    endpoint: str = "core.windows.net"
    protocol: str = "https"
    is_default: bool
    credentials: DatastoreCredentials = Field(default_factory=DatastoreCredentials)
    description: str | None = None
    tags: Texts
    properties: Texts


class DatastoreBody(Resource):
    properties: DatastoreProperties

    @classmethod
    def of(cls, datastore: Datastore, urls: ResourceUrls) -> "DatastoreBody":
        return cls(
            id=datastore.arm_id,
            name=datastore.name,
            type=f"{PROVIDER}/workspaces/datastores",
            system_data=SystemData.of(datastore.authorship),
            properties=DatastoreProperties(
                account_name=urls.storage_account,
                container_name=datastore.container,
                is_default=datastore.is_default,
                description=datastore.spec.description,
                tags=dict(datastore.spec.tags),
                properties=dict(datastore.spec.properties),
            ),
        )


class SecretsRequest(ArmBody):
    expirable_secret: bool = False
    expire_after_hours: int | None = None


class SecretsBody(ArmBody):
    secrets_type: Literal["Sas"] = "Sas"
    sas_token: str
