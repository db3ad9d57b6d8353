"""Standard streams that are closed or full: a named error, never a crash, never a file that takes their place."""

from __future__ import annotations

import subprocess

import pytest
from program import COMMAND, environment, run

from conftest import sample_path

COMMANDS = ["databases", "databases --json", "--help", "--version", "storage put --help", "inspect missing.abf --json"]
CLOSED = "error[error]: standard output cannot be written: bad file descriptor\n"
FULL = "error[error]: standard output cannot be written: no space left on device\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with one database."""
    data = tmp_path_factory.mktemp("data")
    assert run("import", sample_path("Hugoberry__DataModel.abf"), "Sales", data=data).status == 0
    return data


@pytest.fixture
def shell(data):
    """The program with redirections as a shell makes them."""

    def typed(command: str, redirections: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", f'"$0" "$@" {redirections}', *COMMAND, *command.split()],
            env=environment(TABVAULT_DATA=str(data)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return typed


@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_standard_output_is_a_named_error(shell, command):
    done = shell(command, ">&-")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", CLOSED)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_standard_output_is_a_named_error(shell, command):
    done = shell(command, ">/dev/full")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", FULL)


def test_a_closed_standard_error_loses_what_it_would_have_shown_and_nothing_else(shell):
    assert shell("databases", "2>&-").stdout == shell("databases", "").stdout != ""
    for command, status in [("drop missing --yes", 1), ("no-such-command", 2), ("", 2)]:
        done = shell(command, "2>&-")
        assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


def test_with_every_stream_closed_the_exit_status_still_tells(shell):
    assert shell("databases", "<&- >&- 2>&-").returncode == 1
    assert shell("drop missing --yes", "<&- >&- 2>&-").returncode == 1


def test_a_closed_standard_input_has_no_answer_to_give(shell):
    done = shell("drop missing", "<&-")
    assert done.returncode == 2
    assert done.stderr.startswith("error[usage]: dropping needs a yes, and there is no terminal to ask on")
    done = shell("inspect missing.abf --password-file -", "<&-")
    assert done.stderr.startswith("error[password]: standard input: the first line is empty")
