"""Why a job has failed: the one line that it writes to its log at the end, and that the leaderboard shows."""

from pathlib import Path

from boomlib.files import StrPath

NEUTRAL = "tells why a job has failed, whatever it was to compute"

MARK = "error: "
TAIL = 1 << 16  # bytes of a log that are read, from its end


def state_reason(message: str) -> str:
    """The line that says why a job has failed."""
    return MARK + " ".join(message.split())


def read_reason(log: StrPath) -> str:
    """Why the job with this log has failed, in one line.

    A job that was killed, or whose interpreter crashed, says nothing: then that stands there, with the last line.
    """
    with Path(log).open("rb") as stream:
        stream.seek(max(0, Path(log).stat().st_size - TAIL))
        text = stream.read().decode("utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    stated = [line for line in lines if line.startswith(MARK)]
    if stated:
        return stated[-1].removeprefix(MARK)
    end = f"its log ends: {lines[-1]}" if lines else "its log is empty"
    return f"ended without a reason, so it was killed (for its memory or its time?) or crashed; {end}"
