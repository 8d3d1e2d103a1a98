"""What a client may know of an exception, and what the log gets."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import trio
from attrs import frozen

from rtcore.errors import ProcessFailed, ProcessNotStarted, RequestError

__all__ = ["Failure", "bounded_text", "describe_failure", "log_failure"]

_LOGGED = "_rtcore_logged"
_CANCELLATIONS = (trio.Cancelled, KeyboardInterrupt, GeneratorExit)
"""Ends that somebody asked for from outside of the block."""
_EXPLAINED = (ProcessFailed, ProcessNotStarted)
"""The message says it all: where in rtcore it was raised helps nobody."""


@frozen(kw_only=True)
class Failure:
    """An exception in words for clients: no traceback, bounded in length."""

    error_type: str
    """Name of the exception's class, without its module."""
    error: str
    cancelled: bool
    """The work did not fail by itself: somebody ended it."""


def describe_failure(error: BaseException, maximum_bytes: int) -> Failure:
    """
    Describe what ended a block.

    Cancellation counts only where nothing else happened: a nursery that an error took down holds that error and the
    cancellations of its siblings, and failed by the error.

    Args:
        error: An exception, or a group of any nesting.
        maximum_bytes: Longest text, in bytes of UTF-8.
    """
    leaves = list(_leaves(error))
    faults = [leaf for leaf in leaves if not isinstance(leaf, _CANCELLATIONS)]
    if not faults:
        return Failure(error_type=type(leaves[0]).__name__, error="cancelled", cancelled=True)
    if len(faults) == 1:
        text = _message(faults[0])
        return Failure(error_type=type(faults[0]).__name__, error=bounded_text(text, maximum_bytes), cancelled=False)
    text = f"{len(faults)} errors: " + "; ".join(f"{type(fault).__name__}: {_message(fault)}" for fault in faults)
    return Failure(error_type=type(error).__name__, error=bounded_text(text, maximum_bytes), cancelled=False)


def bounded_text(text: str, maximum_bytes: int) -> str:
    """Text that JSON can carry, of at most so many bytes of UTF-8: lone surrogates become `?`, the rest is cut off."""
    data = text.encode(errors="replace")
    return data[:maximum_bytes].decode(errors="ignore")


def log_failure(logger: logging.Logger, what: str, error: BaseException, failure: Failure) -> None:
    """Log the end of a block; the traceback once, by the innermost block that the exception leaves."""
    if failure.cancelled:
        logger.info("%s was cancelled", what)
        return
    faults = [leaf for leaf in _leaves(error) if not isinstance(leaf, _CANCELLATIONS)]
    known = all(hasattr(fault, _LOGGED) or isinstance(fault, _EXPLAINED) for fault in faults)
    logger.error("%s failed: %s: %s", what, failure.error_type, failure.error, exc_info=None if known else error)
    for fault in faults:
        with contextlib.suppress(AttributeError):  # an exception class may forbid attributes: then it is logged again
            setattr(fault, _LOGGED, True)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions of a group; iterative, since groups may be nested as deep as their maker likes."""
    waiting = [error]
    while waiting:
        current = waiting.pop()
        if isinstance(current, BaseExceptionGroup):
            waiting.extend(reversed(current.exceptions))
        else:
            yield current


def _message(error: BaseException) -> str:
    if isinstance(error, RequestError):
        return error.message
    try:
        return str(error)
    except Exception:  # user code: an exception whose text raises must not hide the failure that it stands for
        return "an error whose text cannot be had"
