"""The builder's rows in the database. Each function is part of the caller's transaction."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from modelyard.core.db.leases import Claim, claim, lock_if_held
from modelyard.core.db.lifecycle import environment_building, environment_built, generation_building
from modelyard.core.db.rows import (
    BuiltEnvironmentRow,
    EnvironmentBuildRow,
    EnvironmentVersionRow,
    GenerationRow,
    JobRow,
)
from modelyard.core.domain.caller import SYSTEM_BUILDER
from modelyard.core.domain.declared_text import mask_credentials
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.environment_spec import EnvironmentSpec, PackageSources
from modelyard.core.domain.lifecycle import ENDED_JOBS, BuildState, GenerationState
from modelyard.core.domain.model_manifest import ModelManifest
from modelyard.core.domain.operation_step import OperationStep
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.logs import LogName, batch_log

_TO_BUILD = (GenerationState.QUEUED, GenerationState.BUILDING)
_IN_USE = (GenerationState.QUEUED, GenerationState.BUILDING, GenerationState.BUILT, GenerationState.SERVING)


@dataclass(frozen=True, slots=True)
class GenerationOrder:
    """A generation of a deployment, with the input of the build."""

    generation_id: int
    number: int
    endpoint: str
    deployment: str
    log: LogName
    """The log for the build's lines."""
    model_name: str
    model_version: str
    manifest: ModelManifest
    folder_name: str
    environment_variables: dict[str, str]
    conda_file: str | None
    """The conda file of the deployment's environment. None: the model's own files count."""
    curated_environment: str | None
    """The URI of the curated environment for which the conda file stands. None: a registered environment, or none."""


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """The last build of a spec's environment."""

    state: BuildState
    attempt: int
    error: str | None
    lock: str | None


def next_generation(session: Session, told: int) -> int | None:
    """Choose the next generation to build, so that users take turns. None: no generation waits.

    The user with the fewest builds under way comes first, and among equals the user whose last build began the longest
    time ago; a user's own generations keep their order. Generation `told`, which a message has named, may also be the
    repetition of a failed attempt: a repetition waits for a message, which the sweep paces.
    """
    now = func.clock_timestamp()
    is_fresh = and_(GenerationRow.attempt == 0, GenerationRow.lease_until.is_(None))
    is_told = and_(GenerationRow.id == told, GenerationRow.lease_until.is_(None))
    waits = and_(GenerationRow.state.in_(_TO_BUILD), or_(is_fresh, is_told, GenerationRow.lease_until < now))
    user = (GenerationRow.created_by, GenerationRow.created_by_kind)
    at_work = (
        select(*user, func.count().label("builds"))
        .where(GenerationRow.state == GenerationState.BUILDING, GenerationRow.lease_until >= now)
        .group_by(*user)
        .subquery()
    )
    started = aliased(GenerationRow)
    last_start = (
        select(func.max(started.build_started_at))
        .where(started.created_by == user[0], started.created_by_kind == user[1])
        .correlate(GenerationRow)
        .scalar_subquery()
    )
    return session.scalar(
        select(GenerationRow.id)
        .outerjoin(at_work, and_(at_work.c.created_by == user[0], at_work.c.created_by_kind == user[1]))
        .where(waits)
        .order_by(func.coalesce(at_work.c.builds, 0), last_start.nulls_first(), GenerationRow.id)
        .limit(1)
    )


def claim_generation(session: Session, generation_id: int) -> tuple[Claim, GenerationOrder] | None:
    """Claim a generation for building. None: another builder holds the generation, or no build is needed."""
    held = claim(session, GenerationRow, generation_id, states=_TO_BUILD)
    if held is None:
        return None
    generation = generation_building(session, SYSTEM_BUILDER, generation_id)
    generation.build_started_at = func.clock_timestamp()
    return held, _order(session, generation)


def _order(session: Session, row: GenerationRow) -> GenerationOrder:
    spec = DeploymentSpec.from_dict(row.spec)
    version, deployment = row.model_version, row.owner
    return GenerationOrder(
        generation_id=row.id,
        number=row.number,
        endpoint=deployment.endpoint.name,
        deployment=deployment.name,
        log=deployment.id if row.batch_deployment_id is None else batch_log(deployment.id),
        model_name=version.model.name,
        model_version=version.version,
        manifest=ModelManifest.from_list(version.manifest),
        folder_name=version.folder_name,
        environment_variables=dict(spec.environment_variables),
        conda_file=spec.curated_conda_file or _conda_file(session, row.environment_version_id),
        curated_environment=None if spec.curated_conda_file is None else spec.environment_id,
    )


