"""Exceptions in words for clients."""

from __future__ import annotations

import logging

import pytest
import trio

from rtcore.errors import ErrorCode, ProcessFailed, RequestError
from rtcore.features.failure import bounded_text, describe_failure, log_failure


async def cancelled() -> trio.Cancelled:
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            kept = error
            raise
    return kept


def test_a_single_error_gives_its_class_and_text() -> None:
    failure = describe_failure(ValueError("no such index"), 100)
    assert (failure.error_type, failure.error, failure.cancelled) == ("ValueError", "no such index", False)


def test_an_error_alone_in_nested_groups_speaks_for_itself() -> None:
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [KeyError("x")])])
    assert describe_failure(group, 100).error_type == "KeyError"


def test_several_errors_are_all_named() -> None:
    failure = describe_failure(ExceptionGroup("both", [ValueError("a"), OSError("b")]), 100)
    assert (failure.error_type, failure.error) == ("ExceptionGroup", "2 errors: ValueError: a; OSError: b")


async def test_cancellation_counts_only_where_nothing_failed() -> None:
    cancellation = await cancelled()
    assert describe_failure(cancellation, 100).cancelled
    assert describe_failure(BaseExceptionGroup("all", [cancellation, cancellation]), 100).cancelled
    mixed = describe_failure(BaseExceptionGroup("mixed", [cancellation, ValueError("cause")]), 100)
    assert (mixed.cancelled, mixed.error_type, mixed.error) == (False, "ValueError", "cause")


def test_text_is_bounded_and_fit_for_json() -> None:
    assert bounded_text("aé", 2) == "a"
    assert bounded_text("file-\udcff", 100) == "file-?"
    assert len(describe_failure(ValueError("x" * 1000), 64).error) == 64


def test_an_exception_whose_text_raises_is_described_all_the_same() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert describe_failure(Broken(), 100).error_type == "Broken"


def test_a_request_error_gives_its_message() -> None:
    assert describe_failure(RequestError(ErrorCode.BUSY, "try later"), 100).error == "try later"


def test_the_traceback_is_logged_once_however_many_blocks_the_error_leaves(caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("cause")
    group = ExceptionGroup("nursery", [error])
    for what, leaving in [("task 'a'", error), ("task 'b'", group)]:
        log_failure(logging.getLogger("test"), what, leaving, describe_failure(leaving, 100))
    assert [record.exc_info is not None and record.exc_info[1] is error for record in caplog.records] == [True, False]
    assert caplog.messages == ["task 'a' failed: ValueError: cause", "task 'b' failed: ValueError: cause"]


def test_a_process_that_failed_explains_itself_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    error = ProcessFailed("exit code 2", returncode=2)
    log_failure(logging.getLogger("test"), "tool 'make'", error, describe_failure(error, 100))
    assert [record.exc_info for record in caplog.records] == [None]
