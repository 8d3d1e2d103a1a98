"""Puts tables into a page, between two marks."""

from __future__ import annotations

from pathlib import Path

__all__ = ["BEGIN", "END", "write_into_page"]

BEGIN = "<!-- measured: from here to the end mark, `python bench/run.py --update-docs` writes -->"
END = "<!-- measured: end -->"


def write_into_page(page: Path, text: str) -> None:
    """
    Replace what stands between the marks.

    Raises:
        ValueError: If the page does not have both, once and in order.
    """
    whole = page.read_text(encoding="utf-8")
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"{page} must have these lines once each, in this order: {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}", encoding="utf-8")
