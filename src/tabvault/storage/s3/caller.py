"""
The one place where the service is called.

A call that may pass is repeated (:mod:`~tabvault.storage.remote.patience`); whatever the client library raises leaves
here as a :class:`~tabvault.storage.remote.patience.Refusal`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore import xform_name

from tabvault.storage.remote.patience import HURRIED_S, Patience, Refusal, repeated
from tabvault.storage.remote.wire import outlasting_stops
from tabvault.storage.s3.client import s3_client
from tabvault.storage.s3.refusals import FAILURES, AnswerError, Operation, refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tabvault.storage.remote.wire import Stop
    from tabvault.storage.s3.access import S3Access

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Listing:
    """
    A call that lists by pages.

    Attributes:
        operation: the call.
        of: the field with the entries.
        fields: what each entry has to have.
        markers: arguments that ask for the next page, and the fields of the answer that say them.
    """

    operation: Operation
    of: str
    fields: tuple[str, ...]
    markers: Mapping[str, str]

    def page(self, answer: Mapping[str, Any], asked: Mapping[str, object]) -> tuple[list[Any], dict[str, object]]:
        """
        The entries of an answer, and what asks for the next page: nothing at the end.

        Raises:
            AnswerError: it is not whole, or would go round in circles.
        """
        entries: list[Any] = answer.get(self.of) or []
        if answer.get("IsTruncated") is None or any(field not in entry for entry in entries for field in self.fields):
            raise AnswerError
        if not answer["IsTruncated"]:
            return entries, {}
        markers = {argument: answer.get(field) for argument, field in self.markers.items()}
        if None in markers.values() or markers == asked:
            raise AnswerError
        return entries, markers


class Caller:
    """
    Calls the service; may be used from several threads.

    Args:
        access: the service, and the bucket if it is about one.
        patience: how long it is asked again.
    """

    def __init__(self, access: S3Access, patience: Patience) -> None:
        self.access = access
        self._patience = patience
        self._client = s3_client(access, quiet_max_s=patience.quiet_max_s)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(
        self,
        operation: Operation,
        name: str = "",
        arguments: Mapping[str, object] | None = None,
        *,
        needs: tuple[str, ...] = (),
        stop: Stop | None = None,
    ) -> dict[str, Any]:
        """
        The answer to one call about an object, or about the bucket as a whole.

        Args:
            operation: which call.
            name: the object, or empty.
            arguments: of the call, beside bucket and name.
            needs: what the answer has to have; without it, it counts as lost.
            stop: as in :func:`~tabvault.storage.remote.patience.repeated`.

        Raises:
            Refusal: it failed for good.
        """

        def call(client: Any) -> dict[str, Any]:
            answer = self._asked(client, operation, name, arguments or {})
            if any(answer.get(field) is None for field in needs):
                raise AnswerError
            return answer

        return self.run(operation, name, call, stop=stop)

    def entries(self, listing: Listing, name: str = "", arguments: Mapping[str, object] | None = None) -> Iterator[Any]:
        """
        All that a listing lists, page by page, each page asked for again by itself.

        Raises:
            Refusal: it failed for good.
        """
        markers: dict[str, object] = {}
        while True:

            def call(client: Any, markers: dict[str, object] = markers) -> tuple[list[Any], Any]:
                answer = self._asked(client, listing.operation, name, {**(arguments or {}), **markers})
                return listing.page(answer, markers)

            page, markers = self.run(listing.operation, name, call)
            yield from page
            if not markers:
                return

    def _asked(self, client: Any, operation: Operation, name: str, arguments: Mapping[str, object]) -> dict[str, Any]:
        place = {field: value for field, value in (("Bucket", self.access.bucket), ("Key", name)) if value}
        answer: dict[str, Any] = getattr(client, xform_name(operation.name))(**place, **arguments)
        return answer

    def run(
        self,
        operation: Operation,
        name: str,
        call: Callable[[Any], _T],
        *,
        stop: Stop | None = None,
    ) -> _T:
        """
        The result of *call*, which gets the client.

        Raises:
            Refusal: it failed for good.
        """
        return repeated(self._attempt(operation, name, call), self._patience, stop=stop)

    def clear_up(self, operation: Operation, name: str, arguments: Mapping[str, object]) -> Refusal | None:
        """Make a call that nobody should wait for long, also after a stop; gives how it failed, if it did."""
        attempt = self._attempt(operation, name, lambda client: self._asked(client, operation, name, arguments))
        try:
            with outlasting_stops(HURRIED_S, even_set=True):
                repeated(attempt, self._patience.hurried())
        except Refusal as refusal:
            return refusal
        return None

    def _attempt(self, operation: Operation, name: str, call: Callable[[Any], _T]) -> Callable[[float], _T | Refusal]:
        def attempt(_left_s: float) -> _T | Refusal:
            try:
                return call(self._client)
            except FAILURES as error:
                refusal = refusal_of(error, operation=operation, name=name, access=self.access)
            # Out of the except clause: the library's error must not become the context of ours.
            return refusal

        return attempt
