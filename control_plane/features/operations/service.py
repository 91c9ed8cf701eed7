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
        with transaction(self._sessions) as work:
            operation = repository.get_operation(work.session, subscription, location, operation_id)
        caller.check_role(Role.READER, workspace_in(operation.resource_id))
        return operation
