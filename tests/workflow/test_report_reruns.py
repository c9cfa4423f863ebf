"""An edit in the report makes again what it is an edit of, and the page that shows it."""

import pytest

PAGE = "Write the leaderboard"
FIGURES = {
    "heatmap": "Plot the overview heatmap of the kde split",
    "ratio": "Plot the overview ratio of the kde split",
    "parity": "Plot predictions of tiny/size, kde split",
    "distribution": "Plot the distribution of tiny/size, kde split",
    "hardest": "Draw the hardest molecules of tiny/size, kde split",
}


@pytest.mark.slow  # one of them is in test_reruns.py
@pytest.mark.parametrize(
    ("path", "old", "new", "made"),
    [
        ("figures/heatmap.py", "0.55 * decades", "0.5 * decades", {FIGURES["heatmap"]}),
        ("figures/ratio.py", "s=16", "s=15", {FIGURES["ratio"]}),
        ("figures/parity.py", "0.04 * ", "0.05 * ", {FIGURES["parity"]}),
        ("figures/distribution.py", "bins=80", "bins=70", {FIGURES["distribution"]}),
        ("figures/hardest.py", "RESOLUTION = 300", "RESOLUTION = 200", {FIGURES["hardest"]}),
        ("figures/density.py", "bins: int = 90", "bins: int = 80", {FIGURES["parity"]}),
        ("figures/style.py", '"font.size": 8', '"font.size": 9', set(FIGURES.values())),
        ("tables/hardest.py", "LONGEST = 80", "LONGEST = 60", set()),
        ("tables/overall.py", ".2f", ".3f", set()),
        ("published.yaml", "0.0137", "0.0138", set()),
        ("leaderboard.md.j2", "# Leaderboard", "# The leaderboard", set()),
    ],
)
def test_an_edit_in_the_report(finished, path, old, new, made):
    file = finished.folder / "boomlib/report" / path
    text = file.read_text()
    try:
        finished.edit(f"boomlib/report/{path}", old, new)
        assert finished.planned() == made | {PAGE}
    finally:
        file.write_text(text)
