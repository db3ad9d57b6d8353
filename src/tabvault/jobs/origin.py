"""
What a backup's container says that none of its files says.

The log's flags, collations and languages, the optional ``ADDITIONAL_LOG`` and the ``PARTITIONS`` part belong to the
database as much as its files: a restore keeps them in the version's manifest, and the next backup writes them
again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tabvault.errors import DataFolderDamagedError
from tabvault.formats.abf import virtual_directory, writer

if TYPE_CHECKING:
    from tabvault.formats.abf.container import Container


@dataclass(frozen=True, slots=True)
class Origin:
    """
    Args:
        fields: the log's text elements by name, in their order.
        collations: of the log.
        languages: of the log, LCIDs as text.
        partitions: body of the ``PARTITIONS`` part.
        additional_log: body of the ``ADDITIONAL_LOG`` part, None where the backup has none (engines before 2020).
    """

    fields: dict[str, str]
    collations: tuple[str, ...]
    languages: tuple[str, ...]
    partitions: bytes
    additional_log: bytes | None

    @classmethod
    def of_container(cls, container: Container) -> Origin:
        """What *container* says."""
        log = container.log
        partitions = container.part(virtual_directory.PARTITIONS)
        return cls(
            fields=dict(log.fields),
            collations=log.collations,
            languages=log.languages,
            partitions=writer.EMPTY_PARTITIONS if partitions is None else partitions,
            additional_log=container.part(virtual_directory.ADDITIONAL_LOG),
        )

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "fields": self.fields,
            "collations": list(self.collations),
            "languages": list(self.languages),
            "partitions": self.partitions.hex(),
            "additional_log": None if self.additional_log is None else self.additional_log.hex(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Origin:
        """
        Back from the manifest.

        Raises:
            DataFolderDamagedError: it is not what :meth:`to_json` wrote.
        """
        try:
            additional_log = value["additional_log"]
            return cls(
                fields={str(name): str(text) for name, text in value["fields"].items()},
                collations=tuple(str(text) for text in value["collations"]),
                languages=tuple(str(text) for text in value["languages"]),
                partitions=bytes.fromhex(value["partitions"]),
                additional_log=None if additional_log is None else bytes.fromhex(additional_log),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataFolderDamagedError(f"the manifest's container part is damaged: {error!r}") from None
