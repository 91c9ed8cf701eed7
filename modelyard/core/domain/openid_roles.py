"""Roles of the holders of OpenID Connect tokens: rules from the values of a claim to role assignments."""

from collections.abc import Iterable
from dataclasses import dataclass

from modelyard.core.domain.resource_ids import DEFAULT_RESOURCE_GROUP, DEFAULT_SUBSCRIPTION, workspace_id
from modelyard.core.domain.roles import EVERY_WORKSPACE, Role, RoleAssignment

_EVERY_TOKEN = "*"


@dataclass(frozen=True, slots=True)
class RoleRule:
    claim_value: str
    """A value of the claim, or "*": the rule holds for every valid token."""
    assignment: RoleAssignment


def read_rules(text: str) -> tuple[RoleRule, ...]:
    """Read `value=role@workspace`, separated by commas. Raises ValueError with a sentence for the operator."""
    return tuple(_rule(part.strip()) for part in text.split(",") if part.strip())


def assigned_roles(rules: Iterable[RoleRule], claim_values: Iterable[str]) -> frozenset[RoleAssignment]:
    held = {_EVERY_TOKEN, *claim_values}
    return frozenset(rule.assignment for rule in rules if rule.claim_value in held)


def _rule(text: str) -> RoleRule:
    value, _, assignment = text.rpartition("=")
    role, _, workspace = assignment.partition("@")
    if not value or not workspace or role.lower() not in set(Role):
        known = ", ".join(Role)
        raise ValueError(
            f"has a rule {text!r} that cannot be read: write <claim value>=<role>@<workspace>, with a role of {known} "
            "and a workspace's name, its ARM id, or *"
        )
    return RoleRule(value.strip(), RoleAssignment(Role(role.lower()), _scope(workspace)))


def _scope(workspace: str) -> str:
    if workspace == EVERY_WORKSPACE or workspace.startswith("/subscriptions/"):
        return workspace
    return workspace_id(DEFAULT_SUBSCRIPTION, DEFAULT_RESOURCE_GROUP, workspace)
