"""What every test may ask for: the genuine samples, and a way to say that a part is missing on this machine."""

from __future__ import annotations

import dataclasses
import gc
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tabvault.formats.age import WORK_FACTOR, Encryptor
from tabvault.jobs.access import passwords

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

pytest_plugins = ["sources.postgresql"]

REPOSITORY = Path(__file__).resolve().parents[1]
QUICK_WORK_FACTOR = 10
"""Two digits, as the product's: the header of an encrypted file is as long."""
PRODUCT_N = passwords.N
SAMPLES = Path(os.environ.get("TABVAULT_SAMPLES", REPOSITORY.parent / "shared" / "samples"))

CONTAINER_SAMPLES = (
    "Hugoberry__ABF.bin",
    "Hugoberry__Adventure_Works_Internet_Sales.pbix",
    "Hugoberry__DataModel.abf",
    "Hugoberry__DataModel_uncompressed.abf",
    "Hugoberry__abc.pbix",
    "Hugoberry__directquery-parameters.pbix",
    "Hugoberry__empty-schema-calc-only.pbix",
    "Hugoberry__old-Customer-Profitability-Sample-PBIX.pbix",
    "Hugoberry__old-schema17-DataTable.pbix",
    "Hugoberry__ols-sample-report.pbix",
    "Hugoberry__rls-sample-report.pbix",
    "microsoft__2018SU04_Blog_Demo_-_April.pbix",
    "microsoft__2018SU08_Blog_Demo_-_August.pbix",
    "microsoft__2019SU06_Blog_Demo_-_June.pbix",
    "microsoft__Artificial_Intelligence_Sample.pbix",
    "microsoft__Corporate_Spend.pbix",
    "microsoft__Regional_Sales_Sample.pbix",
    "rkapp22__Dashboard.SemanticModel_.pbi_cache.abf",
    "sql-bi__Contoso.pbix",
)
"""Every sample whose model has its metadata in ``metadata.sqlitedb``."""

XML_SAMPLES = (
    "Hugoberry__Supplier_Quality_Analysis_Sample-no-PV.xlsx",
    "Hugoberry__null_data_id.xlsx",
    "microsoft__IT_Spend_Analysis_Sample-no-PV.xlsx",
)
"""Power Pivot workbooks: the container is the same, the metadata are XML."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests are collected to stay: whoever looks for garbage need not go through them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_unconfigure() -> None:
    """What was set aside is let go, as at the end of any program."""
    gc.unfreeze()


@pytest.fixture(autouse=True, scope="session")
def quick_scrypt() -> Iterator[None]:
    """
    Passwords are hashed with real scrypt, but with a small N: what it costs a guesser, it costs a thousand tests too.

    That is so in this process. Programs of their own take the product's N, and what that is, is proven of them
    (``test_cli_passwords``, ``test_passwords``).
    """
    with pytest.MonkeyPatch.context() as patch:
        assert Encryptor.__init__.__kwdefaults__ is not None
        patch.setitem(Encryptor.__init__.__kwdefaults__, "work_factor", QUICK_WORK_FACTOR)
        patch.setattr(passwords, "N", 1 << QUICK_WORK_FACTOR)
        patch.setattr(passwords, "_NOBODY", dataclasses.replace(passwords._NOBODY, n=1 << QUICK_WORK_FACTOR))
        yield


@pytest.fixture
def slow_scrypt(quick_scrypt: None) -> Iterator[None]:
    """The product's N again, for tests that have to do with the time that a password takes."""
    with pytest.MonkeyPatch.context() as patch:
        assert Encryptor.__init__.__kwdefaults__ is not None
        patch.setitem(Encryptor.__init__.__kwdefaults__, "work_factor", WORK_FACTOR)
        patch.setattr(passwords, "N", PRODUCT_N)
        patch.setattr(passwords, "_NOBODY", dataclasses.replace(passwords._NOBODY, n=PRODUCT_N))
        yield


def missing(reason: str) -> None:
    """Skip on a user's machine, fail in CI: a part that CI does not run is a part nobody runs."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have it: {reason}", pytrace=False)
    pytest.skip(reason)


def sample_path(name: str) -> Path:
    path = SAMPLES / name
    if not path.exists():
        missing(f"sample {name} is not at {SAMPLES} (set TABVAULT_SAMPLES)")
    return path


def program(name: str) -> str:
    """The full path of a program of the operating system."""
    path = shutil.which(name)
    if path is None:
        missing(f"program {name} is not installed")
        raise AssertionError
    return path


@pytest.fixture(params=CONTAINER_SAMPLES)
def sample(request: pytest.FixtureRequest) -> Path:
    """Each genuine file with a sqlite model in turn."""
    return sample_path(request.param)
