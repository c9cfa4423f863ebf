import logging

from boomlib import progress
from boomlib.progress import Progress


def test_a_line_in_ten_seconds_says_how_far_it_is(monkeypatch, caplog):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    caplog.set_level(logging.DEBUG, "boomlib")
    counted = Progress("graph", "mol", 60)
    for _ in range(6):
        now[0] += 4
        counted.advance(10)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(" [")[0].split("|")[0] for line in lines] == ["graph:  50%", "graph: 100%"]
    assert "30/60" in lines[0]
    assert "00:12<00:12" in lines[0]
    assert not any(character in line for line in lines for character in "\r\n")


def test_of_an_unknown_number_it_counts(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    caplog.set_level(logging.DEBUG, "boomlib")
    counted = Progress("read archive", "mol", level=logging.DEBUG)
    now[0] = 20.0
    counted.advance(2000)
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert record.getMessage().startswith("read archive: 2000mol [00:20, 100.00mol/s")
