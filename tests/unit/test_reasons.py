"""Why a job failed, from the end of its log."""

import pytest

from boomlib.reasons import TAIL, read_reason, state_reason


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (b"3 rows\nerror: x.csv: no column 'SMILES'; set it\n", "x.csv: no column 'SMILES'; set it"),
        (b"Traceback (most recent call last):\n  x\nMemoryError\nerror: MemoryError\n", "MemoryError"),
        # a retry, and a worker that has a word after the last
        (b"error: first\nerror: second\n\n/loky/backend: UserWarning: leaked\n", "second"),
        (b"50 %\r100 %\nerror: caf\xe9\n", "caf\ufffd"),
        (b"error: at the beginning\n" + b"x" * TAIL + b"\nerror: at the end", "at the end"),
    ],
)
def test_the_last_reason_is_read(tmp_path, log, reason):
    (tmp_path / "job.log").write_bytes(log)
    assert read_reason(tmp_path / "job.log") == reason


@pytest.mark.parametrize(
    ("log", "end"),
    [
        (b"", "its log is empty"),
        (b"conformers: 512 mol\n\n", "its log ends: conformers: 512 mol"),
        (b" 10 %\r 20 %\r 30 %\n", "its log ends: 30 %"),
        (b"Fatal Python error: Segmentation fault\r\n", "its log ends: Fatal Python error: Segmentation fault"),
    ],
)
def test_a_job_that_was_killed_left_none_and_that_is_said(tmp_path, log, end):
    (tmp_path / "job.log").write_bytes(log)
    killed = "ended without a reason, so it was killed (for its memory or its time?) or crashed; "
    assert read_reason(tmp_path / "job.log") == killed + end


@pytest.mark.parametrize("message", ["one line", "of\nseveral  lines\n", "error: nested"])
def test_what_is_stated_is_read(tmp_path, message):
    line = state_reason(message)
    assert "\n" not in line
    (tmp_path / "job.log").write_text(f"{message}\n{line}\n")
    assert read_reason(tmp_path / "job.log") == " ".join(message.split())
