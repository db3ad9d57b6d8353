"""
What a probe found, in the words of whoever configured the backup storage.

Failures with one reason are one finding, which says what does not work for it. How grave it is depends on what is
left: a storage that gives and takes nothing has FAILED; one that only gives is fit for a server that only restores.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from tabvault.errors import DiskFullError, StorageAccessError, StorageError, StoreUnavailableError
from tabvault.storage.azure.append_only import BYTE_COUNT_MAX, is_append_only
from tabvault.storage.probing import Explanation

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Mapping, Sequence

    from tabvault.jobs.verification import Severity
    from tabvault.storage.probing import UnfinishedUpload

EXPIRY_WARNING: Final = timedelta(days=14)
CLOCK_SKEW_S_MAX: Final = 300.0
"""A service refuses signatures of another quarter of an hour; a third of that is no jitter of a network."""

SHOWN_UPLOAD_COUNT_MAX: Final = 20

Step = Literal["list", "write", "read", "remove", "unfinished"]
StepResult: TypeAlias = Literal[True] | Explanation

_WORKS: Final[dict[Step, str]] = {
    "list": "files can be listed",
    "write": "backups can be written",
    "read": "backups can be read",
    "remove": "files can be removed",
}
_FAILS: Final[dict[Step, str]] = {
    "list": "files cannot be listed",
    "write": "backups cannot be written",
    "read": "backups cannot be read, restored or verified",
    "remove": "files cannot be removed",
    "unfinished": "unfinished uploads cannot be listed",
}

_UNAVAILABLE: Final = frozenset({"container_missing", "account_disabled", "certificate", "unreachable", "unavailable"})
_REFUSED: Final = frozenset({"exists", "immutable", "leased", "refused"})


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One condition, for one line.

    Attributes:
        code: for programs: the step that works, why one does not, or what else there is to say.
        severity: how grave it is.
        message: for people.
        hint: the way out, where there is one.
        steps: what does not work because of it.
    """

    code: str
    severity: Severity
    message: str
    hint: str | None = None
    steps: tuple[Step, ...] = ()


def findings_of(
    results: Mapping[Step, StepResult],
    *,
    permissions: str | None,
    expires: datetime.datetime | None,
    clock_skew_s: float | None,
    unfinished: Sequence[UnfinishedUpload],
    outbound_address: Callable[[], str | None] | None,
    now: datetime.datetime,
) -> list[Finding]:
    """
    What is to be said of a probe, failures first.

    Args:
        results: of the steps that were seen.
        permissions: letters of the SAS, where there is one and it tells.
        expires: end of the credential, where it has one and tells.
        clock_skew_s: how far this machine's clock is ahead of the storage's, where that tells.
        unfinished: uploads that were begun and not published.
        outbound_address: asks for the address that the storage is reached from, where there is a network.
        now: by this machine's clock, in UTC.
    """
    failing: dict[Explanation, list[Step]] = {}
    for step, result in results.items():
        if result is not True:
            failing.setdefault(result, []).append(step)
    is_readable = results.get("read") is True
    findings = [
        _failure(explanation, tuple(steps), outbound_address, is_readable=is_readable)
        for explanation, steps in failing.items()
    ]
    if results.get("write") is True and is_append_only(permissions):
        findings = [_append_only(permissions, findings), *(one for one in findings if not _is_of_letter_d(one))]
    findings.sort(key=lambda finding: finding.severity)  # FAILED before WARNING
    if not any(finding.code == "expired" for finding in findings):
        findings += _expiry(expires, now - timedelta(seconds=clock_skew_s or 0.0))
    findings += _clock(clock_skew_s)
    findings += [Finding(step, "OK", text) for step, text in _WORKS.items() if results.get(step) is True]
    findings += _unfinished(unfinished)
    return findings


def error_of(finding: Finding) -> StorageError:
    """The error for one who needs what *finding* says does not work."""
    if finding.code == "disk_full":
        return DiskFullError(finding.message, hint=finding.hint)
    if finding.code in _UNAVAILABLE:
        return StoreUnavailableError(finding.message, hint=finding.hint)
    if finding.code in _REFUSED:
        return StorageError(finding.message, hint=finding.hint)
    return StorageAccessError(finding.message, hint=finding.hint)


def _failure(
    explanation: Explanation,
    steps: tuple[Step, ...],
    outbound_address: Callable[[], str | None] | None,
    *,
    is_readable: bool,
) -> Finding:
    code: str = explanation.reason
    text, hint = explanation.text, explanation.hint
    is_limited = code in {"permission", "immutable"} and ("write" not in steps or is_readable)
    if code == "network_rules" and outbound_address is not None:
        text, hint = _network_rules(text, outbound_address())
    elif code == "permission" and "write" in steps and is_readable:
        code = "read_only"
    what = "nothing works there" if {"list", "write", "read"} <= set(steps) else "; ".join(_FAILS[s] for s in steps)
    return Finding(code, "WARNING" if is_limited else "FAILED", f"{text}: {what}", hint, steps)


