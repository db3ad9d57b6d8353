"""Distinct values over segments, numbered by first appearance."""

from __future__ import annotations

import pyarrow as pa
import pytest
from encoded_tables import case_folded, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import CONTAINER_SAMPLES
from genuine_columns import database
from tabvault.engine.column_files import entries
from tabvault.engine.encoder import vocabulary as vocabulary_module
from tabvault.engine.encoder.vocabulary import Vocabulary
from tabvault.engine.values import from_numbers, from_text, value_type
from tabvault.model.objects import DataType, DictionaryType

TEXTS = st.lists(st.lists(st.sampled_from("abcABCxyzXYZ"), max_size=6), max_size=8)


@given(TEXTS, st.randoms(), st.booleans(), st.integers(0, 3))
@settings(deadline=None)
def test_numbers_are_those_of_one_pass_in_order(
    segments: list[list[str]], random: st.Random, folding: bool, fixed: int
) -> None:
    fixed_count = min(fixed, len(segments[0])) if segments else 0
    expected: list[str] = list(segments[0][:fixed_count]) if segments else []
    places: dict[str, int] = {}
    for place, text in enumerate(expected):
        places.setdefault(text.lower() if folding else text, place)
    numbers = []
    for index, segment in enumerate(segments):
        for at, text in enumerate(segment):
            if index == 0 and at < fixed_count:
                numbers.append(at)
                continue
            key = text.lower() if folding else text
            if key not in places:
                places[key] = len(expected)
                expected.append(text)
            numbers.append(places[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary_module, "_PENDING_MIN", 3)
        vocabulary = Vocabulary(pa.large_string())
        arrivals = list(enumerate(segments))
        random.shuffle(arrivals)
        for index, segment in arrivals:
            vocabulary.add(index, pa.array(segment, pa.large_string()))
        found = vocabulary.numbered(
            list(range(len(segments))), case_folded if folding else None, fixed_count=fixed_count
        )
    assert found.entries.to_pylist() == expected
    assert [number for index in range(len(segments)) for number in found.numbers[index].tolist()] == numbers
    spellings = {text for segment in segments for text in segment}
    assert found.folded_count == len(spellings) - len({text.lower() if folding else text for text in spellings})


@given(
    st.sampled_from([pa.int64(), pa.float64()]),
    st.lists(st.lists(st.integers(-5, 5) | st.integers(-(2**53), 2**53), max_size=8), min_size=1, max_size=8),
    st.randoms(),
    st.booleans(),
)
@settings(deadline=None)
def test_numbers_of_numbers_follow_their_first_appearance_too(
    value_type: pa.DataType, segments: list[list[int]], random: st.Random, is_first_fixed: bool
) -> None:
    fixed = list(dict.fromkeys(segments[0])) if is_first_fixed else []
    segments = [fixed or segments[0], *segments[1:]]
    expected = list(dict.fromkeys(number for segment in segments for number in segment))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary_module, "_PENDING_MIN", 3)
        vocabulary = Vocabulary(value_type)
        arrivals = list(enumerate(segments))
        random.shuffle(arrivals)
        for index, segment in arrivals:
            vocabulary.add(index, pa.array(segment, value_type))
        found = vocabulary.numbered(list(range(len(segments))), None, fixed_count=len(fixed))
    assert (found.entries.type, found.entries.to_pylist(), found.folded_count) == (value_type, expected, 0)
    for index, segment in enumerate(segments):
        assert found.numbers[index].tolist() == [expected.index(number) for number in segment]


def test_genuine_dictionaries_come_out_when_rows_come_in_their_order() -> None:
    """Each entry of a genuine dictionary as one row: entries, their order and their width are the engine's."""
    same, total = 0, 0
    for sample in CONTAINER_SAMPLES:
        genuine = database(sample)
        for table in genuine.model.tables:
            for column in table.columns:
                dictionary = column.storage.dictionary if column.storage else None
                if dictionary is None or dictionary.type != DictionaryType.HASH or dictionary.file is None:
                    continue
                found = entries(genuine.files, table, column, dictionary, lambda _: None)
                target = value_type(column)
                if column.data_type in {DataType.STRING, DataType.BINARY}:
                    rows = from_text(found, target, file=None)
                else:
                    rows = from_numbers(found, target, is_null=None, file=None)
                stored = encode({1: pa.table({"c": rows})}, pa.schema([("c", target)]), needs_dictionary=True)
                made = stored.encoded.column(100)
                total += 1
                same += (
                    made.entries.tolist() if hasattr(made.entries, "tolist") else made.entries.to_pylist()
                ) == found.tolist() and made.dictionary.is_operating_on_32 == dictionary.is_operating_on_32
    print(f"{same} of {total} genuine dictionaries are made again entry by entry")  # noqa: T201 - what was found
    assert total > 0
    assert same == total
