import importlib

import numpy as np
import pyarrow as pa
import pytest
from conftest import write_resamples
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from boomlib.contracts import fold_array, read_table, write_molecules, write_predictions, write_table
from boomlib.evaluation.score import score
from boomlib.evaluation.summary import write_summary
from boomlib.files import write_json, write_text
from boomlib.report.figures import density, parity
from boomlib.report.figures.distribution import plot_distribution
from boomlib.report.figures.heatmap import plot_heatmap, shorten_number
from boomlib.report.figures.parity import plot_parity
from boomlib.report.figures.ratio import plot_ratio
from boomlib.report.figures.style import FOLD_COLOURS
from boomlib.runs import Run


def texts(fig):
    return [text.get_text() for ax in fig.axes for text in (*ax.texts, ax.title)]


@pytest.fixture
def task(tmp_path):
    """300 molecules, and the predictions of one model: exact but for two too high and one too low."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=300)
    fold = np.repeat(["train", "valid", "id", "ood"], [200, 20, 30, 50])
    paths = [tmp_path / name for name in ("molecules.parquet", "split.parquet", "seed1.parquet")]
    write_molecules(paths[0], ["C"] * 300, {"hof": y}, {"hof": "eV"})
    ids = np.arange(300)
    write_table(pa.table({"molecule_id": ids, "fold": fold_array(fold), "density": rng.random(300)}), paths[1])
    y_pred = y.copy()
    y_pred[[220, 260, 261]] += 10, 10, -10
    write_predictions(paths[2], ids[200:], fold[200:], y_pred[200:])
    return paths


@pytest.mark.parametrize("crowded", [False, True])
def test_parity(task, tmp_path, drawn, monkeypatch, crowded):
    if crowded:
        monkeypatch.setattr(parity, "CROWDED", 10)
    molecules, split, seed1 = task
    predictions = {"model": [tmp_path / "no seed0.parquet", seed1], "failed": [tmp_path / "nothing.parquet"]}
    named = {"labels": {"model": "Model", "failed": "Failed"}, "property_name": "hof", "label": "heat", "unit": "eV"}
    out = [tmp_path / "plots/a.png", tmp_path / "plots/b.png"]
    for path in out:
        plot_parity(molecules, split, predictions, path, **named)
    assert out[0].read_bytes() == out[1].read_bytes()
    panel, failed = drawn[0].axes
    found = texts(drawn[0])
    assert {"Model", "Failed", "no result", "▲ 2 beyond", "▼ 1 beyond"} <= set(found)
    # errors of 10 in 1 of 30 on ID and in 2 of 50 on OOD: 10/√30 and 10/√25
    assert "RMSE  ID 1.83   OOD 2.00" in found
    assert panel.get_xlim() == panel.get_ylim() == failed.get_xlim()
    assert panel.get_xlim()[1] < 5
    assert bool(panel.images) == crowded
    assert not failed.images


@pytest.mark.parametrize("scale", [1e69, 1e-69])
def test_parity_holds_the_largest_and_smallest_labels(task, tmp_path, drawn, scale):
    molecules, split, seed1 = task
    table, fold = read_table(molecules), read_table(split)["fold"].to_numpy().astype(str)
    y = table["hof"].to_numpy() * scale
    write_molecules(molecules, table["smiles"].to_pylist(), {"hof": y}, {"hof": "eV"})
    write_predictions(seed1, np.arange(300)[200:], fold[200:], y[200:] + 0.5 * scale)
    named = {"labels": {"model": "Model"}, "property_name": "hof", "label": "heat", "unit": "eV"}
    plot_parity(molecules, split, {"model": [seed1]}, tmp_path / "a.png", **named)
    low, high = np.array(drawn[0].axes[0].get_xlim()) / scale
    assert (low, high) == pytest.approx((-3, 3), abs=1)
    shown = {1e69: "5.00e68", 1e-69: "5.00e-70"}[scale]
    assert f"RMSE  ID {shown}   OOD {shown}" in texts(drawn[0])


def test_models_with_one_label_have_a_panel_each(task, tmp_path, drawn):
    molecules, split, seed1 = task
    predictions, labels = {"a": [tmp_path / "nothing.parquet"], "b": [seed1]}, {"a": "Model", "b": "Model"}
    out = tmp_path / "a.png"
    plot_parity(molecules, split, predictions, out, labels=labels, property_name="hof", label="heat", unit="eV")
    assert [ax.get_title() for ax in drawn[0].axes] == ["Model", "Model"]
    assert sum("no result" in [text.get_text() for text in ax.texts] for ax in drawn[0].axes) == 1


def test_density_keeps_every_point(drawn):
    ax = Figure().subplots()
    points = np.array([0.05, 0.05, 0.55]), np.array([0.05, 0.05, 0.95])
    density.draw_density(ax, points, (np.array([0.55]), np.array([0.05])), (0, 1), bins=10)
    image = np.asarray(ax.images[0].get_array())
    assert {tuple(cell) for cell in np.argwhere(image[..., 3] > 0)} == {(0, 0), (9, 5), (0, 5)}  # row is y
    assert image[0, 0, 3] > image[9, 5, 3]
    assert image[9, 5, :3] == pytest.approx(to_rgb(FOLD_COLOURS["id"]))
    assert image[0, 5, :3] == pytest.approx(to_rgb(FOLD_COLOURS["ood"]))


@pytest.mark.parametrize("scheme", ["kde", "scaffold"])
def test_distribution(task, tmp_path, drawn, scheme):
    molecules, split, _ = task
    rank = np.arange(300) // 3
    if scheme == "scaffold":
        table = read_table(split)
        write_table(table.set_column(2, "density", pa.array(rank.astype(float))), split)
    out = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in out:
        plot_distribution(molecules, split, path, property_name="hof", label="heat", unit="eV", scheme=scheme)
    assert out[0].read_bytes() == out[1].read_bytes()
    assert b"Software" not in out[0].read_bytes()  # its version would change the bytes
    top, bottom = drawn[0].axes
    assert top.get_legend_handles_labels()[1] == ["train (200)", "valid (20)", "ID (30)", "OOD (50)"]
    assert [patch.get_data().values.sum() for patch in top.patches] == [200, 20, 30, 50]
    assert [len(points.get_offsets()) for points in bottom.collections] == [200, 20, 30, 50]
    assert bottom.get_xlabel() == "heat (eV)"
    module = importlib.import_module(f"boomlib.splits.{scheme}")
    assert bottom.get_ylabel() == module.QUANTITY.replace("{unit}", "eV")
    heights = np.ma.getdata(bottom.collections[0].get_offsets())[:, 1]
    if scheme == "scaffold":
        assert list(heights) == list(rank[:200] + 1)  # the axis is logarithmic
    else:
        assert heights.max() < 1


@pytest.fixture
def leaderboard(tmp_path):
    """Models good, poor (lacks x) and the control perfect on tasks x and y."""
    y = np.arange(12, dtype=float)
    fold = np.repeat(["train", "valid", "id", "ood"], [4, 2, 3, 3])
    runs = [Run("d", task, "kde", model, 0) for task in "xy" for model in ("perfect", "poor", "good")]
    for run in runs:
        error = {"perfect": 0, "poor": 30, "good": 3}[run.model]
        if (run.model, run.property) != ("poor", "x"):
            y_pred = y + np.where(fold == "ood", error, error / 2)
            content = {"run": vars(run), "unit": "eV"} | score(y, fold, y_pred, resamples=5)
            write_json(tmp_path / "metrics" / f"{run.stem}.json", content)
            write_resamples(tmp_path, run, id=error / 2, ood=error)
            write_text(tmp_path / "predictions" / f"{run.stem}.parquet", "")
            facts = {"molecules": {"train": 4}, "versions": {}}
            write_json(tmp_path / "predictions" / run.stem / "run.json", facts)
    write_summary(tmp_path, runs, tmp_path / "leaderboard.csv", tmp_path / "runs.csv", controls={"perfect"})
    return tmp_path / "leaderboard.csv"


def draw_twice(plot, csv, tmp_path):
    out = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in out:
        plot(csv, path, scheme="kde", labels={"good": "Good", "poor": "Poor", "perfect": "Best"}, controls={"perfect"})
    assert out[0].read_bytes() == out[1].read_bytes()


def test_heatmap(leaderboard, tmp_path, drawn):
    draw_twice(plot_heatmap, leaderboard, tmp_path)
    ax = drawn[0].axes[0]
    # the mean of train is 1.5, so the floor on 9, 10 and 11 is √((7.5² + 8.5² + 9.5²) / 3) = 8.54
    assert [text.get_text() for text in ax.texts] == ["0.35", "0.35", "—", "3.5", "0", "0"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["Good", "Poor", "Best"]
    assert [text.get_style() for text in ax.get_yticklabels()] == ["normal", "normal", "italic"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["d\nx", "d\ny"]
    (hatched,) = ax.patches
    assert hatched.get_xy() == (-0.5, 0.5)
    norm = ax.images[0].norm
    assert norm.vmin * norm.vmax == pytest.approx(1)


def test_ratio(leaderboard, tmp_path, drawn):
    draw_twice(plot_ratio, leaderboard, tmp_path)
    ax = drawn[0].axes[0]
    points = {series.get_label(): np.ma.getdata(series.get_offsets())[:, 0] for series in ax.collections}
    assert points["d/x"] == pytest.approx([2, np.nan, np.nan], nan_ok=True)
    assert points["d/y"] == pytest.approx([2, 2, np.nan], nan_ok=True)
    assert points["mean"] == pytest.approx([2, np.nan, np.nan], nan_ok=True)
    assert [text.get_text() for text in ax.texts] == ["1 of 2 tasks", "0 of 2 tasks"]
    assert ax.get_xscale() == "log"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (np.nan, "—"),
        (0.0234, "0.023"),
        (0.996, "1.0"),
        (42.4, "42"),
        (312.0, "312"),
        (5e5, "5e5"),
        (3e-6, "3e-6"),
    ],
)
def test_short_numbers(value, text):
    assert shorten_number(value) == text
