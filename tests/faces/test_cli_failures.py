"""Exit statuses and error messages: each command with a named error and with wrong usage, as text and as JSON."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pyarrow.parquet as pq
import pytest
from program import COMMAND, Terminal, call, environment

from conftest import sample_path
from tabvault.errors import ServerError
from tabvault.faces import rows
from tabvault.faces.cli import export, memory
from tabvault.faces.cli.restore import restore
from tabvault.faces.cli.serve import serve
from tabvault.jobs.export import ExportFormat
from tabvault.jobs.landing import ReadWriteMode, Security
from tabvault.jobs.vault import Vault

SAMPLE = "Hugoberry__DataModel.abf"
PASSWORD = "tr0ub4dor-and-3"


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    return lambda *arguments: call(*arguments, data=tmp_path / "data", monkeypatch=monkeypatch, capsys=capsys)


NAMED_ERRORS = [
    (["import", "missing.abf"], "storage_not_found"),
    (["backup", "missing"], "database_not_found"),
    (["restore", "missing.abf"], "storage_not_found"),
    (["restore", "../escape.abf"], "storage_invalid_name"),
    (["drop", "missing", "--yes"], "database_not_found"),
    (["query", "missing", "SELECT 1"], "database_not_found"),
    (["inspect", "missing.abf"], "storage_not_found"),
    (["inspect", "storage:missing.abf"], "storage_not_found"),
    (["verify", "missing.abf"], "storage_not_found"),
    (["verify", os.devnull], "storage"),
    (["export", "missing", "--to", "out"], "database_not_found"),
    (["storage", "put", "missing.abf"], "storage_not_found"),
    (["storage", "get", "missing.abf", "out.abf"], "storage_not_found"),
    (["storage", "remove", "missing.abf"], "storage_not_found"),
    (["storage", "configure", "--container", "No Such Name"], "storage_invalid_name"),
    (["verify", __file__, "--password-file", "no-such-password-file"], "password"),
    (["verify", __file__, "--password-file", "/"], "password"),
    (["inspect", __file__], "format_damaged"),
]

USAGE_ERRORS = [
    ["import"],
    ["databases", "too many"],
    ["backup"],
    ["backup", "Sales", "--password-file", "p"],
    ["restore"],
    ["restore", "s.abf", "--security", "none"],
    ["restore", "s.abf", "--read-write-mode", "write"],
    ["drop", "Sales"],
    ["query", "Sales"],
    ["inspect"],
    ["verify"],
    ["verify", "s.abf", "--password", PASSWORD],
    ["verify", "s.abf", f"--password={PASSWORD}"],
    ["export", "Sales"],
    ["export", "Sales", "--to", "out", "--format", "xlsx"],
    ["storage", "put"],
    ["storage", "get", "s.abf"],
    ["storage", "remove"],
    ["storage", "configure"],
    ["no-such-command"],
]


@pytest.mark.parametrize(("arguments", "code"), NAMED_ERRORS, ids=str)
def test_a_named_error_is_status_1_and_one_line_with_its_code(here, arguments, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = here(*arguments)
    assert (text.status, text.out) == (1, "")
    message, *hints = text.err.splitlines()
    assert message.startswith(f"error[{code}]: ")
    assert all(line.startswith("hint: ") for line in hints)
    assert len(hints) <= 1

    as_json = here(*arguments, "--json")
    assert (as_json.status, as_json.err) == (1, "")
    error = json.loads(as_json.out)["error"]
    assert error["code"] == code
    assert error["message"] in message
    assert hints == ([] if error["hint"] is None else [f"hint: {error['hint']}"])


@pytest.mark.parametrize("arguments", USAGE_ERRORS, ids=" ".join)
def test_wrong_usage_is_status_2_and_touches_nothing(here, arguments, tmp_path):
    text = here(*arguments)
    assert (text.status, text.out) == (2, "")
    assert text.err.startswith("error[usage]: ")
    assert text.err.splitlines()[-1].startswith("hint: ")
    assert PASSWORD not in text.err
    as_json = here(*arguments, "--json")
    assert (as_json.status, as_json.err) == (2, "")
    assert json.loads(as_json.out)["error"]["code"] == "usage"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", [[], ["storage"]])
def test_no_command_at_all_shows_the_commands_and_is_status_2(here, command):
    outcome = here(*command)
    assert (outcome.status, outcome.out) == (2, "")
    assert "Commands:" in outcome.err


@pytest.mark.parametrize(
    "command",
    ["import", "databases", "backup", "restore", "drop", "query", "inspect", "verify", "export", "storage list"]
    + [f"storage {name}" for name in ("put", "get", "remove", "show", "configure")],
)
def test_help_names_the_options_of_every_command_and_one_example(here, command):
    outcome = here(*command.split(), "--help")
    assert (outcome.status, outcome.err) == (0, "")
    assert "--data DIR" in outcome.out
    assert "TABVAULT_DATA" in outcome.out
    assert "--json" in outcome.out
    assert f"Example: tabvault {command}" in outcome.out
    assert here(*command.split(), "-h") == outcome


@pytest.mark.parametrize("group", [[], ["storage"]])
def test_help_of_a_group_names_its_commands(here, group):
    outcome = here(*group, "-h")
    assert (outcome.status, outcome.err) == (0, "")
    assert "Commands:" in outcome.out
    assert here(*group, "--help") == outcome


def test_help_loads_neither_arrow_nor_a_database_engine(tmp_path):
    script = (
        "import sys; sys.argv = ['tabvault', 'restore', '--help']\n"
        "from tabvault.faces.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit:\n"
        "    print(sorted({'pyarrow', 'duckdb', 'numpy', 'sqlglot', 'rich', 'cryptography'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment())
    assert shown.stdout.decode().splitlines()[-1] == "[]"


def test_a_list_of_files_loads_nothing_that_reads_backups(tmp_path):
    script = (
        "import sys; sys.argv = ['tabvault', 'storage', 'list']\n"
        "from tabvault.faces.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit:\n"
        "    read = {'lxml', 'tabvault.formats.abf', 'tabvault.formats.age', 'tabvault.jobs.file_details'}\n"
        "    print(sorted(read & set(sys.modules)))"
    )
    with Vault(tmp_path / "data") as vault:
        assert vault.own_folder.path
    known = environment(TABVAULT_DATA=str(tmp_path / "data"))
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=known)
    assert shown.stdout.decode().splitlines()[-1] == "[]"


def test_a_server_looks_for_garbage_as_often_as_python_does(tmp_path):
    usual = gc.get_threshold()
    memory.look_for_garbage_seldom()
    try:
        assert gc.get_threshold()[0] > 10 * usual[0]
        with pytest.raises(ServerError):
            serve(tls_cert=tmp_path / "none", tls_key=tmp_path / "none", data=tmp_path / "data")
        assert gc.get_threshold() == usual
    finally:
        memory.look_for_garbage_as_usual()


ALLOCATE = """
import resource, sys
from tabvault.faces.cli import memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [bytes(range(256)) * (32 << 10) for _ in range(6)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    memory.keep_what_is_freed()
faults()
print(min(faults() for _ in range(5)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be told")
def test_what_a_command_has_freed_it_uses_again():
    def faults(what: str) -> int:
        ran = subprocess.run([sys.executable, "-c", ALLOCATE, what], capture_output=True, text=True, check=True)
        return int(ran.stdout)

    assert faults("kept") * 10 < faults("usual")


def test_the_choices_offered_are_those_of_the_jobs():
    hints = get_type_hints(restore)
    assert get_args(hints["security"]) == get_args(Security)
    assert get_args(hints["read_write_mode"]) == get_args(ReadWriteMode)
    assert get_args(get_type_hints(export.export)["format_"]) == (*get_args(ExportFormat), "pbix-datamodel")


def test_a_verification_that_failed_is_status_1_and_its_json_says_which_condition(here, tmp_path):
    damaged = tmp_path / "damaged.abf"
    data = bytearray(sample_path(SAMPLE).read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    text = here("verify", damaged)
    assert text.status == 1
    lines = text.out.splitlines()
    assert any(line.startswith("FAILED   ") for line in lines)
    assert "DAMAGED" in lines[-1]
    as_json = here("verify", damaged, "--json")
    document = json.loads(as_json.out)
    assert (as_json.status, document["ok"]) == (1, False)
    assert "FAILED" in {condition["severity"] for condition in document["conditions"]}


def test_a_query_that_fails_between_rows_still_is_one_json_document(here, monkeypatch):
    # The second batch cannot be spelled, as if its column were damaged: a fault wrapper around the real function.
    spelled, calls = rows.lines, []

    def fails_at_the_second(batch, style, *, separator):
        calls.append(batch)
        if len(calls) == 2:
            raise RuntimeError(PASSWORD)
        return spelled(batch, style, separator=separator)

    monkeypatch.setattr(rows, "lines", fails_at_the_second)
    outcome = here("query", sample_path(SAMPLE), "SELECT range FROM range(100000)", "--json")
    document = json.loads(outcome.out)
    assert outcome.status == 1
    assert document["row_count"] == len(document["rows"]) > 0
    assert document["error"]["code"] == "internal"
    assert PASSWORD not in outcome.out + outcome.err


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_bug_shows_neither_values_nor_its_text_and_its_place_only_on_request(here, monkeypatch, debug):
    def buggy(*_):
        raise RuntimeError(PASSWORD)

    monkeypatch.setattr("tabvault.jobs.vault.Vault.inspect", lambda *_, **__: buggy(PASSWORD))
    monkeypatch.setenv("TABVAULT_DEBUG", debug)
    outcome = here("inspect", sample_path(SAMPLE))
    assert outcome.status == 1
    assert "error[internal]: internal error (RuntimeError), please report it" in outcome.err
    assert PASSWORD not in outcome.err
    assert ("in buggy" in outcome.err) == bool(debug)


def test_a_query_spoiled_by_the_shell_is_told_to_use_single_quotes(here):
    outcome = here("query", sample_path(SAMPLE), "SELECT * FROM .TMSCHEMA_TABLES")
    assert outcome.status == 1
    assert outcome.err.endswith("hint: the shell replaced $SYSTEM by nothing; put the query in single quotes\n")


def test_a_reader_that_goes_away_ends_the_program_quietly(tmp_path):
    with subprocess.Popen(
        [*COMMAND, "query", str(sample_path(SAMPLE)), "SELECT * FROM range(10000000)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(TABVAULT_DATA=str(tmp_path)),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"range\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


def test_a_full_disk_under_standard_output_is_an_error(tmp_path):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "databases", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(TABVAULT_DATA=str(tmp_path)),
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"error[error]: standard output cannot be written: no space left on device\n"


def test_ctrl_c_at_a_question_is_status_130(tmp_path):
    with Terminal("verify", sample_path(SAMPLE), "--password-file", "-", data=tmp_path) as terminal:
        terminal.expect("Password: ")
        terminal.interrupt()
        assert terminal.end() == 130
        assert terminal.text.splitlines()[-1] == "cancelled"


@pytest.mark.parametrize("report_count", [1, 2, 40])
@pytest.mark.parametrize("command", ["import", "backup", "storage put", "storage get"])
def test_ctrl_c_during_a_job_is_status_130_and_leaves_nothing_half_done(
    here, tmp_path, monkeypatch, command, report_count
):
    local = tmp_path / "local.abf"
    arguments = {
        "import": ["import", sample_path(SAMPLE), "Half"],
        "backup": ["backup", "Whole", "half.abf"],
        "storage put": ["storage", "put", sample_path(SAMPLE), "half.abf"],
        "storage get": ["storage", "get", "whole.abf", local],
    }[command]
    assert here("import", sample_path(SAMPLE), "Whole").status == 0
    assert here("storage", "put", sample_path(SAMPLE), "whole.abf").status == 0
    before = [here("databases").out, here("storage", "list").out]

    reports: list[object] = []

    def press_ctrl_c(report: object) -> None:
        reports.append(report)
        if len(reports) == report_count:
            raise KeyboardInterrupt

    module = f"tabvault.faces.cli.{command.split()[0].replace('import', 'import_')}"
    monkeypatch.setattr(f"{module}.shown_progress", lambda **_: contextlib.nullcontext(press_ctrl_c))
    outcome = here(*arguments)
    if len(reports) < report_count:
        assert outcome.status == 0, "it was over before"
        return
    assert (outcome.status, outcome.out, outcome.err) == (130, "", "cancelled\n")
    assert [here("databases").out, here("storage", "list").out] == before
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not [path for path in files if {"staging", ".tabvault-uploads"} & set(path.parts)]


@pytest.mark.parametrize("report_count", [1, 4])
def test_ctrl_c_during_an_export_says_which_files_are_there_by_then(here, tmp_path, monkeypatch, report_count):
    to = tmp_path / "out"
    reports: list[object] = []

    def press_ctrl_c(report: object) -> None:
        reports.append(report)
        if len(reports) == report_count:
            raise KeyboardInterrupt

    monkeypatch.setattr("tabvault.faces.cli.export.shown_progress", lambda **_: contextlib.nullcontext(press_ctrl_c))
    text = here("export", sample_path(SAMPLE), "--to", to)
    files = sorted(path.name for path in to.iterdir()) if to.exists() else []
    assert (text.status, text.out) == (130, "")
    assert bool(files) == (report_count > 1)
    assert all(pq.read_table(to / name).num_rows for name in files), "each is whole"
    assert text.err.startswith("cancelled")
    assert sorted(re.findall(r"[^ ,:]+\.parquet", text.err)) == sorted(name.rpartition(" ")[2] for name in files)

    reports.clear()
    as_json = here("export", sample_path(SAMPLE), "--to", to, "--json")
    error = json.loads(as_json.out)["error"]
    assert (as_json.status, error["code"], f"{error['message']}\n") == (130, "job_cancelled", text.err)


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_names_with_escape_sequences_never_reach_a_terminal_or_a_pipe_raw(here, tmp_path, hostile_backup, command):
    with Terminal(command, hostile_backup, data=tmp_path) as terminal:
        terminal.end()
    shown = [terminal.raw]
    for option in ([], ["--json"]):
        piped = here(command, hostile_backup, *option)
        shown.append((piped.out + piped.err).encode())
    for each in shown:
        assert b"evil" in each
        assert b"\x1b[2J" not in each
        assert b"\x07" not in each
        assert b"\nevil" not in each


def test_values_with_escape_sequences_never_reach_a_terminal_or_a_pipe_raw(here, tmp_path):
    query = (
        "query",
        sample_path(SAMPLE),
        "SELECT chr(27) || '[2Jevil' AS \"\x1b[2Jevil\", 'x' || chr(8238) || chr(7) AS v, '' AS e, NULL AS n",
    )
    with Terminal(*query, data=tmp_path) as terminal:
        assert terminal.end() == 0
    piped, as_json = here(*query), here(*query, "--json")
    for shown in (terminal.raw, piped.out.encode(), as_json.out.encode()):
        assert b"evil" in shown
        assert b"\x1b[2J" not in shown
        assert b"\x07" not in shown
        assert "\u202e".encode() not in shown
    assert piped.out.splitlines()[1] == r"\x1b[2Jevil" + "\t" + r"x\u202e\x07" + "\t\t" + r"\N"
    assert json.loads(as_json.out)["rows"] == [["\x1b[2Jevil", "x\u202e\x07", "", None]]


def test_an_argument_with_escape_sequences_is_quoted_in_errors(here):
    assert here("import", sample_path(SAMPLE), "Sales").status == 0
    for arguments in (["inspect", "\x1b[2Jevil"], ["\x1b[2Jevil"], ["drop", "\x1b[2Jevil", "--yes"]):
        outcome = here(*arguments)
        assert "evil" in outcome.err
        assert "\x1b" not in outcome.err


@pytest.fixture
def hostile_backup(tmp_path):
    """A genuine model whose table ``Cost Element`` got a name of the same length that clears the screen and rings."""
    from tabvault.formats.byte_source import pieces
    from tabvault.jobs.opening import open_backup
    from tabvault.storage.file_source import FileSource

    name = b"\x1b[2J\r\nevil\x07x"
    assert len(name) == len(b"Cost Element")
    with FileSource(sample_path("microsoft__Corporate_Spend.pbix")) as file, open_backup(file) as opened:
        data = b"".join(pieces(opened.source))
    path = tmp_path / "hostile.abf"
    path.write_bytes(data.replace(b"Cost Element", name))
    return path
