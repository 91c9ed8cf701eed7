"""Reading operations."""

from uuid import UUID

from control_plane.resources.operations import repository
from control_plane.resources.operations.operation import Operation
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.resource_ids import workspace_in
from modelyard.core.domain.roles import Role


class Operations:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def get(self, caller: Caller, subscription: str, location: str, operation_id: UUID) -> Operation:
        """Raises ResourceNotFound for an absent operation, and for one of a workspace that is not the caller's."""
        with transaction(self._sessions) as work:
            operation = repository.get_operation(work.session, subscription, location, operation_id)
        workspace = workspace_in(operation.resource_id)
        if not caller.is_member(workspace):
            raise repository.no_operation()
        caller.check_role(Role.READER, workspace)
        return operation
