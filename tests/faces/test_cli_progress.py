"""The bar for work over a second: one line at any width, and nothing of it left behind."""

from __future__ import annotations

import re
import signal
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program import Terminal

from tabvault.faces.cli.progress_bar import progress_line
from tabvault.jobs.progress import Progress

MIB = 1 << 20

_JOB = """
import signal, sys, time
from tabvault.faces.cli import failure
from tabvault.faces.cli.session import shown_progress
from tabvault.jobs.progress import ProgressMeter
try:
    with shown_progress(as_json="json" in sys.argv) as progress:
        meter = ProgressMeter(progress)
        if "silent" not in sys.argv:
            meter.step("checking files", 400 << 20)
            meter.advance(100 << 20)
        until = time.monotonic() + float(sys.argv[1])
        while time.monotonic() < until:
            time.sleep(0.05)
    print("over")
except KeyboardInterrupt as error:
    sys.exit(failure.report_cancelled(error, as_json=False))
"""


def _job(data, *arguments, width=80):
    return Terminal(*arguments, data=data, command=(sys.executable, "-c", _JOB), width=width)


def test_work_over_a_second_shows_a_bar_with_amount_share_and_step(tmp_path):
    with _job(tmp_path, "1.5") as terminal:
        assert terminal.end() == 0
    for shown in ("checking files [###", "25%", "100 of 400 MiB"):
        assert shown in terminal.text
    assert terminal.screen == "over\n"


def test_short_work_and_json_show_no_bar(tmp_path):
    for arguments in (["0.2"], ["1.5", "json"]):
        with _job(tmp_path, *arguments) as terminal:
            assert terminal.end() == 0
        assert terminal.raw == b"over\r\n"


def test_a_job_that_reports_nothing_shows_that_it_is_alive_and_since_when(tmp_path):
    with _job(tmp_path, "3.3", "silent") as terminal:
        assert terminal.end() == 0
    assert len(set(re.findall(r"starting  \d s", terminal.text))) > 1


@pytest.mark.parametrize("width", [20, 80])
def test_the_bar_takes_one_line_and_leaves_none_behind(tmp_path, width):
    with _job(tmp_path, "1.4", width=width) as terminal:
        assert terminal.end() == 0
    assert terminal.screen == "over\n"
    *lines, _ = terminal.text.split("\r")
    assert len(lines) > 2
    assert max(map(len, lines)) < width - len("^C"), "room for what the terminal itself writes there"
    assert "\n" not in "".join(lines)


def test_ctrl_c_leaves_one_clean_line(tmp_path):
    with _job(tmp_path, "60") as terminal:
        terminal.expect("25%")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert terminal.screen == "^C\ncancelled\n"


def test_a_signal_from_elsewhere_leaves_one_clean_line(tmp_path):
    with _job(tmp_path, "60") as terminal:
        terminal.expect("25%")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
    assert terminal.screen.splitlines()[-1] == "cancelled"


def test_what_finds_no_room_is_left_out_the_least_important_first():
    report = Progress("backing up", 1 * MIB, 4 * MIB)

    def line(width):
        return progress_line(report, elapsed_s=2.0, width=width)

    assert line(100) == "backing up [#######.......................]  25%  1.0 of 4.0 MiB, 512 KiB/s, 6.0 s left"
    assert line(75) == "backing up [###.........]  25%  1.0 of 4.0 MiB, 512 KiB/s, 6.0 s left"
    assert line(60) == "backing up  25%  1.0 of 4.0 MiB, 512 KiB/s, 6.0 s left"
    assert line(50) == "backing up  25%  1.0 of 4.0 MiB, 512 KiB/s"
    assert line(35) == "backing up  25%  1.0 of 4.0 MiB"
    assert line(20) == "backing up  25%"
    assert line(10) == "backing up"
    assert line(4) == "back"


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (
            Progress("exporting", 7, 1200, "rows"),
            "exporting [..............................]   1%  7 of 1,200 rows, 5 min 41 s left",
        ),
        (Progress("reading", 3 * MIB, None), "reading  3.0 MiB, 1.5 MiB/s"),
        (Progress("asking", 0, None, ""), "asking  2 s"),
        (Progress("checking", 0, 0, "columns"), "checking  2 s"),
        (Progress("reading", 9, 4, "columns"), f"reading [{'#' * 30}] 100%  9 of 4 columns"),
    ],
)
def test_each_kind_of_report_has_its_words(report, line):
    assert progress_line(report, elapsed_s=2.0, width=100) == line


@settings(deadline=None, max_examples=200)
@given(
    st.builds(
        Progress,
        st.sampled_from(["starting", "checking files and columns"]),
        st.integers(0, 2**63),
        st.none() | st.integers(0, 2**63),
        st.sampled_from(["bytes", "rows", "columns", ""]),
    ),
    st.floats(0, 1e7),
    st.integers(0, 200),
)
def test_no_line_is_longer_than_its_room(report, elapsed_s, width):
    assert len(progress_line(report, elapsed_s=elapsed_s, width=width)) <= width
