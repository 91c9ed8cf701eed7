"""Build a generation of a deployment: model files, environment, scoring script, bundle.

Every step can be repeated: files, environments and bundles are named by content. The result counts only if this
builder still holds the generation's lease.
"""

import errno
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from builder import repository
from builder.build_run import BuildCancelled, BuildLog, BuildRun, cancellation_token
from builder.bundle import assemble_bundle, input_example_of, publish_bundle
from builder.environment_build import BuildOrder
from builder.environment_files.plan import EnvironmentPlan, plan_environment, plan_from_conda_file
from builder.import_check import modules_to_import
from builder.lease_watch import cancel_when_lease_lost
from builder.repository import GenerationOrder
from builder.scoring_script.generate import ScriptSubject, generate_scoring_script
from builder.shared_builds import EnvironmentRequest, SharedBuilds
from builder.toolchain import BuildToolchain
from modelyard.core.db.leases import Claim, LeaseLost, finish, heartbeat
from modelyard.core.db.lifecycle import generation_built, generation_failed
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.bounded_yaml import LARGEST_BYTES
from modelyard.core.domain.caller import SYSTEM_BUILDER
from modelyard.core.domain.input_example import InputExample
from modelyard.core.domain.mlmodel import MLMODEL_FILE, MLModel, parse_mlmodel
from modelyard.core.domain.operation_step import OperationStep
from modelyard.core.domain.storable_text import storable_text
from modelyard.core.environments.folder import BuiltEnvironment
from modelyard.core.errors import InvalidModel, PlatformError, Unavailable
from modelyard.core.logs import STORAGE_INITIALIZER, LogWriter
from modelyard.core.model_files import materialise
from modelyard.core.ports.object_store import ObjectStore

_log = logging.getLogger(__name__)

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class BuildContext:
    """The dependencies of every build, wired once per process."""

    sessions: Sessions
    store: ObjectStore
    models: Path
    toolchain: BuildToolchain
    max_attempts: int
    """Attempts at a build that fails for reasons outside the build, while the object store is away for example."""


def build_next_generation(context: BuildContext, told: int) -> None:
    """Build the generation whose turn it is. `told` is the generation of the message.

    Every waiting generation has a message, and each message builds one generation: users take turns, though the broker
    delivers in the order of sending. Returns at once when no generation waits.
    """
    while True:
        with transaction(context.sessions) as work:
            generation_id = repository.next_generation(work.session, told)
        # Between the choice and the claim, another builder may be faster.
        if generation_id is None or build_generation(context, generation_id):
            return


def build_generation(context: BuildContext, generation_id: int) -> bool:
    """Build the generation and record the outcome.

    Returns False at once when another builder holds the generation, or the generation is built already.
    """
    with transaction(context.sessions) as work:
        taken = repository.claim_generation(work.session, generation_id)
    if taken is not None:
        _GenerationBuild(context, *taken).run()
    return taken is not None


