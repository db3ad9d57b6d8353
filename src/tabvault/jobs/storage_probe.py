"""
A probe of the backup storage: a small object is written, read, listed and removed, and what failed is said.

Invariants:

1. The object has one name, :data:`PROBE_NAME`, and always the same bytes. So a probe that is killed, or that may not
   remove, leaves one object at most, which the next one replaces; and probes of several servers may meet: they cannot
   tell each other's bytes from their own, and need not. Where a SAS allows new objects only, the first probe leaves
   the object for good, and those after it are refused because it is there: to be refused for that, one has to be
   allowed to create.
2. Whatever the probe wrote, it tries to remove, also when something between went wrong.
3. A failure of the storage is a finding; nothing of it is raised.

The steps are tried in an order that asks most cheaply first. A failure that holds for every call (an expired SAS, a
service that cannot be reached) is asked for once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tabvault.errors import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StoreUnavailableError,
)
from tabvault.jobs.storage_findings import Finding, Step, StepResult, error_of, findings_of
from tabvault.storage.azure.append_only import is_append_only
from tabvault.storage.probing import Explanation, Probeable, explanation_of

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Sequence

    from tabvault.storage.accounts import AccountFacts
    from tabvault.storage.contract import ObjectStore
    from tabvault.storage.probing import ProbedStore, UnfinishedUpload

PROBE_NAME: Final = "tabvault-probe.tmp"
"""Legal everywhere, at the top of the container (a folder would stay when the object goes), and no backup's ending."""

CONTENT: Final = b"written by tabvault to see whether backups can be written here; it may be removed\n"

_STEPS: Final[tuple[Step, ...]] = ("list", "write", "read", "remove")

_ROUND_COUNT_MAX: Final = 3
"""How often another probe may take away what was just written."""


