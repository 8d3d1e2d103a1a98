"""The chart: bars for each test, less is better, as an SVG that is readable on a light page and on a dark one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from compare.arithmetic import Spread, spread_of
from compare.measures import TESTS, Measure, Test
from compare.report import number_text
from compare.rounds import Result

__all__ = ["draw"]

WIDTH, PANELS = 960, 3
BAR, GAP, TOP, LEFT, RIGHT = 15, 6, 62, 96, 84
HEAD, FOOT = 44, 30
PANEL_WIDTH = WIDTH // PANELS

# Of the Okabe-Ito palette, which colour-blind people can tell apart; each has contrast with white and with #0d1117.
COLOURS = ("#0072b2", "#56b4e9", "#d55e00", "#cc79a7", "#009e73", "#b58900", "#8c8c8c")
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.page { fill: #ffffff } .title { font-size: 16px; font-weight: 600 } .head { font-weight: 600 }
.soft { fill: #59636e; font-size: 11px } .span { stroke: #1f2328; stroke-width: 1.2 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .page { fill: #0d1117 } .soft { fill: #9198a1 } .span { stroke: #e6edf3 }
}
"""


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _bar(y: float, label: str, colour: str, spread: Spread | None, scale: float, x: float) -> list[str]:
    lines = [_text(x + LEFT - 6, y + BAR - 3, label, "soft", "end")]
    if spread is None:
        return [*lines, _text(x + LEFT, y + BAR - 3, "-", "soft")]
    middle = y + BAR / 2
    lines.append(
        f'<rect x="{x + LEFT}" y="{y:.1f}" width="{max(spread.median * scale, 1):.1f}" height="{BAR}" rx="2" '
        f'fill="{colour}"/>'
    )
    left, right = (x + LEFT + each * scale for each in (spread.least, spread.most))
    ends = "".join(f"M{each:.1f} {y + 4}v{BAR - 8}" for each in (left, right))
    lines.append(f'<path d="M{left:.1f} {middle}H{right:.1f}{ends}" class="span"/>')
    end = max(right, x + LEFT + spread.median * scale)
    return [*lines, _text(end + 5, y + BAR - 3, number_text(spread.median), "soft")]


def _panel(
    x: float, y: float, test: Test, measure: Measure, spreads: Mapping[str, Spread | None], colours: Mapping[str, str]
) -> list[str]:
    longest = max((spread.most for spread in spreads.values() if spread), default=0.0)
    scale = (PANEL_WIDTH - LEFT - RIGHT) / longest if longest > 0 else 0.0
    title = f"{measure.title}, {measure.unit}"
    lines = [_text(x + 12, y + 20, test.name, "head"), _text(x + 12, y + 38, title, "soft")]
    for row, (server, spread) in enumerate(spreads.items()):
        lines += _bar(y + TOP - 14 + row * (BAR + GAP), server, colours[server], spread, scale, x)
    return lines


def draw(results: Sequence[Result], servers: Sequence[str], caption: str) -> str:
    """
    The SVG's text.

    Args:
        results: All runs.
        servers: In the order of the bars.
        caption: What is written below: the machine, the day.
    """
    colours = {server: COLOURS[place % len(COLOURS)] for place, server in enumerate(servers)}
    panels = [
        (
            test,
            measure,
            {server: spread_of(results, server, test.name, measure) for server in servers if server in taking},
        )
        for test in TESTS.values()
        if (taking := {result.server for result in results if result.test == test.name})
        for measure in test.charted or test.measures[:1]
    ]
    panel_height = TOP + len(servers) * (BAR + GAP) + 4
    height = HEAD + math.ceil(len(panels) / PANELS) * panel_height + FOOT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img">',
        "<title>rtcore beside other WebSocket servers</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" class="page"/>',
        _text(12, 28, "rtcore beside other WebSocket servers: less is better", "title"),
    ]
    for place, (test, measure, spreads) in enumerate(panels):
        x, y = place % PANELS * PANEL_WIDTH, HEAD + place // PANELS * panel_height
        lines += _panel(x, y, test, measure, spreads, colours)
    lines += [_text(12, height - 12, caption, "soft"), "</svg>"]
    return "\n".join(lines) + "\n"
