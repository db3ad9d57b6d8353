"""Work that knows nothing of cancelling ends soon after it was cancelled."""

from __future__ import annotations

import tempfile
import time
from typing import BinaryIO, cast

import pytest

from tabvault.jobs.processing.stoppable import Stoppable


class EndOfPatienceError(Exception):
    """What the one who waits raises."""


def new_file() -> BinaryIO:
    return cast("BinaryIO", tempfile.TemporaryFile())


def test_what_the_work_gives_or_raises_is_handed_on() -> None:
    stoppable = Stoppable(new_file, lambda: None)
    assert stoppable.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        stoppable.run(lambda: 1 // 0)


def test_work_without_an_end_ends_when_whoever_waits_has_enough() -> None:
    asked = [0]

    def check() -> None:
        asked[0] += 1
        if asked[0] == 2:
            raise EndOfPatienceError

    stoppable = Stoppable(new_file, check)
    file = stoppable.scratch_file()

    def work() -> None:
        while True:
            file.seek(0)
            file.write(b"x")
            file.seek(0)
            assert file.read(1) == b"x"

    begun = time.monotonic()
    with pytest.raises(EndOfPatienceError):
        stoppable.run(work)
    assert time.monotonic() - begun < 2
    file.close()
