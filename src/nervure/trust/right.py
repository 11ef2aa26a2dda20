"""Rights: what there is to be allowed, and who has it by their role.

A role is a person's place; *act*, *configure interlock* and *train* go with none: they are given to
a person by name, one by one, and only to those whose role is high enough to be trusted with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from nervure.core.error import UsageError

__all__ = ["GRANTS", "RIGHTS", "ROLES", "Right", "Role", "as_right", "as_role", "grantable", "rights_of"]

Right = Literal[
    "read",
    "observe",
    "acknowledge",
    "write",
    "manage-devices",
    "manage-users",
    "manage-projects",
    "read-audit",
    "act",
    "configure-interlock",
    "train",
]
Role = Literal["viewer", "operator", "engineer", "admin"]

RIGHTS: tuple[Right, ...] = get_args(Right)
"""Every right, from the least to the most."""

_VIEWER: tuple[Right, ...] = ("read",)
_OPERATOR: tuple[Right, ...] = (*_VIEWER, "observe", "acknowledge")
_ENGINEER: tuple[Right, ...] = (*_OPERATOR, "write", "manage-devices")
_ADMIN: tuple[Right, ...] = (*_ENGINEER, "manage-users", "manage-projects", "read-audit")

ROLES: dict[Role, frozenset[Right]] = {
    "viewer": frozenset(_VIEWER),
    "operator": frozenset(_OPERATOR),
    "engineer": frozenset(_ENGINEER),
    "admin": frozenset(_ADMIN),
}
"""What each role may do, from the lowest to the highest."""

GRANTS: dict[Right, Role] = {"act": "operator", "configure-interlock": "engineer", "train": "engineer"}
"""The rights that are given by name, and the lowest role that may hold them."""

_ORDER: tuple[Role, ...] = get_args(Role)


def rights_of(role: Role, granted: Iterable[Right] = ()) -> frozenset[Right]:
    """Return what somebody of that role may do; a grant above their role counts for nothing.

    >>> sorted(rights_of("operator", ["act", "train"]))
    ['acknowledge', 'act', 'observe', 'read']
    """
    return ROLES[role] | {one for one in granted if grantable(one, role)}


def grantable(right: Right, role: Role) -> bool:
    """Tell whether somebody of that role may be given that right by name."""
    least = GRANTS.get(right)
    return least is not None and _ORDER.index(role) >= _ORDER.index(least)


def as_role(text: str) -> Role:
    """Read a role, or raise ``UsageError``."""
    for role in _ORDER:
        if role == text:
            return role
    raise UsageError(f"there is no role {text!r}", hint=f"there are {', '.join(_ORDER)}")


def as_right(text: str) -> Right:
    """Read a right, or raise ``UsageError``."""
    for right in RIGHTS:
        if right == text:
            return right
    raise UsageError(f"there is no right {text!r}", hint=f"there are {', '.join(RIGHTS)}")
