"""Verification of the chain of audit events: find edited, missing, added and moved events."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from modelyard.core.db.audit import EXPIRED
from modelyard.core.db.rows import AuditChainRow, AuditEventRow
from modelyard.core.domain.audit import (
    GENESIS,
    PLATFORM,
    AuditAction,
    ChainedContent,
    ChainFaults,
    ChainReport,
    Checkpoint,
)

_PAGE = 2000


def verify_chain(session: Session, checkpoint: Checkpoint | None) -> ChainReport:
    """Read every event once, as of one moment. The session must have begun no transaction yet.

    A checkpoint of before makes a rewritten chain and a removed end visible, which the database alone cannot tell.
    """
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    begin, faults = _beginning(session), ChainFaults()
    last, events, first = begin, 0, None
    known = {begin.event: begin.hash}
    for content, stored in _events(session):
        if content.hash_after(last.hash) != stored:
            faults.add(_broken(last.event, content.id))
        last, events = Checkpoint(content.id, stored), events + 1
        first = content.id if first is None else first
        if checkpoint is not None and checkpoint.event == content.id:
            known[content.id] = stored
    head = session.scalars(select(AuditChainRow)).one_or_none()
    if head is None or (head.event, head.hash) != (last.event, last.hash):
        written = "none" if head is None else str(head.event)
        faults.add(f"the last event is {last.event}, and the chain's head names {written}: the end was changed")
    if checkpoint is not None:
        _compare(checkpoint, begin, last, known, faults)
    return ChainReport(events, first, last, begin.event, faults.sentences)


def _beginning(session: Session) -> Checkpoint:
    """The last event that was removed at the end of the retention, by the EXPIRE events in the chain."""
    expiries = select(AuditEventRow.changes).where(
        AuditEventRow.action == AuditAction.EXPIRE, AuditEventRow.resource_id == PLATFORM
    )
    # Two sweeps at the same time may have written their events in the other order.
    removed = [Checkpoint.parse(str(changes.get(EXPIRED, {}).get("to"))) for changes in session.scalars(expiries)]
    found = [checkpoint for checkpoint in removed if checkpoint is not None]
    return max(found, key=lambda checkpoint: checkpoint.event, default=Checkpoint(0, GENESIS))


def _events(session: Session) -> Iterator[tuple[ChainedContent, str]]:
    columns = [column for column in AuditEventRow.__table__.columns if column.name != "hash"]
    query, last = select(*columns, AuditEventRow.hash).order_by(AuditEventRow.id).limit(_PAGE), None
    while page := session.execute(query if last is None else query.where(AuditEventRow.id > last)).all():
        for row in page:
            *content, stored = row
            yield ChainedContent(**dict(zip((column.name for column in columns), content, strict=True))), stored
        last = page[-1].id


def _broken(before: int, event: int) -> str:
    if event > before + 1:
        return f"events between {before} and {event} are missing, or event {event} was changed"
    return f"event {event} was changed or added, or the event before it was"


def _compare(
    checkpoint: Checkpoint, begin: Checkpoint, last: Checkpoint, known: dict[int, str], faults: ChainFaults
) -> None:
    if checkpoint.event > last.event:
        faults.add(
            f"the checkpoint names event {checkpoint.event}, and the last event is {last.event}: the end is missing"
        )
    elif checkpoint.event < begin.event:
        faults.add(
            f"event {checkpoint.event} of the checkpoint was removed at the end of its retention, with all events up "
            f"to {begin.event}: use a newer checkpoint"
        )
    elif known.get(checkpoint.event) != checkpoint.hash:
        faults.add(
            f"event {checkpoint.event} differs from the checkpoint: an event up to {checkpoint.event} was changed"
        )
