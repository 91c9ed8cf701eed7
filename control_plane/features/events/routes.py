"""The list of audit events, and the verification of their chain."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query, Request

from control_plane.features.events.event_query import EventQuery
from control_plane.features.events.schemas import ChainBody, EventBody
from control_plane.features.events.service import Events
from control_plane.resources.paging import ListBody, list_body
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import COMMON_ERRORS
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace
from modelyard.core.domain.audit import AuditAction

router = authorized_router("events", COMMON_ERRORS)


def _service(request: Request) -> Events:
    service: Events = request.app.state.services.events
    return service


Service = Annotated[Events, Depends(_service)]


def _query(
    resource: Annotated[str | None, Query(description="An ARM id, or its part below the workspace.")] = None,
    action: AuditAction | None = None,
    caller: Annotated[str | None, Query(description='A user, or "system:<process>".')] = None,
    since: Annotated[datetime | None, Query(description="Inclusive; UTC unless an offset is given.")] = None,
    until: Annotated[datetime | None, Query(description="Exclusive; UTC unless an offset is given.")] = None,
) -> EventQuery:
    return EventQuery(resource, action, caller, _with_zone(since), _with_zone(until))


def _with_zone(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


@router.get(WORKSPACE + "/events", response_model_exclude_none=True)
def list_events(
    caller: RequestCaller,
    path: RequestedWorkspace,
    query: Annotated[EventQuery, Depends(_query)],
    page: RequestedPage,
    next_link: NextLink,
    events: Service,
) -> ListBody[EventBody]:
    """List events, the newest first. A resource includes the resources below it."""
    workspace, found = events.list(caller, path, query, page)
    return list_body(found, lambda event: EventBody.of(workspace, event), next_link)


@router.get("/audit/verification", response_model_exclude_none=True)
def verify_audit_events(
    caller: RequestCaller,
    events: Service,
    checkpoint: Annotated[
        str | None, Query(description="<event>:<hash> of an earlier verification, kept outside the platform.")
    ] = None,
) -> ChainBody:
    """Verify the chain of the audit events of all workspaces: `faults` is empty for an intact chain.

    An extension of Modelyard.
    """
    return ChainBody.of(events.verify(caller, checkpoint))
