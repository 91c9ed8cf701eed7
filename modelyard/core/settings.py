"""Settings of the platform's processes. Each `main` reads the settings once and hands them down.

`modelyard up` decides the values of servers and secrets and gives each process the variables that it reads.
A gateway gets `Tunables` alone, in which there is no secret. `docs/settings.md` is generated from this module.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from modelyard.core.data_dir import DataDir
from modelyard.core.domain.openid_roles import read_rules
from modelyard.core.domain.outgoing_urls import UrlPolicy
from modelyard.core.settings_variables import SettingsGroup

_MEGABYTE = 1 << 20
# Numbers without an account: no other program on the machine runs as these users.
_WORKER_UID = 64042
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
# No "none", and no HS*: a public key must never be taken for a shared secret.
_SIGNATURE_ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
_BUILDER_UID = 64043
_WORKER_UIDS = "64100-65099"
_VARIABLE_NAME = re.compile("[A-Z0-9_]+")
_SECRET_PREFIXES = ("MODELYARD_", "AWS_", "AZURE_", "PG")


def _http_url(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme not in {"http", "https"} or not rest.strip("/"):
        raise ValueError("must be a URL that begins with http:// or https://")
    return text.rstrip("/")


def _host_list(text: str) -> str:
    UrlPolicy.parse(text)
    return text


def _variable_list(text: str) -> str:
    for name in _words(text):
        if not _VARIABLE_NAME.fullmatch(name):
            raise ValueError("must list names of capital letters, digits and underscores, with commas between")
        if name.startswith(_SECRET_PREFIXES):
            raise ValueError(f"must not list variables of the platform and its stores ({', '.join(_SECRET_PREFIXES)})")
    return text


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def is_safe_issuer_url(url: str) -> bool:
    """Whether what the URL answers can be trusted: https, or http within this machine."""
    parts = urlsplit(url)
    if parts.username is not None or not parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK_HOSTS)


HttpUrl = Annotated[str, AfterValidator(_http_url)]
Bytes = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
Days = Annotated[float, Field(gt=0, le=36_500)]
Count = Annotated[int, Field(gt=0)]
Niceness = Annotated[int, Field(ge=0, le=19)]


def _uid_range(text: str) -> str:
    first, _, last = text.partition("-")
    if text != "none" and not (first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last) < 1 << 31):
        raise ValueError("must be a range of user ids without root, such as 64100-65099, or 'none'")
    return text


UidRange = Annotated[str, AfterValidator(_uid_range)]


class HttpSettings(SettingsGroup):
    """Limits of a port for each connection."""

    max_connections: Count = Field(
        default=16_384,
        description="Open connections; at most 80 % of the process's file descriptors. Beyond, idle ones are closed",
    )
    max_header_bytes: Bytes = Field(default=64 << 10, description="Largest request line and headers")
    max_headers: Count = Field(default=128, description="Most headers of a request")
    header_seconds: Seconds = Field(
        default=10.0,
        description="Time from the first byte of a request, or from the connection, to the end of the headers",
    )
    body_seconds: Seconds = Field(
        default=30.0, description="Interval in which a body must end, or keep the minimum rate"
    )
    min_body_bytes_per_second: Bytes = Field(
        default=10_000, description="Rate that a sender of a body, and a reader of a response, must keep"
    )
    keep_alive_seconds: Seconds = Field(
        default=75.0,
        description="Time that an idle connection stays open; longer than a proxy's, so that the proxy closes",
    )
    linger_seconds: Seconds = Field(
        default=10.0,
        description="Time to read and drop the rest of a refused request, so that the sender sees the response",
    )
    idle_close_seconds: Seconds = Field(
        default=1.0,
        description="Time that an idle connection stays open after a stop signal: a request may be on the way",
    )
    shutdown_seconds: Count = Field(default=60, description="Time that requests under way get after a stop signal")


class DatabaseSettings(SettingsGroup):
    """Waits for the database."""

    connect_seconds: int = Field(default=3, ge=2, description="Time that a connection to the database may take")
    statement_seconds: Seconds = Field(
        default=30.0, description="Time that a statement may take, outside requests to the control plane"
    )


class GatewaySettings(HttpSettings):
    """Limits of a gateway for each scoring client."""

    max_body_bytes: Bytes = Field(default=100 * _MEGABYTE, description="Largest request body, compressed or not")
    max_pending_body_bytes: Bytes = Field(
        default=512 * _MEGABYTE,
        description="Bodies of all requests under way, compressed and decompressed; at least two of the largest",
    )


class ControlPlaneSettings(HttpSettings):
    idle_close_seconds: Seconds = Field(
        default=0.1,
        description="Time that an idle connection stays open after a stop signal: a request may be on the way",
    )
    shutdown_seconds: Count = Field(default=3, description="Time that requests under way get after a stop signal")
    database_connections: Count = Field(
        default=10,
        description="Connections to the database that stay open, and requests that work at a time; the others wait",
    )
    database_seconds: float = Field(
        default=3.0, ge=1.5, description="Time without an answer of the database after which requests get 503"
    )
    statement_seconds: Seconds = Field(default=10.0, description="Time that a statement of a request may take")
    request_seconds: Seconds = Field(
        default=120.0, description="Time after which a request gets 503, uploads and downloads of files excepted"
    )
    pending_requests: Count = Field(
        default=128,
        description="Requests under way, files excepted; more are answered 429, and clients send them again",
    )
    uploads_per_url: Count = Field(
        default=16, description="Files that one upload URL may send at a time; more are answered 429"
    )
    max_json_bytes: Bytes = Field(default=_MEGABYTE, description="Largest JSON body of a request")
    failed_authentications_per_minute: Count = Field(
        default=60,
        description="Requests with a wrong token that an address may send; more are answered 429. A valid token works",
    )
    access_log_bytes: Bytes = Field(default=10 * _MEGABYTE, description="Size at which the access log is rotated")
    access_log_files: int = Field(default=5, ge=2, description="Files of the access log, the current one included")


class RetentionSettings(SettingsGroup):
    """Retention of ended work in the control plane."""

    operation_days: Days = Field(default=7.0, description="Ended long-running operations")
    event_days: Days = Field(default=90.0, description="Audit events")
    log_days: Days = Field(default=30.0, description="Deployment logs")
    job_days: Days = Field(default=90.0, description="Ended batch jobs; their predictions stay")


class LeaseSettings(SettingsGroup):
    """Leases of work: after the death of a process, another process takes over. The same on all machines."""

    seconds: Seconds = Field(default=15.0, description="Time after the last heartbeat until a lease is free")
    heartbeat_seconds: Seconds = Field(
        default=5.0, validate_default=True, description="Time between two renewals of a lease; half of it or less"
    )

    @field_validator("heartbeat_seconds")
    @classmethod
    def _two_heartbeats_fit(cls, heartbeat: float, info: ValidationInfo) -> float:
        if "seconds" in info.data and heartbeat > info.data["seconds"] / 2:
            raise ValueError("must be at most half of MODELYARD_LEASE_SECONDS")
        return heartbeat


class ObjectStoreSettings(SettingsGroup):
    request_seconds: Seconds = Field(default=60.0, description="Time that a request to the object store may take")
    copy_seconds: Seconds = Field(default=900.0, description="Time that a copy within the object store may take")
    retry_seconds: Seconds = Field(default=60.0, description="Time during which a failed request is repeated")
    max_retries: int = Field(default=8, ge=0, description="Repetitions of a failed request")


class BuilderSettings(SettingsGroup):
    max_attempts: Count = Field(default=5, description="Attempts at a build that fails for reasons outside the build")
    uid: int = Field(
        default=_BUILDER_UID,
        ge=0,
        description="User that installs packages when the platform runs as root; owns the package cache and the "
        "environments. Code of packages and models runs as a user of MODELYARD_WORKER_UIDS",
    )


class BuildSettings(SettingsGroup):
    """What a build may read of the builder's own environment."""

    variables: Annotated[str, AfterValidator(_variable_list)] = Field(
        default="",
        description="Variables of the platform's account that models may write as ${NAME} in requirement and index "
        "URLs, with commas between; every model can read the values",
    )

    @property
    def allowed_variables(self) -> frozenset[str]:
        return frozenset(_words(self.variables))


