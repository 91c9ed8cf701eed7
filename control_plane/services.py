"""The composition of the control plane's services, for `main` and for tests."""

from dataclasses import dataclass

from control_plane.dependencies import Dependencies
from control_plane.features.batch_deployments.service import BatchDeployments
from control_plane.features.batch_endpoints.service import BatchEndpoints
from control_plane.features.blobs.service import Blobs
from control_plane.features.codes.service import Codes
from control_plane.features.computes.service import Computes
from control_plane.features.data.service import Data
from control_plane.features.datastores.service import Datastores
from control_plane.features.environments.service import Environments
from control_plane.features.events.service import Events
from control_plane.features.health.service import Health
from control_plane.features.identity.service import IdentityTokens
from control_plane.features.jobs.service import Jobs
from control_plane.features.jobs.submission import Submissions
from control_plane.features.models.service import Models
from control_plane.features.online_deployments.service import OnlineDeployments
from control_plane.features.online_endpoints.service import OnlineEndpoints
from control_plane.features.operations.service import Operations
from control_plane.features.run_history.service import RunHistory
from control_plane.features.tokens.service import AccessTokens
from control_plane.features.uploads.service import Uploads
from control_plane.features.workspaces.service import Workspaces
from control_plane.resources.environments.curated import CuratedEnvironments
from control_plane.resources.uploads.receipt import BodyMemory, UploadSlots
from control_plane.signed_urls import UrlSigner
from control_plane.web.authentication import TokenVerifier
from control_plane.web.telemetry import RequestTelemetry
from control_plane.web.urls import BaseUrls
from control_plane.workflows.dispatcher import Dispatcher
from modelyard.core.adapters.openid import OpenIdVerifier
from modelyard.core.adapters.secret_box import SecretBox
from modelyard.core.db.unit_of_work import Sessions
from modelyard.core.domain.derived_tokens import DerivedTokenSigner
from modelyard.core.ports.object_store import ObjectStore
from modelyard.core.settings import PlatformSettings
from modelyard.telemetry.access_log import AccessLog
from modelyard.telemetry.metrics import Registry

_MEMORY_OF_BLOCKS = 64 << 20
_LARGEST_BLOCK_IN_MEMORY = 8 << 20
"""Clients send blocks of 4 MiB. Larger bodies, and bodies beyond the memory, go through the spool."""
_WRITES_PER_CONTAINER = 256
"""The SDK sends many files at a time, each as parallel blocks, and waits long after a refusal."""


@dataclass(frozen=True, slots=True)
class Services:
    verifier: TokenVerifier
    telemetry: RequestTelemetry
    max_json_bytes: int
    dependencies: Dependencies
    request_seconds: float
    pending_requests: int
    working_requests: int
    base_urls: BaseUrls
    health: Health
    workspaces: Workspaces
    uploads: Uploads
    models: Models
    environments: Environments
    data: Data
    datastores: Datastores
    blobs: Blobs
    codes: Codes
    computes: Computes
    online_endpoints: OnlineEndpoints
    online_deployments: OnlineDeployments
    batch_endpoints: BatchEndpoints
    batch_deployments: BatchDeployments
    submissions: Submissions
    jobs: Jobs
    run_history: RunHistory
    operations: Operations
    events: Events
    access_tokens: AccessTokens
    identity_tokens: IdentityTokens


def wire(
    settings: PlatformSettings,
    sessions: Sessions,
    store: ObjectStore,
    dispatcher: Dispatcher,
    dependencies: Dependencies | None = None,
) -> Services:
    """Without `dependencies`, every server is taken to answer."""
    dependencies = dependencies or Dependencies()
    master_key = settings.master_key.get_secret_value()
    signer = UrlSigner(master_key)
    settings.data_dir.upload_spool.mkdir(mode=0o700, exist_ok=True)
    uploads = Uploads(
        sessions,
        store,
        signer,
        largest=settings.max_upload_bytes,
        spool=settings.data_dir.upload_spool,
        slots=UploadSlots(settings.control_plane.uploads_per_url),
    )
    limits = settings.control_plane
    curated = CuratedEnvironments.load(settings.curated_environments)
    access_log = AccessLog(
        settings.data_dir.logs / "control-plane-access.log",
        max_bytes=limits.access_log_bytes,
        files=limits.access_log_files,
    )
    openid = OpenIdVerifier(settings.openid)
    jobs = Jobs(sessions, store, dispatcher, signer)
    derived = DerivedTokenSigner(master_key)
    verifier = TokenVerifier(
        sessions,
        openid,
        derived,
        failures_per_minute=limits.failed_authentications_per_minute,
        takes_remote_identity_clients=settings.identity.clients == "all",
    )
    return Services(
        verifier=verifier,
        telemetry=RequestTelemetry(Registry(), access_log),
        max_json_bytes=limits.max_json_bytes,
        dependencies=dependencies,
        request_seconds=limits.request_seconds,
        pending_requests=limits.pending_requests,
        working_requests=limits.database_connections,
        base_urls=BaseUrls(
            settings.public_url, settings.scoring_public_url, settings.scoring_port, settings.scoring_tls_port
        ),
        health=Health(sessions, dependencies),
        workspaces=Workspaces(sessions, verifier.credentials_changed),
        uploads=uploads,
        models=Models(sessions, store, uploads, signer),
        environments=Environments(sessions, dispatcher),
        data=Data(sessions, uploads, settings.outgoing.policy),
        datastores=Datastores(sessions, signer),
        blobs=Blobs(
            sessions,
            store,
            signer,
            largest=settings.max_upload_bytes,
            spool=settings.data_dir.upload_spool,
            slots=UploadSlots(_WRITES_PER_CONTAINER),
            memory=BodyMemory(_MEMORY_OF_BLOCKS, largest=_LARGEST_BLOCK_IN_MEMORY),
        ),
        codes=Codes(sessions, uploads, signer),
        computes=Computes(sessions),
        online_endpoints=OnlineEndpoints(sessions, SecretBox(master_key)),
        online_deployments=OnlineDeployments(sessions, store, dispatcher, curated),
        batch_endpoints=BatchEndpoints(sessions, SecretBox(master_key)),
        batch_deployments=BatchDeployments(sessions, store, dispatcher, curated),
        submissions=Submissions(sessions, store, dispatcher),
        jobs=jobs,
        run_history=RunHistory(sessions, jobs),
        operations=Operations(sessions),
        events=Events(sessions),
        access_tokens=AccessTokens(sessions, verifier.credentials_changed),
        identity_tokens=IdentityTokens(derived, lifetime_seconds=settings.identity.token_seconds),
    )
