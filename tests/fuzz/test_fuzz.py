"""The kept corpus of the fuzz targets, and what lies near it; `sh deploy/test.sh --all` goes on from there, guided."""

from __future__ import annotations

import pytest

from tests.fuzz.fuzzing import corpus, fuzz
from tests.fuzz.targets import TARGETS
from tests.property.pipeline.native_values import needs_native

pytestmark = needs_native


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_no_input_of_the_corpus_is_taken_in_two_ways(target: str) -> None:
    inputs = corpus(target)
    assert len(inputs) >= 20
    for content in inputs:
        TARGETS[target](content)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_nor_is_what_lies_near_it(target: str) -> None:
    """Not guided: the compiled code of an installation tells no edges."""
    runs, _ = fuzz(target, 3.0)
    assert runs > 500
