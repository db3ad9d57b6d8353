"""Ranged reading that several threads do at once: each has its own bytes, whatever the others begin."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tabvault.storage.contract import ObjectInfo
from tabvault.storage.remote import ranges
from tabvault.storage.remote.ranges import RangedObject

MIB = 1 << 20
BYTE_COUNT = 96 * MIB


class NumberedObject(RangedObject):
    """Each MiB is filled with its number."""

    def __init__(self) -> None:
        super().__init__(ObjectInfo("numbered", BYTE_COUNT, datetime(2026, 1, 1, tzinfo=UTC), "tag"))

    def _asked(self, offset: int, byte_count: int) -> bytes:
        assert 0 <= offset <= offset + byte_count <= BYTE_COUNT
        return content(offset, byte_count)


def content(offset: int, byte_count: int) -> bytes:
    first, last = offset // MIB, (offset + byte_count - 1) // MIB
    whole = b"".join(bytes([number]) * MIB for number in range(first, last + 1))
    return whole[offset - first * MIB :][:byte_count]


def test_who_begins_to_read_ahead_keeps_his_own_blocks_when_another_begins_elsewhere(monkeypatch):
    close = ranges._Ahead.close
    others: list[bytes] = []

    def while_the_old_one_is_closed(ahead) -> None:
        if not others:
            others.append(b"")
            others[0] = bytes(stored.read_at(70 * MIB, 9 * MIB))
        close(ahead)

    with NumberedObject() as stored:
        stored.read_at(80 * MIB, 9 * MIB)
        monkeypatch.setattr(ranges._Ahead, "close", while_the_old_one_is_closed)
        assert bytes(stored.read_at(1 * MIB, 9 * MIB)) == content(1 * MIB, 9 * MIB)
    assert others == [content(70 * MIB, 9 * MIB)]


def test_nothing_is_fetched_ahead_for_an_object_that_is_closed_meanwhile(monkeypatch):
    made = []
    make = ranges._Ahead.__init__

    def closed_before_it_is_kept(ahead, *arguments) -> None:
        make(ahead, *arguments)
        made.append(ahead)
        stored.close()

    stored = NumberedObject()
    monkeypatch.setattr(ranges._Ahead, "__init__", closed_before_it_is_kept)
    with pytest.raises(ValueError, match="closed"):
        stored.read_at(0, 9 * MIB)
    assert made
    assert stored._ahead is None