class OutgoingSettings(SettingsGroup):
    """URLs that users and models name, and that the platform opens."""

    allowed_hosts: Annotated[str, AfterValidator(_host_list)] = Field(
        default="",
        description="Hosts, addresses and networks that such a URL may name although they are loopback, link-local or "
        "a cloud's metadata service, with commas between",
    )

    @property
    def policy(self) -> UrlPolicy:
        return UrlPolicy.parse(self.allowed_hosts)


class BatchSettings(SettingsGroup):
    nice: Niceness = Field(default=5, description="Niceness of batch workers and their model workers")
    max_attempts: Count = Field(
        default=20, description="Attempts at a step of a job that fails for reasons outside the step"
    )
    worker_idle_seconds: Seconds = Field(default=600.0, description="Time that an idle model worker stays loaded")
    worker_load_seconds: Seconds = Field(default=1800.0, description="Time that a model may take to load")
    max_answer_bytes: Bytes = Field(default=1024 * _MEGABYTE, description="Largest result of one predict call")


class WorkerSettings(SettingsGroup):
    """Model workers of online deployments."""

    uid: int = Field(
        default=_WORKER_UID, ge=0, description="User of a build's import checks when the platform runs as root"
    )
    uids: UidRange = Field(
        default=_WORKER_UIDS,
        description="Users and groups of model workers when the platform runs as root, three for each deployment: its "
        "workers, its bundle, its model; 'none' runs workers as root",
    )
    network: Literal["deployment", "none", "all"] = Field(
        default="deployment",
        description="Network of model workers: as the deployment's egressPublicNetworkAccess says (default: none), "
        "'none' or 'all'",
    )
    memory_bytes: int = Field(
        default=0, ge=0, description="Memory that a process of a model worker may allocate; 0 is the machine's memory"
    )
    processes: Count = Field(default=512, description="Processes and threads of a model worker")
    open_files: Count = Field(default=4096, description="Open files of each process of a model worker")
    file_bytes: Bytes = Field(default=2 << 30, description="Largest file that a model worker may write")
    drain_seconds: Seconds = Field(
        default=2.5, description="Time that model workers get to end when the platform stops"
    )
    max_answer_bytes: Bytes = Field(
        default=256 * _MEGABYTE,
        description="Largest result of a predict call, and largest body of a scoring response",
    )
    frame_seconds: Seconds = Field(
        default=30.0, description="Time from the first to the last byte of a model worker's message"
    )
    busy_poll_microseconds: int = Field(
        default=300,
        ge=0,
        le=10_000,
        description="Longest time that a model worker polls for the next request, and a gateway for a worker's answer, "
        "without sleeping, while both come that quickly and the core has no other work; 0 is off",
    )
    log_bytes: Bytes = Field(default=10 * _MEGABYTE, description="Size at which a model worker's output is rotated")
    log_files: int = Field(default=5, ge=2, description="Files of a model worker's output, the current one included")
    log_bytes_per_second: Bytes = Field(
        default=100_000,
        description="Output that a model worker's log takes for long; a burst may have MODELYARD_WORKER_LOG_BYTES",
    )


