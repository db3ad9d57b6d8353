"""
S3 for the tests: moto as a process of its own (:mod:`storage.s3.s3_service`), and a new bucket for each test.

It ends with the process that started it, however that ends: it waits for the end of its input. Parts may be as short
as 64 bytes there.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from storage.s3.bucket import REGION, Bucket, service_access
from tabvault.storage.s3.client import s3_client

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """The port of a running service."""
    program = Path(__file__).with_name("s3_service.py")
    with subprocess.Popen(
        [sys.executable, str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "S3_UPLOAD_PART_MIN_SIZE": "64"},
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline()
        if not port:
            pytest.fail("the S3 service did not start")
        yield int(port)
        # Leaving closes its input, and it ends.


@pytest.fixture(scope="session")
def s3(s3_port: int) -> Iterator[Any]:
    """The client library as anybody uses it."""
    client = s3_client(service_access(f"http://127.0.0.1:{s3_port}"), quiet_max_s=30.0)
    yield client
    client.close()


@pytest.fixture
def bucket(s3_port: int, s3: Any, tmp_path: Path) -> Iterator[Bucket]:
    """An empty bucket."""
    made = Bucket(s3_port, f"test-{secrets.token_hex(8)}", s3, tmp_path / "notes")
    s3.create_bucket(Bucket=made.name, CreateBucketConfiguration={"LocationConstraint": REGION})
    yield made
    for store in made.stores:
        store.close()
