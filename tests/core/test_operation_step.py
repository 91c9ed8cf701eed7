"""The table of operation steps: each step's share of the operation and the sentence of progress displays."""

from itertools import pairwise

from modelyard.core.domain.operation_step import OperationStep, sentence_of

A_NEW_DEPLOYMENT = ["queued", "waiting", "resolving", "installing", "checking", "starting workers", "routing"]


def test_percent_rises_from_step_to_step_of_a_new_deployment():
    percents = [OperationStep(name).percent for name in A_NEW_DEPLOYMENT]
    assert all(earlier < later for earlier, later in pairwise(percents)), percents


def test_every_step_lies_between_the_beginning_and_the_end():
    assert {step: step.percent for step in OperationStep if not 0 < step.percent < 100} == {}


def test_every_step_has_a_sentence_of_its_own_that_fits_the_progress_display():
    sentences = [step.sentence for step in OperationStep]
    assert len(set(sentences)) == len(OperationStep)
    assert [sentence for sentence in sentences if not 0 < len(sentence) <= 32] == []


def test_step_of_a_newer_platform_is_shown_by_its_name():
    assert sentence_of("warming up") == "warming up"
