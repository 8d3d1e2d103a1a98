"""What one reader has read: positions, what is beyond them, and when."""

from __future__ import annotations

import random

from rtcore.features.notifications.read_marks import ReadMarks
from rtcore.protocol.json_codec import json_dumps

IDS = [f"{number:03}" for number in range(20)]


def test_position_covers_all_before_it_and_nothing_after() -> None:
    marks = ReadMarks().reading_up_to("005", 10.0)
    assert [id for id in IDS if marks.is_read(id)] == IDS[:6]
    assert marks.reading_up_to("003", 20.0) is marks, "a position never goes back"


def test_what_was_read_first_keeps_its_time() -> None:
    """A receipt says when somebody read it, not when everything was swept up later."""
    marks = ReadMarks().reading(["002"], 1.0).reading_up_to("004", 2.0).reading_up_to("008", 3.0).reading(["002"], 9.0)
    assert [marks.read_at(id) for id in ("002", "003", "006", "009")] == [1.0, 2.0, 3.0, None]


def test_reading_what_is_read_changes_nothing() -> None:
    marks = ReadMarks().reading(["002"], 1.0)
    assert marks.reading(["002"], 5.0) is marks


def test_dismissed_counts_as_read() -> None:
    marks = ReadMarks().dismissing(["002"], 1.0)
    assert (marks.is_read("002"), marks.read_at("002"), marks.out_of_turn()) == (True, 1.0, ["002"])


def test_marks_about_what_is_gone_are_forgotten_but_for_the_position() -> None:
    """Otherwise they would grow as long as somebody reads."""
    marks = ReadMarks().reading(["001", "012"], 1.0).dismissing(["002"], 1.0)
    marks = marks.reading_up_to("003", 2.0).reading_up_to("006", 3.0).reading_up_to("009", 4.0)
    kept = marks.keeping(["005", "012"])
    assert kept.positions == (("006", 3.0), ("009", 4.0))
    assert (dict(kept.singles), kept.dismissed) == ({"012": 1.0}, frozenset())
    assert marks.keeping([]).positions == (("009", 4.0),)


def test_positions_that_reached_nothing_that_is_kept_are_forgotten() -> None:
    """One old notification must not hold on to every position since: a status that is replaced and read all day."""
    marks = ReadMarks().reading_up_to("000", 0.0)
    for number in range(1, 3001):
        marks = marks.reading_up_to(f"{number:04}", float(number)).keeping(["000", f"{number:04}"])
    assert marks.positions == (("000", 0.0), ("3000", 3000.0))
    assert (marks.read_at("000"), marks.read_at("3000")) == (0.0, 3000.0)


def test_marks_count_about_what_they_are_as_json() -> None:
    """They are in memory as long as the inbox is, so its bound is theirs."""
    ids = [f"{number:012x}-{number:08x}" for number in range(300)]
    marks = ReadMarks().reading(ids[100:200], 1736942400.123).dismissing(ids[200:], 1736942400.123)
    for id in ids[:100]:
        marks = marks.reading_up_to(id, 1736942400.123)
    assert 0.7 <= marks.bytes / len(json_dumps(marks.document())) <= 1.4
    assert ReadMarks().bytes == 0


def test_random_marks_agree_with_a_set_and_survive_the_store() -> None:
    for seed in range(300):
        dice = random.Random(seed)
        marks, read, times = ReadMarks(), set[str](), dict[str, float]()
        for now in range(dice.randint(1, 12)):
            id = dice.choice(IDS)
            if dice.random() < 0.4:
                marks, new = marks.reading_up_to(id, now), {each for each in IDS if each <= id}
            else:
                marks, new = marks.reading([id], now), {id}
            times |= {each: float(now) for each in new - read}
            read |= new
            marks = ReadMarks.of_document(marks.keeping(IDS).document())
            assert {each for each in IDS if marks.is_read(each)} == read
            assert {each: at for each in IDS if (at := marks.read_at(each)) is not None} == times
            assert marks.out_of_turn() == sorted(each for each in read if each > marks.position)
