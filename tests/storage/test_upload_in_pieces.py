"""What is written in any portions comes out in pieces of the length that is asked for, and nothing of it changes."""

from __future__ import annotations

import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.storage.upload import UploadInPieces


class Pieces(UploadInPieces):
    """Keeps the pieces that a service would take."""

    def __init__(self, byte_count: int) -> None:
        super().__init__("x", head_byte_count=0)
        self.byte_count = byte_count
        self.taken: list[bytes] = []

    def abort(self) -> None: ...

    def finish(self) -> None:
        if self._gathered:
            self._take_gathered()

    def _piece_byte_count(self) -> int:
        return self.byte_count

    def _take(self, data: bytes) -> None:
        assert type(data) is bytes
        self.taken.append(data)


LENGTHS = st.sampled_from([0, 1, 2, 3, 100, 16_383, 16_384, 20_000, 39_999, 40_000, 40_001, 100_000])


@given(st.lists(st.tuples(LENGTHS, st.booleans()), max_size=12))
@settings(max_examples=60, deadline=None)
def test_the_pieces_are_what_was_written(portions):
    upload, written = Pieces(40_000), b""
    for number, (length, is_own) in enumerate(portions):
        data = bytes([number + 1]) * length
        written += data
        if is_own:
            upload.write(data)
        else:
            buffer = bytearray(data)
            upload.write(memoryview(buffer))
            buffer[:] = bytes(length)  # the writer fills it again
    upload.finish()
    assert b"".join(upload.taken) == written
    assert {len(piece) for piece in upload.taken[:-1]} <= {40_000}


def test_small_portions_take_no_more_memory_than_they_are_long():
    upload = Pieces(8 << 20)
    tracemalloc.start()
    try:
        for _ in range(1 << 16):
            upload.write(b"ab")
        assert tracemalloc.get_traced_memory()[1] < 4 * (1 << 17)
    finally:
        tracemalloc.stop()
