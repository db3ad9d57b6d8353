"""The one ``db.xml`` of a container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError, LimitError
from tabvault.formats.abf import backup_log, db_xml

if TYPE_CHECKING:
    from tabvault.formats.abf.container import Container
    from tabvault.formats.abf.db_xml import DatabaseDefinition

_BYTE_COUNT_MAX: Final = 64 << 20


def definition_file(container: Container) -> tuple[str, DatabaseDefinition]:
    """
    Its logical name, and what it says.

    Raises:
        FormatError: there is none, or more than one, or it is damaged.
        LimitError: it is longer than any.
    """
    names = [
        file.name
        for file in container.files.values()
        if file.group_class == backup_log.DATABASE_CLASS and file.name.endswith(".db.xml")
    ]
    if len(names) != 1:
        raise FormatError(f"the log lists {len(names)} db.xml files, not one", file="backup log")
    name = names[0]
    if container.files[name].byte_count > _BYTE_COUNT_MAX:
        raise LimitError(f"{container.files[name].byte_count} bytes are over {_BYTE_COUNT_MAX}", file=name)
    return name, db_xml.parse(container.read(name), file=name)
