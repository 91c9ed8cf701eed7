"""Datastores, and the signatures for their containers.

The default datastores exist in every workspace without a row. The deletion of a datastore keeps the files, as Azure
keeps the container.
"""

from datetime import UTC, datetime, timedelta

from control_plane.features.datastores import repository
from control_plane.features.datastores.datastore import (
    DEFAULT_LIFETIME,
    LONGEST_LIFETIME,
    UNLIMITED,
    Datastore,
    DatastoreSpec,
    built_in,
)
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from control_plane.signed_urls import UrlSigner
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.job_files import BUILT_IN_DATASTORES, DEFAULT_DATASTORE
from modelyard.core.domain.names import check_datastore_name
from modelyard.core.domain.roles import Role
from modelyard.core.errors import Conflict, InvalidRequest, ResourceNotFound

_CONTRIBUTOR_LETTERS = "racwdl"
_READER_LETTERS = "rl"


class Datastores:
    def __init__(self, sessions: Sessions, signer: UrlSigner) -> None:
        self._sessions = sessions
        self._signer = signer

    def list(
        self, caller: Caller, path: WorkspacePath, page: Page, *, is_default: bool | None, ascending: bool
    ) -> PageResult[Datastore]:
        """The default datastores come first."""
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            first = [
                built_in(workspace, name)
                for name in BUILT_IN_DATASTORES
                if is_default is None or is_default == (name == DEFAULT_DATASTORE)
            ]
            found = first[page.skip : page.skip + page.top + 1]
            if not is_default:
                found += repository.list_datastores(
                    work.session,
                    workspace,
                    skip=max(0, page.skip - len(first)),
                    most=page.top + 1 - len(found),
                    ascending=ascending,
                )
        return PageResult.of(found, page)

    def get(self, caller: Caller, path: WorkspacePath, name: str) -> Datastore:
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            if name in BUILT_IN_DATASTORES:
                return built_in(workspace, name)
            found = repository.find_datastore(work.session, workspace, name)
        if found is None:
            raise ResourceNotFound(f"there is no datastore {name!r} in workspace {path.name!r}; PUT it to create it")
        return found

    def put(self, caller: Caller, path: WorkspacePath, name: str, spec: DatastoreSpec) -> tuple[Datastore, bool]:
        """The datastore, and whether it is new."""
        check_datastore_name(name)
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            if name in BUILT_IN_DATASTORES:
                if spec != DatastoreSpec():
                    raise Conflict(f"the datastore {name!r} belongs to every workspace and cannot be changed")
                return built_in(workspace, name), False
            return repository.put_datastore(work.session, caller, workspace, name, spec)

    def delete(self, caller: Caller, path: WorkspacePath, name: str) -> bool:
        """False: the datastore does not exist."""
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            if name in BUILT_IN_DATASTORES:
                raise Conflict(f"the datastore {name!r} belongs to every workspace and cannot be deleted")
            return repository.remove_datastore(work.session, caller, workspace, name)

    def shared_access_signature(
        self, caller: Caller, path: WorkspacePath, name: str, *, is_expirable: bool, hours: int | None
    ) -> str:
        """A signature for the datastore's container. A reader's signature reads and lists."""
        datastore = self.get(caller, path, name)
        is_contributor = caller.has_role(Role.CONTRIBUTOR, datastore.workspace.arm_id)
        letters = _CONTRIBUTOR_LETTERS if is_contributor else _READER_LETTERS
        expires = datetime.now(UTC) + _lifetime(is_expirable=is_expirable, hours=hours)
        return self._signer.container_query(datastore.container, letters, expires=expires)


def _lifetime(*, is_expirable: bool, hours: int | None) -> timedelta:
    if not is_expirable:
        return UNLIMITED
    if hours is None:
        return DEFAULT_LIFETIME
    longest = int(LONGEST_LIFETIME.total_seconds()) // 3600
    if not 1 <= hours <= longest:
        raise InvalidRequest(f"expireAfterHours is {hours}: ask for 1 to {longest} hours", target="expireAfterHours")
    return timedelta(hours=hours)