class _GenerationBuild:
    """An attempt to build a generation."""

    def __init__(self, context: BuildContext, held: Claim, order: GenerationOrder) -> None:
        self._context = context
        self._held = held
        self._order = order
        source = f"build-{order.number}-{held.attempt}"
        self._writer = LogWriter(context.store, order.log, STORAGE_INITIALIZER, source)
        self._log = BuildLog(self._writer.line, self._record_step)

    def run(self) -> None:
        try:
            with (
                heartbeat(self._context.sessions, self._held) as lease,
                cancellation_token() as token,
                cancel_when_lease_lost(lease, token),
            ):
                self._build(BuildRun(self._log, token))
        except Unavailable as unavailable:
            self._retry_later(unavailable)
        except PlatformError as failure:
            self._fail(failure.code, failure.message)
        except (LeaseLost, BuildCancelled):
            self._log.line("stopped: another builder has taken over the build, or the deployment was deleted")
        except OSError as error:
            _log.exception("building generation %s", self._order.generation_id)
            self._fail_if_disk_is_full(error)
        except Exception as error:  # noqa: BLE001 - every error must bring the deployment to a final state
            _log.exception("building generation %s", self._order.generation_id)
            self._retry_later(error)
        except BaseException:
            self._release()
            raise
        finally:
            self._writer.close()

    def _build(self, run: BuildRun) -> None:
        order, context = self._order, self._context
        run.log.line(f"building {order.endpoint}/{order.deployment}, generation {order.number}")
        folder = materialise(context.store, order.manifest, context.models) / order.folder_name
        mlmodel = _read_mlmodel(folder)
        plan = self._plan(folder, mlmodel)
        for note in plan.notes:
            run.log.line(note)
        spec_hash = context.toolchain.spec_hash(plan.spec)
        build_order = BuildOrder(plan.spec, folder, modules_to_import(mlmodel), mlmodel.created_at)
        request = EnvironmentRequest(self._held, build_order, spec_hash, run)
        environment = SharedBuilds(context.sessions, context.toolchain, context.store).get(request)
        self._finish(mlmodel, input_example_of(folder, mlmodel), spec_hash, environment)

    def _plan(self, folder: Path, mlmodel: MLModel) -> EnvironmentPlan:
        rules = self._context.toolchain.plan_rules()
        if self._order.curated_environment is not None:
            for line in _note_of_curated_environment(self._order):
                self._log.line(line)
        if self._order.conda_file is not None:
            return plan_from_conda_file(self._order.conda_file, folder, mlmodel, rules)
        return plan_environment(folder, mlmodel, rules)

    def _finish(
        self, mlmodel: MLModel, example: InputExample | None, spec_hash: str, environment: BuiltEnvironment
    ) -> None:
        order = self._order
        subject = ScriptSubject(order.model_name, order.model_version, order.folder_name, mlmodel)
        bundle = replace(assemble_bundle(order, mlmodel, spec_hash, environment), input_example=example)
        bundle_hash = publish_bundle(self._context.store, bundle, generate_scoring_script(subject))
        self._log.line(f"bundle {bundle_hash[:16]} is published")
        self._writer.flush()  # a reader who sees the state finds the whole log
        with transaction(self._context.sessions) as work:
            if not generation_built(work.session, SYSTEM_BUILDER, self._held, bundle_hash=bundle_hash):
                raise LeaseLost

    def _record_step(self, step: OperationStep) -> None:
        with transaction(self._context.sessions) as work:
            repository.record_step(work.session, self._held, step)

    def _fail(self, code: str, message: str) -> None:
        self._log.line(f"failed: {message}")
        self._writer.flush()
        with transaction(self._context.sessions) as work:
            # False: another builder holds the generation and decides the state.
            if finish(work.session, self._held):
                generation_failed(work.session, SYSTEM_BUILDER, self._order.generation_id, code=code, message=message)

    def _fail_if_disk_is_full(self, error: OSError) -> None:
        if error.errno in _DISK_FULL:
            place = storable_text(error.filename or self._context.models.parent)
            self._fail(
                "InsufficientStorage",
                f"no space left on device: free space in {place}, then deploy again",
            )
        else:
            self._retry_later(error)

    def _retry_later(self, error: Exception) -> None:
        reason = error.message if isinstance(error, PlatformError) else storable_text(repr(error))
        if self._held.attempt >= self._context.max_attempts:
            self._fail("InternalServerError", f"the build failed {self._held.attempt} times, last with: {reason}")
            return
        self._log.line(f"the build failed ({reason}) and will be retried")
        self._release()

    def _release(self) -> None:
        with suppress(SQLAlchemyError), transaction(self._context.sessions) as work:
            finish(work.session, self._held)


def _note_of_curated_environment(order: GenerationOrder) -> list[str]:
    sentence = (
        f"{order.curated_environment} is one of Azure's curated environments: this platform's own conda specification "
        "of the name counts"
    )
    return [sentence, *(order.conda_file or "").splitlines()]


def _read_mlmodel(folder: Path) -> MLModel:
    try:
        with (folder / MLMODEL_FILE).open("rb") as file:
            return parse_mlmodel(file.read(LARGEST_BYTES + 1))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise InvalidModel(
            f"the model folder {folder.name!r} has no MLmodel file; register the folder that MLflow logged",
            target=MLMODEL_FILE,
        ) from None
