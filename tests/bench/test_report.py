"""The arithmetic of the report: medians, spans, ratios within a round, what is named, what is drawn."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

SVG = "{http://www.w3.org/2000/svg}"


def result(server: str, test: str, number: int, cost: float, **more: float) -> Any:
    from compare.rounds import Result

    figures = {"cpu_seconds_per_million": cost, "per_second": 1e6 / cost, "server_busy": 0.5, "generator_busy": 0.25}
    return Result(server, test, number, {**figures, **more})


@pytest.fixture
def results() -> list[Any]:
    """rtcore at twice the floor's cost in each of three rounds, of which the second was a slow one."""
    floor = {1: 2.0, 2: 10.0, 3: 3.0}
    return [
        each
        for number, cost in floor.items()
        for each in (result("rtcore", "fan1", number, cost * 2), result("floor", "fan1", number, cost))
    ]


def test_spread_is_median_least_and_most(results: list[Any]) -> None:
    from compare.arithmetic import Spread, spread_of
    from compare.measures import CPU

    assert spread_of(results, "rtcore", "fan1", CPU) == Spread(6.0, 4.0, 20.0)
    assert spread_of(results, "picows", "fan1", CPU) is None


def test_ratio_compares_each_round_with_itself(results: list[Any]) -> None:
    """The medians of a noisy day would say anything; in each round rtcore took exactly twice the floor's."""
    from compare.arithmetic import Spread, ratio_of
    from compare.measures import CPU

    assert ratio_of(results, "rtcore", "floor", "fan1", CPU) == Spread(2.0, 2.0, 2.0)


def test_ratio_takes_only_rounds_that_both_have_and_divides_by_no_zero(results: list[Any]) -> None:
    from compare.arithmetic import Spread, ratio_of
    from compare.measures import CPU

    some = [each for each in results if (each.server, each.round) != ("floor", 2)]
    assert ratio_of(some, "rtcore", "floor", "fan1", CPU) == Spread(2.0, 2.0, 2.0)
    zero = [result("floor", "fan1", 1, 1.0, cpu_seconds_per_million=0.0), result("rtcore", "fan1", 1, 1.0)]
    assert ratio_of(zero, "rtcore", "floor", "fan1", CPU) is None


def test_measure_scales_divides_and_takes_off() -> None:
    from compare.measures import GROWTH, LATENCY

    assert LATENCY[0].read({"p50_us": 2500.0}) == 2.5
    assert LATENCY[0].read({}) is None
    assert GROWTH.read({"resident_kib_end": 900.0, "resident_kib_opened": 400.0, "silent": 50.0}) == 10.0


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0804, "0.080"), (5.944, "5.94"), (43.52, "43.5"), (9107.0, "9107"), (12345, "12.3k"), (2.35e6, "2.35M")],
)
def test_numbers_have_the_digits_that_matter(value: float, text: str) -> None:
    from compare.report import number_text

    assert number_text(value) == text


def test_tables_have_medians_spans_ratios_and_dashes(results: list[Any]) -> None:
    from compare.report import render

    results.append(result("websockets", "fan64", 1, 8.0))
    text = render(results, {"rtcore": "rtcore 1", "websockets": "websockets 2", "floor": "floor"})
    assert "| rtcore 1 | 6.00 | - |" in text
    assert "| websockets 2 | - | 8.00 |" in text
    assert "| rtcore 1 | 6.00 (4.00-20.0) | 167k (50.0k-250k) | - | - | 2.00x | 1.00x | 50 / 25 |" in text
    assert "| floor | 3.00 (2.00-10.0) | 333k (100k-500k) | - | - | 1.00x | 2.00x | 50 / 25 |" in text


def test_whatever_was_not_as_it_should_be_is_named(results: list[Any]) -> None:
    """A server that drops looks fast: the reader has to be told."""
    from compare.report import render
    from compare.rounds import Result

    results += [result("socketify", "fan1", 2, 1.0, lost=7.0, stalls=1.0), Result("picows", "fan1", 3, {}, "gone")]
    text = render(results, {name: name for name in ("rtcore", "picows", "socketify", "floor")})
    assert "- fan1, socketify, round 2: lost 7, stalls 1" in text
    assert "- fan1, picows, round 3: failed: gone" in text


def test_chart_has_a_bar_for_each_server_and_serves_both_themes(results: list[Any]) -> None:
    from compare.chart import draw

    text = draw(results, ["rtcore", "floor"], "a <machine>")
    bars = [each for each in ElementTree.fromstring(text).iter(f"{SVG}rect") if each.get("rx")]
    widths = [float(each.attrib["width"]) for each in bars]
    assert len(widths) == 2
    assert widths[0] == pytest.approx(widths[1] * 2, abs=0.1)
    assert "prefers-color-scheme: dark" in text
    assert "a &lt;machine&gt;" in text


def test_page_keeps_all_but_what_is_between_the_marks(tmp_path: Path) -> None:
    from compare.page import BEGIN, END, write_into_page

    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_into_page(page, "new\n")
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="measured: end"):
        write_into_page(page, "new")


def test_documented_page_has_the_marks_and_a_row_for_each_test_and_server() -> None:
    from compare.measures import TESTS
    from compare.page import BEGIN, END
    from compare.peers import PEERS

    page = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    explained, _, rest = page.partition(BEGIN)
    assert END in rest
    rows = set(re.findall(r"^\| `([a-z0-9-]+)`", explained, re.MULTILINE))
    assert rows == TESTS.keys() | PEERS.keys()
