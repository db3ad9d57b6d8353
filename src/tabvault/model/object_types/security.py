"""Object types of who may see what: roles, their members and permissions."""

from __future__ import annotations

from typing import Final

from tabvault.model.object_types import enumerations as words
from tabvault.model.object_types.definition import (
    ERROR_MESSAGE,
    MODIFIED,
    ObjectType,
    Parent,
    identity,
    lines,
    link,
    text,
    word,
)
from tabvault.model.object_types.structure import READY_STATE

ROLE: Final = ObjectType(
    "Role",
    34,
    "TMSCHEMA_ROLES",
    "Roles",
    Parent("ModelID", ("Model",)),
    (
        *identity(parent="ModelID", target="Model"),
        text("Name", "name"),
        lines("Description", "description"),
        word("ModelPermission", "modelPermission", words.MODEL_PERMISSION, default="none"),
        MODIFIED,
    ),
    key="Name",
    tmsl_collection="roles",
    description="a role of the model",
)

ROLE_MEMBERSHIP: Final = ObjectType(
    "RoleMembership",
    35,
    "TMSCHEMA_ROLE_MEMBERSHIPS",
    "RoleMemberships",
    Parent("RoleID", ("Role",)),
    (
        *identity(parent="RoleID", target="Role"),
        text("MemberName", "memberName"),
        text("MemberID", "memberId"),
        text("IdentityProvider", "identityProvider"),
        word("MemberType", "memberType", words.ROLE_MEMBER_TYPE, default="auto"),
        MODIFIED,
    ),
    key="MemberName",
    tmsl_collection="members",
    description="a user or group in a role",
)

TABLE_PERMISSION: Final = ObjectType(
    "TablePermission",
    36,
    "TMSCHEMA_TABLE_PERMISSIONS",
    "TablePermissions",
    Parent("RoleID", ("Role",)),
    (
        *identity(parent="RoleID", target="Role"),
        link("TableID", "name", "Table"),
        lines("FilterExpression", "filterExpression"),
        MODIFIED,
        READY_STATE,
        ERROR_MESSAGE,
        word("MetadataPermission", "metadataPermission", words.METADATA_PERMISSION, default="default", level=1400),
    ),
    key="TableID",
    tmsl_collection="tablePermissions",
    description="the rows of a table that a role sees",
)

COLUMN_PERMISSION: Final = ObjectType(
    "ColumnPermission",
    42,
    "TMSCHEMA_COLUMN_PERMISSIONS",
    "ColumnPermissions",
    Parent("TablePermissionID", ("TablePermission",)),
    (
        *identity(parent="TablePermissionID", target="TablePermission"),
        link("ColumnID", "name", "Column"),
        MODIFIED,
        word("MetadataPermission", "metadataPermission", words.METADATA_PERMISSION, default="default"),
    ),
    key="ColumnID",
    tmsl_collection="columnPermissions",
    minimum_level=1400,
    description="whether a role sees a column",
)

SECURITY_TYPES: Final = (ROLE, ROLE_MEMBERSHIP, TABLE_PERMISSION, COLUMN_PERMISSION)
