"""
Which service, by what key, and which bucket of it.

The secret half of the key is in one field, which neither ``repr`` nor any message shows. It never crosses the network
(requests are signed with it), but what is signed and sent would be readable and could be repeated for a quarter of an
hour, so ``http`` is taken for the loopback interface alone.

Source: "Signature Version 4" (AWS), "Bucket naming rules", "Methods for accessing a general purpose bucket".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from tabvault.errors import StorageError
from tabvault.storage.account_url import check_account_url
from tabvault.storage.names import check_container_name

_URL_HINT = "the URL of the service without a bucket, like https://s3.eu-central-1.amazonaws.com"
_AMAZON = re.compile(r"(?:.*\.)?amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True, slots=True)
class S3Access:
    """
    A service that speaks S3, and a bucket of it. Get it from :func:`access_by_key`.

    Attributes:
        url: of the service, without bucket and slash at its end.
        region: that requests are signed for.
        access_key_id: the half of the key that may be shown.
        secret: the other half.
        bucket: its name; empty where the service as a whole is meant.
    """

    url: str
    region: str
    access_key_id: str
    secret: str = field(repr=False)
    bucket: str = ""

    @property
    def place(self) -> str:
        """What a person calls it; without any secret."""
        return f"bucket {self.bucket} of {self.url}" if self.bucket else self.url

    @property
    def has_bucket_in_host_name(self) -> bool:
        """Whether the bucket stands before the name of the service: at Amazon, and nowhere else for certain."""
        return _AMAZON.fullmatch(urlsplit(self.url).hostname or "") is not None

    def of_bucket(self, name: str) -> S3Access:
        """
        Access to one bucket.

        Raises:
            InvalidNameError: *name* cannot be a container's.
        """
        return replace(self, bucket=check_container_name(name))


def access_by_key(url: str, *, region: str, access_key_id: str, secret: str) -> S3Access:
    """
    Access by a key.

    Raises:
        StorageError: the URL, the region or the key cannot be one; the message does not repeat the key.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", region) is None:
        raise StorageError(
            "that cannot be the name of a region",
            hint="a name like eu-central-1; services that have no regions take us-east-1",
        )
    for what, text in (("access key id", access_key_id), ("secret access key", secret)):
        if re.fullmatch(r"[!-~]{1,1024}", text) is None:
            raise StorageError(f"the {what} is empty or has characters that no key has", hint="copy it again")
    return S3Access(_checked_url(url), region, access_key_id, secret)


def _checked_url(url: str) -> str:
    """*url* without the slash at its end. It is not repeated in a message: it might carry a secret."""
    spelling = check_account_url(url)
    if urlsplit(spelling).path:
        raise StorageError("the URL of the service has a path", hint=_URL_HINT)
    return spelling