def _append_only(permissions: str | None, findings: Sequence[Finding]) -> Finding:
    """The case of a SAS that allows new objects only, and perhaps to remove some."""
    what = "overwriting does not"
    steps: tuple[Step, ...] = ()
    if any(_is_of_letter_d(finding) for finding in findings):
        what, steps = "overwriting and retention do not, for nothing can be replaced or removed", ("remove",)
    return Finding(
        "append_only",
        "WARNING",
        f"the SAS is append-only, it has {permissions}: backups work up to {BYTE_COUNT_MAX >> 20} MiB; {what}",
        "make a SAS with w (write) for larger ones; a version-level immutability policy forbids overwriting too",
        steps,
    )


def _is_of_letter_d(finding: Finding) -> bool:
    return finding.code == "permission" and finding.steps == ("remove",)


def _network_rules(text: str, address: str | None) -> tuple[str, str]:
    """The case of the storage firewall, with the address that is to be let in."""
    where = "in the Azure portal: the storage account, Networking, Selected networks, Firewall, Address range"
    region = (
        "such rules do not apply to traffic from the account's own region or the one paired with it: "
        "there choose All networks, or a private endpoint"
    )
    if address is None:
        return text, f"add this server's outbound address {where}; {region}"
    nat = (
        "is private, so the storage sees another one, that of the NAT or the proxy on the way: add that"
        if not ipaddress.ip_address(address.partition("%")[0]).is_global
        else "is to be added, unless a NAT or a proxy on the way shows the storage another one"
    )
    return f"{text} (it asks from {address})", f"the address {address} {nat}, {where}; {region}"


def _expiry(expires: datetime.datetime | None, now: datetime.datetime) -> list[Finding]:
    if expires is None or expires - now > EXPIRY_WARNING:
        return []
    at = f"{expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    hint = "make a new one and save it in the settings"
    if expires <= now:
        return [Finding("expired", "FAILED", f"the SAS expired at {at}", hint)]
    return [Finding("expires_soon", "WARNING", f"the SAS expires at {at}, in {_amount(expires - now)}", hint)]


def _amount(left: timedelta) -> str:
    if left >= timedelta(days=2):
        return f"{left.days} days"
    hour_count = left // timedelta(hours=1)
    return f"{hour_count} hours" if hour_count > 1 else "less than two hours"


def _clock(clock_skew_s: float | None) -> list[Finding]:
    if clock_skew_s is None or abs(clock_skew_s) <= CLOCK_SKEW_S_MAX:
        return []
    minute_count = round(abs(clock_skew_s) / 60)
    way = "ahead of" if clock_skew_s > 0 else "behind"
    return [
        Finding(
            "clock_skew",
            "WARNING",
            f"this machine's clock is {minute_count} minutes {way} the storage's",
            "set it by NTP: keys are refused when it is a quarter of an hour wrong, and a SAS begins and ends by it",
        )
    ]


def _unfinished(uploads: Sequence[UnfinishedUpload]) -> list[Finding]:
    if not uploads:
        return []
    shown = ", ".join(_shown(upload) for upload in uploads[:SHOWN_UPLOAD_COUNT_MAX])
    more = f" and {len(uploads) - SHOWN_UPLOAD_COUNT_MAX} more" if len(uploads) > SHOWN_UPLOAD_COUNT_MAX else ""
    what = "an upload was" if len(uploads) == 1 else f"{len(uploads)} uploads were"
    hint = "begun again they go on from there; left alone they are removed, a week after their last piece came"
    if any(upload.is_ours is False for upload in uploads):
        foreign = "those of others stay until they end them, or a lifecycle rule of the bucket does"
        hint = foreign if all(upload.is_ours is False for upload in uploads) else f"{hint}; {foreign}"
    return [Finding("unfinished_uploads", "OK", f"{what} begun and not published: {shown}{more}", hint)]


def _shown(upload: UnfinishedUpload) -> str:
    told = [] if upload.byte_count is None else [f"{upload.byte_count:,} bytes"]
    if told and upload.begun is not None:
        told.append(f"begun {upload.begun:%Y-%m-%d %H:%M} UTC")
    if upload.is_ours is False:
        told.append("not by this Tabvault")
    return f"{upload.name} ({', '.join(told)})" if told else upload.name
