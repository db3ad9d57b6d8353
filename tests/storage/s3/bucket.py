"""A bucket of the service that the tests run (:mod:`storage.s3.service`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tabvault.storage.s3.access import S3Access, access_by_key
from tabvault.storage.s3.store import S3BucketStore

if TYPE_CHECKING:
    from pathlib import Path

REGION = "eu-central-1"
SECRET = "the-secret-half/of+the-key"
ACCESS_KEY_ID = "AKIATESTTESTTESTTEST"


@dataclass(frozen=True)
class Bucket:
    """
    A bucket of the service.

    Attributes:
        notes: where its stores note their uploads.
    """

    port: int
    name: str
    client: Any = field(repr=False)
    notes: Path
    stores: list[S3BucketStore] = field(default_factory=list, repr=False)

    def access(self, port: int | None = None) -> S3Access:
        """Through a proxy, if *port* is its."""
        url = f"http://127.0.0.1:{port or self.port}"
        return service_access(url).of_bucket(self.name)

    def store(self, port: int | None = None, **options) -> S3BucketStore:
        store = S3BucketStore(self.access(port), **{"notes_folder": self.notes, **options})
        self.stores.append(store)
        return store

    def uploads(self) -> list[str]:
        """Names of the uploads in progress."""
        return [upload["Key"] for upload in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]

    def parts(self) -> list[list[int]]:
        """Numbers of the parts of each upload in progress."""
        begun = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        places = [{"Bucket": self.name, "Key": upload["Key"], "UploadId": upload["UploadId"]} for upload in begun]
        return [[part["PartNumber"] for part in self.client.list_parts(**place).get("Parts", [])] for place in places]

    def noted(self) -> list[Path]:
        """The notes about uploads, and whatever else lies beside them."""
        return sorted(self.notes.iterdir()) if self.notes.exists() else []

    def read(self, name: str) -> bytes | None:
        try:
            return self.client.get_object(Bucket=self.name, Key=name)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None


def service_access(url: str) -> S3Access:
    return access_by_key(url, region=REGION, access_key_id=ACCESS_KEY_ID, secret=SECRET)