def _conda_file(session: Session, environment_version_id: int | None) -> str | None:
    if environment_version_id is None:
        return None
    return session.get_one(EnvironmentVersionRow, environment_version_id).conda_file


def record_step(session: Session, held: Claim, step: OperationStep) -> None:
    if lock_if_held(session, held):
        session.execute(update(GenerationRow).where(GenerationRow.id == held.key).values(step=step))


def build_of_spec(session: Session, spec_hash: str, spec: EnvironmentSpec) -> BuildRecord:
    """Return the build of the spec; the first request records the build."""
    session.execute(
        insert(EnvironmentBuildRow)
        .values(spec_hash=spec_hash, spec=_document(spec), state=BuildState.QUEUED)
        .on_conflict_do_nothing()
    )
    row = session.get_one(EnvironmentBuildRow, spec_hash)
    return BuildRecord(BuildState(row.state), row.attempt, row.error, row.lock)


def claim_build(session: Session, spec_hash: str) -> Claim | None:
    """Claim the build of an environment, whatever the last outcome. None: another builder holds the build."""
    held = claim(session, EnvironmentBuildRow, spec_hash)
    if held is not None:
        environment_building(session, spec_hash)
    return held


def record_environment(session: Session, held: Claim, built: BuiltEnvironment, *, size_bytes: int) -> bool:
    """Publish an environment and record the lock of the spec. False: another builder holds the lease."""
    values = {
        "folder": built.folder.name,
        "python_version": built.lock.python,
        "size_bytes": size_bytes,
    }
    session.execute(
        insert(BuiltEnvironmentRow)
        .values(lock_hash=built.lock.digest, **values)
        .on_conflict_do_update(index_elements=[BuiltEnvironmentRow.lock_hash], set_=values)
    )
    return environment_built(session, held, lock_hash=built.lock.digest, lock=built.lock.text)


def published_environment(session: Session, lock_hash: str) -> BuiltEnvironmentRow | None:
    """The published environment of a lock, locked against unpublishing until this transaction ends."""
    return session.scalar(
        select(BuiltEnvironmentRow).where(BuiltEnvironmentRow.lock_hash == lock_hash).with_for_update(read=True)
    )


def resolved_lock(session: Session, spec_hash: str) -> tuple[str, str] | None:
    """The lock hash and the lock text of a resolved spec."""
    row = session.get(EnvironmentBuildRow, spec_hash)
    if row is None or row.state != BuildState.SUCCEEDED or row.lock_hash is None or row.lock is None:
        return None
    return row.lock_hash, row.lock


def use_environment(session: Session, held: Claim, *, spec_hash: str, lock_hash: str) -> bool:
    """Record the generation as a user of the environment. False: another builder holds the generation."""
    if not lock_if_held(session, held):
        return False
    session.execute(
        update(GenerationRow).where(GenerationRow.id == held.key).values(spec_hash=spec_hash, lock_hash=lock_hash)
    )
    return True


def unpublish_environment(session: Session, lock_hash: str) -> None:
    """Unpublish an environment gone from every machine and from the object store."""
    row = session.get(BuiltEnvironmentRow, lock_hash)
    if row is not None:
        session.delete(row)


def unpublish_unused_environments(session: Session) -> None:
    """Unpublish environments without a generation or job; a later deployment builds anew."""
    rows = session.scalars(select(BuiltEnvironmentRow).with_for_update()).all()
    # Read after the rows are locked: every earlier user is visible, and no later user can appear.
    used = set(session.scalars(select(GenerationRow.lock_hash).where(GenerationRow.state.in_(_IN_USE))))
    used |= set(session.scalars(select(JobRow.lock_hash).where(JobRow.state.not_in(ENDED_JOBS))))
    for row in rows:
        if row.lock_hash not in used:
            session.delete(row)


def _document(spec: EnvironmentSpec) -> dict[str, Any]:
    """The spec as a document for people, without the credentials of index URLs."""
    sources = PackageSources(**{name: _masked(value) for name, value in asdict(spec.sources).items()})
    masked = {name: _masked(getattr(spec, name)) for name in ("requirements", "constraints")}
    document = asdict(replace(spec, sources=sources, origins={}, **masked))
    del document["origins"], document["file"]
    document["exclude_newer"] = spec.exclude_newer.isoformat() if spec.exclude_newer else None
    return document


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask_credentials(value)
    return tuple(map(mask_credentials, value)) if isinstance(value, tuple) else value