class OpenIdSettings(SettingsGroup):
    """Sign-in by bearer tokens of an OpenID Connect issuer, at the control plane and at `aad_token` endpoints."""

    issuer: str | None = Field(
        default=None, description="URL of the issuer, as in the claim `iss` (default: no sign-in)"
    )
    audience: str | None = Field(
        default=None, validate_default=True, description="Audience that tokens must name in the claim `aud`"
    )
    subject_claim: str = Field(default="sub", description="Claim that names the caller in audit events")
    roles_claim: str = Field(
        default="roles", description="Claim with roles or groups; a nested claim is written with dots: `realm.roles`"
    )
    roles: str = Field(
        default="",
        description="Roles by values of the claim: `ml=contributor@default,ops=owner@*`; the value `*` is every token",
    )
    algorithms: str = Field(default="RS256,PS256,ES256,EdDSA", description="Signature algorithms that are accepted")
    clock_skew_seconds: float = Field(
        default=30.0, ge=0, le=600, description="Difference of clocks that the times of a token allow for"
    )
    key_refresh_seconds: Seconds = Field(default=3600.0, description="Age at which the issuer's keys are fetched again")
    key_refresh_min_seconds: Seconds = Field(
        default=10.0, description="Least time between two fetches, which tokens with unknown keys cause"
    )

    @property
    def algorithm_names(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in self.algorithms.split(",") if name.strip())

    @field_validator("issuer")
    @classmethod
    def _issuer_is_safe(cls, issuer: str | None) -> str | None:
        if issuer is not None and not is_safe_issuer_url(issuer):
            raise ValueError("must be an https:// URL; http:// is allowed for 127.0.0.1, ::1 and localhost")
        return issuer

    @field_validator("audience")
    @classmethod
    def _audience_goes_with_the_issuer(cls, audience: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("issuer") is not None and not audience:
            raise ValueError("must be set beside MODELYARD_OPENID_ISSUER: tokens for other programs must not work here")
        return audience

    @field_validator("roles")
    @classmethod
    def _rules_are_readable(cls, roles: str) -> str:
        read_rules(roles)
        return roles

    @field_validator("algorithms")
    @classmethod
    def _algorithms_are_asymmetric(cls, algorithms: str) -> str:
        unknown = {name.strip() for name in algorithms.split(",")} - _SIGNATURE_ALGORITHMS
        if unknown:
            known = ", ".join(sorted(_SIGNATURE_ALGORITHMS))
            raise ValueError(f"names {', '.join(sorted(unknown))!r}: use {known}, with commas between them")
        return algorithms


class SupervisorSettings(SettingsGroup):
    leftover_seconds: Seconds = Field(default=15.0, description="Time that processes of a killed supervisor get to end")
    answer_seconds: Seconds = Field(
        default=180.0,
        description="Time after a start until the ports must answer, and each process first beats",
    )
    stop_seconds: Seconds = Field(
        default=6.5, description="Time that a process gets after a stop signal; gateways have more"
    )
    server_stop_seconds: Seconds = Field(
        default=2.5, description="Time that the embedded Postgres and Valkey get to stop"
    )
    silence_seconds: float = Field(
        default=8.0, ge=2, description="Silence of a process, or of the embedded Valkey, after which it is replaced"
    )
    database_silence_seconds: float = Field(
        default=30.0, ge=5, description="Silence of the embedded Postgres after which it is killed and recovers"
    )
    step_seconds: Seconds = Field(
        default=7200.0,
        description="Time that a builder or batch worker may wait within a task without any CPU time of its own",
    )
    log_bytes: Bytes = Field(
        default=10 * _MEGABYTE, description="Size from which a process's log is rotated at its start"
    )


class TlsSettings(SettingsGroup):
    """The ports of `modelyard up --tls`."""

    certificate: str | None = Field(
        default=None,
        description="PEM file with the server's certificate chain; the flag is `--tls-certificate` (default: a "
        "certificate of the local authority, `tls/ca.pem` in the data dir)",
    )
    key: str | None = Field(
        default=None,
        validate_default=True,
        description="PEM file with the key of MODELYARD_TLS_CERTIFICATE, without a passphrase; the flag is `--tls-key`",
    )
    handshake_seconds: Seconds = Field(
        default=10.0, description="Time that a client has for the handshake of TLS; longer ones are cut"
    )

    @field_validator("key")
    @classmethod
    def _key_goes_with_the_certificate(cls, key: str | None, info: ValidationInfo) -> str | None:
        if bool(key) != bool(info.data.get("certificate")):
            raise ValueError("must be set together with MODELYARD_TLS_CERTIFICATE")
        return key


class IdentitySettings(SettingsGroup):
    """The token route in the form of a managed identity, which turns a token of the platform into a short one."""

    token_seconds: float = Field(
        default=3600.0, ge=60, le=86_400, description="Time that a token of `/msi/token` works"
    )
    clients: Literal["loopback", "all"] = Field(
        default="loopback", description="Clients that may ask for one: those on this machine, or all"
    )


class Tunables(SettingsGroup):
    """Settings with a default and without secrets, for every process of the platform."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least severe messages that the platform's processes log"
    )
    public_url: HttpUrl | None = Field(
        default=None, description="Base of the control plane's URLs in responses (default: the request's Host header)"
    )
    scoring_public_url: HttpUrl | None = Field(
        default=None, description="Base of scoring URLs in responses (default: the request's host and the scoring port)"
    )
    sandbox: Literal["require", "best-effort", "off"] = Field(
        default="best-effort",
        description="Sandbox of model workers: 'require' refuses to start where the kernel offers too little, "
        "'best-effort' uses what there is, 'off' uses nothing",
    )
    start_patience: float = Field(
        default=60.0, ge=0, description="Seconds that a start waits for database, broker and object store together"
    )
    max_upload_bytes: Bytes = Field(default=64 << 30, description="Largest file of an upload")
    curated_environments: str | None = Field(
        default=None,
        description="File with conda specifications for further names of Azure's curated environments, or other ones "
        "(default: the platform's own table alone)",
    )
    gateway: GatewaySettings = GatewaySettings()
    database: DatabaseSettings = DatabaseSettings()
    control_plane: ControlPlaneSettings = ControlPlaneSettings()
    retention: RetentionSettings = RetentionSettings()
    lease: LeaseSettings = LeaseSettings()
    object_store: ObjectStoreSettings = ObjectStoreSettings()
    builder: BuilderSettings = BuilderSettings()
    build: BuildSettings = BuildSettings()
    outgoing: OutgoingSettings = OutgoingSettings()
    batch: BatchSettings = BatchSettings()
    worker: WorkerSettings = WorkerSettings()
    supervisor: SupervisorSettings = SupervisorSettings()
    openid: OpenIdSettings = OpenIdSettings()
    tls: TlsSettings = TlsSettings()
    identity: IdentitySettings = IdentitySettings()

    @property
    def worker_user(self) -> int | None:
        """User id of import checks. None without root: these run as the platform's account."""
        return self.worker.uid if os.getuid() == 0 else None

    @property
    def builder_user(self) -> int | None:
        """User that installs packages. None without root: the platform's account installs packages."""
        return self.builder.uid if os.getuid() == 0 else None

    @property
    def worker_numbers(self) -> range | None:
        """Users and groups of model workers. None without root: model workers run as the platform's account."""
        if os.getuid() != 0 or self.worker.uids == "none":
            return None
        first, _, last = self.worker.uids.partition("-")
        return range(int(first), int(last) + 1)


class MachineSettings(Tunables):
    """Settings of processes with access to data dir and object store."""

    data_dir: Annotated[DataDir, BeforeValidator(lambda path: DataDir(Path(path)))] = Field(
        description="Folder in which the platform keeps its data on this machine"
    )
    storage_url: str = Field(description="URL of the object store")


class PlatformSettings(MachineSettings):
    """Settings of control plane, builder, host and batch worker."""

    database_url: SecretStr = Field(description="SQLAlchemy URL of the database")
    broker_url: SecretStr = Field(description="Celery URL of the broker")
    master_key: SecretStr = Field(description="Fernet keys, comma-separated, the newest first")
    scoring_port: int = Field(default=8001, description="Port of the scoring URLs")
    scoring_tls_port: int | None = Field(default=None, description="Port of the scoring URLs over TLS, if there is one")
