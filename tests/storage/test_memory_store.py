"""The store in memory keeps the contract."""

from __future__ import annotations

import pytest

from tabvault.testing.memory_store import MemoryStore
from tabvault.testing.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    def put_directly(self, store: MemoryStore, name: str, data: bytes) -> None:
        store.bodies[name] = data

    def read_directly(self, store: MemoryStore, name: str) -> bytes | None:
        return store.bodies.get(name)