@dataclass(frozen=True, slots=True)
class Probe:
    """
    What was found.

    Attributes:
        account: name of the storage account, as the settings call it.
        container: the container.
        time: when it was probed, in UTC.
        findings: one for each condition, in the order of their weight in the eyes of a person.
        is_listable: whether files can be listed.
        is_writable: whether backups can be written.
        is_readable: whether backups can be read.
        is_removable: whether files can be removed; None where that was not seen.
        permissions: letters of the SAS; None where it is none, or does not tell.
        expires: when the credential does; None where it does not, or does not tell.
        clock_skew_s: how far this machine's clock is ahead of the storage's, where it tells.
        unfinished: uploads that were begun and not published, where the storage tells.
    """

    account: str
    container: str
    time: datetime.datetime
    findings: tuple[Finding, ...]
    is_listable: bool
    is_writable: bool
    is_readable: bool
    is_removable: bool | None
    permissions: str | None = None
    expires: datetime.datetime | None = None
    clock_skew_s: float | None = None
    unfinished: tuple[UnfinishedUpload, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing FAILED."""
        return all(finding.severity != "FAILED" for finding in self.findings)

    @property
    def is_usable(self) -> bool:
        """Whether backups can be written."""
        return self.is_writable

    @property
    def refusal(self) -> StorageError | None:
        """The error for one who wants to write backups there; None if they can be written."""
        if self.is_usable:
            return None
        return error_of(next(finding for finding in self.findings if "write" in finding.steps))


def probe(store: ObjectStore, *, account: AccountFacts, container: str, now: datetime.datetime) -> Probe:
    """
    Try what backups, restores and retention do with a container.

    Args:
        store: the container.
        account: what is known of its account.
        container: its name, for what is said.
        now: the time, in UTC.
    """
    if not isinstance(store, Probeable):
        return _probed(store, None, account, container, now)
    probed = store.probing()
    try:
        return _probed(probed, probed, account, container, now)
    finally:
        probed.close()


def unopened(error: StorageError, *, account: AccountFacts, container: str, now: datetime.datetime) -> Probe:
    """What is found where the container could not even be opened, for that *error*."""
    attempts = _Attempts(explanation_of)
    for step in _STEPS:
        attempts.failed(step, explanation_of(error))
    return _summed_up(attempts.results, account, container, now)


def _probed(
    store: ObjectStore, probed: ProbedStore | None, account: AccountFacts, container: str, now: datetime.datetime
) -> Probe:
    attempts = _Attempts(explanation_of if probed is None else probed.explain)
    _attempt_steps(store, attempts, replace=not is_append_only(account.permissions))
    results = attempts.results
    unfinished: list[UnfinishedUpload] = []
    if probed is not None and results["list"] is True:
        attempts.attempt("unfinished", lambda: unfinished.extend(probed.unfinished_uploads()))
    return _summed_up(results, account, container, now, probed, unfinished)


def _summed_up(
    results: dict[Step, StepResult],
    account: AccountFacts,
    container: str,
    now: datetime.datetime,
    probed: ProbedStore | None = None,
    unfinished: Sequence[UnfinishedUpload] = (),
) -> Probe:
    skew_s = None if probed is None else probed.clock_skew_s
    findings = findings_of(
        results,
        permissions=account.permissions,
        expires=account.expires,
        clock_skew_s=skew_s,
        unfinished=unfinished,
        outbound_address=None if probed is None else probed.outbound_address,
        now=now,
    )
    return Probe(
        account=account.name,
        container=container,
        time=now,
        findings=tuple(findings),
        is_listable=results["list"] is True,
        is_writable=results["write"] is True,
        is_readable=results["read"] is True,
        is_removable=None if "remove" not in results else results["remove"] is True,
        permissions=account.permissions,
        expires=account.expires,
        clock_skew_s=skew_s,
        unfinished=tuple(unfinished),
    )


@dataclass
class _Attempts:
    """
    What became of each step: True if it worked, else why it did not; a step that was not seen is not there.

    After a failure that holds for every call, the steps that come are not tried: they fail for that reason.
    """

    explain: Callable[[StorageError], Explanation]
    results: dict[Step, StepResult] = field(default_factory=dict)
    general: Explanation | None = None

    def attempt(self, step: Step, action: Callable[[], object]) -> bool:
        """Do *action*, and note how it went; whether it worked."""
        if self.general is not None:
            self.results[step] = self.general
            return False
        try:
            action()
        except StorageError as error:
            # Where there is nothing to list, nothing is made by writing: it may be the wrong place.
            is_general = step == "list" and isinstance(error, (ObjectNotFoundError, StoreUnavailableError))
            self.failed(step, self.explain(error), is_general=is_general)
            return False
        self.results[step] = True
        return True

    def failed(self, step: Step, explanation: Explanation, *, is_general: bool = False) -> None:
        """
        Note why *step* failed.

        Args:
            step: which.
            explanation: why.
            is_general: it would be the same with every other, whatever the explanation says.
        """
        self.results[step] = explanation
        if is_general or explanation.is_general:
            self.general = explanation


def _attempt_steps(store: ObjectStore, attempts: _Attempts, *, replace: bool) -> None:
    attempts.attempt("list", lambda: list(store.list(PROBE_NAME)))
    try:
        for round_number in range(1, _ROUND_COUNT_MAX + 1):
            if not attempts.attempt("write", lambda: _write(store, attempts.explain, replace=replace)):
                attempts.attempt("read", lambda: _look(store))
                break
            try:
                attempts.attempt("read", lambda: _read(store))
            except _Gone:
                if round_number == _ROUND_COUNT_MAX:
                    text = "what was just written there is not there"
                    attempts.failed("read", Explanation("refused", text, "ask who else writes to the container"))
            else:
                break
    finally:
        _remove(store, attempts)


class _Gone(Exception):  # noqa: N818 - it never gets out of this module
    """Another probe has removed or replaced what this one wrote."""


def _write(store: ObjectStore, explain: Callable[[StorageError], Explanation], *, replace: bool) -> None:
    try:
        with store.create(PROBE_NAME, replace=replace) as upload:
            upload.write(CONTENT)
            upload.finish()
    except (ObjectExistsError, ObjectChangedError):
        return  # another probe was quicker, or earlier: who was not allowed to write would have been told so first
    except StorageError as error:
        # An object of another probe, which nobody may replace or remove (yet), says that one could write it.
        if explain(error).reason not in {"exists", "immutable", "leased"}:
            raise


def _read(store: ObjectStore) -> None:
    try:
        with store.open(PROBE_NAME) as stored:
            content = bytes(stored.read_at(0, min(stored.byte_count, 2 * len(CONTENT))))
    except (ObjectNotFoundError, ObjectChangedError):
        raise _Gone from None
    if content != CONTENT:
        raise StorageError(
            f"{PROBE_NAME} reads otherwise than it was written", hint="what is stored there is not to be trusted"
        )


def _look(store: ObjectStore) -> None:
    """Whether one may read, where nothing could be written."""
    try:
        store.info(PROBE_NAME)
    except ObjectNotFoundError:
        return


def _remove(store: ObjectStore, attempts: _Attempts) -> None:
    is_written = attempts.results.get("write") is True
    if attempts.general is not None and not is_written:
        attempts.results["remove"] = attempts.general
        return
    try:
        store.remove(PROBE_NAME)
    except ObjectNotFoundError:
        if is_written:  # another probe was quicker; else nobody was asked whether one may
            attempts.results["remove"] = True
    except StorageError as error:
        explanation = attempts.explain(error)
        if explanation.reason != "leased":  # by another probe, which will remove it
            attempts.failed("remove", explanation)
    else:
        attempts.results["remove"] = True
