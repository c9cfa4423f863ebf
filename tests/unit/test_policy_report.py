import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from boomlib.contracts import (
    EPOCHS,
    NO_FOLD,
    PAIRS,
    PLACES,
    POLICY,
    fold_array,
    read_molecules,
    read_table,
    write_molecules,
    write_table,
)
from boomlib.evaluation.policy import RATIOS, score_policy_file
from boomlib.files import ContractError, read_json, write_json
from boomlib.report.figures import policy as policy_figure
from boomlib.report.figures.policy import learning_curves, plot_policy
from boomlib.report.numbers import format_interval, format_number
from boomlib.report.roles import Roles
from boomlib.report.tables.policy import tabulate_policies
from boomlib.runs import Run

CH2 = 14.01565
SWEEP = CH2 * np.linspace(-2, 2, 9)
TERMS = ("observed", "mdn", "support", "lor", "mmp", "dr_func", "dr_mean", "rex", "anchor", "loss", "abstention")


def make_run(folder, n=240, epochs=4, seed=0):
    """The files of one run: a CH₂ lowers the outcome by about 5, and the model has learned that with some noise."""
    rng = np.random.default_rng(seed)
    fold = rng.permutation(np.repeat(["train", "valid", "id", "ood"], [n - 3 * (n // 8), *[n // 8] * 3]))
    y = rng.normal(-60, 60, n) * np.where(fold == "ood", 3, 1)
    slope = rng.normal(-5, 1.5, n) / CH2
    m_observed = y + rng.normal(0, 25, n)
    log_ratio = rng.normal(-0.1, 0.5, n)
    values = {
        "environment": rng.integers(0, 16, n),
        "m_observed": m_observed,
        "m_moved": m_observed + slope * CH2,
        "m_policy": m_observed + slope * CH2 + rng.normal(0, 0.5, n),
        "log_ratio_density": log_ratio + rng.normal(0, 0.1, n),
        "log_ratio_classifier": log_ratio,
        "support": np.exp(-np.maximum(rng.normal(0.1, 0.4, n), 0)),
        "support_before": np.exp(-np.maximum(log_ratio, 0)),
        "alpha": rng.beta(6, 9, n),
        "sweep": pa.array(list(m_observed[:, None] + np.outer(slope, SWEEP)), POLICY.columns["sweep"]),
    }
    facts = {"shift": CH2, "sweep": SWEEP.tolist(), "offset": -1e5, "threshold": 0.6, "clip": 20.0}
    table = pa.table({"molecule_id": np.arange(n)} | values).replace_schema_metadata({"policy": json.dumps(facts)})
    write_table(table, folder / "policy.parquet", POLICY)

    asked = np.flatnonzero(fold != "train")
    noise = 80 * 0.7 ** np.arange(epochs)
    y_pred = np.concatenate([y[asked] + rng.normal(0, each + 5, len(asked)) for each in noise])
    epoch = np.repeat(np.arange(1, epochs + 1, dtype=np.int32), len(asked))
    write_table(
        pa.table({"molecule_id": np.tile(asked, epochs), "epoch": epoch, "y_pred": y_pred}),
        folder / "epochs.parquet",
        EPOCHS,
    )
    terms = np.geomspace(2, 1e-3, len(TERMS)) * np.geomspace(1, 0.3, epochs)[:, None]
    history = pd.DataFrame({"epoch": range(1, epochs + 1)} | dict(zip(TERMS, terms.T, strict=True)))
    history["mmp"] = 0.0
    history["valid_rmse"] = noise[::-1]  # the first epoch is the best
    history.to_csv(folder / "history.csv", index=False)

    left = rng.permutation(n)[: n // 2]
    right = np.argmin(np.abs(y[:, None] - (y[left] + slope[left] * CH2)), axis=0)
    write_table(
        pa.table({"left": left, "right": right, "delta_mass": np.full(len(left), CH2)}),
        folder / "pairs.parquet",
        PAIRS,
    )
    write_molecules(folder / "molecules.parquet", ["C"] * n, {"hof": y}, {"hof": "eV"})
    split = pa.table({"molecule_id": np.arange(n), "fold": fold_array(fold), "density": rng.random(n)})
    write_table(split, folder / "split.parquet")
    score(folder)


def score(folder):
    paths = [folder / f"{name}.parquet" for name in ("molecules", "split", "policy", "pairs")]
    score_policy_file(*paths, folder / "scores.json", name="hof", unit="kcal/mol")


def plot(folder, out):
    files = ("molecules.parquet", "split.parquet", "policy.parquet", "epochs.parquet", "history.csv", "pairs.parquet")
    paths = [folder / name for name in (*files, "scores.json")]
    plot_policy(*paths, out, property_name="hof", unit="kcal/mol")


def add_unlabelled(folder):
    """Give the dataset three more molecules, without a label, of which one is in a pair."""
    known, split = read_molecules(folder / "molecules.parquet"), read_table(folder / "split.parquet")
    n = known.num_rows
    y = np.append(known["hof"].to_numpy(), [np.nan] * 3)
    write_molecules(folder / "molecules.parquet", ["C"] * len(y), {"hof": y}, {"hof": "eV"})
    fold = [*split["fold"].to_pylist(), *[NO_FOLD] * 3]
    density = pa.array([*split["density"].to_pylist(), None, None, None])
    more = pa.table({"molecule_id": np.arange(len(y)), "fold": fold_array(fold), "density": density})
    write_table(more, folder / "split.parquet")
    pairs = read_table(folder / "pairs.parquet")
    pair = pa.table({"left": [0], "right": [n], "delta_mass": [CH2]}, schema=pairs.schema)
    write_table(pa.concat_tables([pairs, pair]), folder / "pairs.parquet", PAIRS)


@pytest.fixture
def run(tmp_path):
    make_run(tmp_path)
    return tmp_path


def test_molecules_without_a_label_change_nothing(run, tmp_path):
    out = [tmp_path / "plots/a.png", tmp_path / "plots/b.png"]
    plot(run, out[0])
    before = read_json(run / "scores.json")
    add_unlabelled(run)
    score(run)
    plot(run, out[1])
    after = read_json(run / "scores.json")
    assert after.pop("split") != before.pop("split")
    assert after == before
    assert out[0].read_bytes() == out[1].read_bytes()


def panels(fig):
    return {ax.get_title() or ax.get_label(): ax for ax in fig.axes}


def test_the_figure_says_what_the_scores_say(run, tmp_path, drawn):
    out = [tmp_path / "plots/a.png", tmp_path / "plots/b.png"]
    for path in out:
        plot(run, path)
    assert out[0].read_bytes() == out[1].read_bytes()
    scores, found = read_json(run / "scores.json"), panels(drawn[0])
    held_out = scores["populations"]["held out"]
    notes = {title: [text.get_text() for text in ax.texts] for title, ax in found.items()}
    assert notes["Abstention"] == [f"mean {100 * held_out['abstention']:.1f} %"]
    assert notes["Support"] == ["threshold 0.6"]
    size = held_out["estimates"]["density"]["contrast"]["effective_sample_size"]
    assert f"mixture density: effective sample size {size:.0f}" in notes["Clipped weights, held out"]
    for title, group in (("CH₂ pairs, all", "all"), ("CH₂ pairs, neither in train", "unseen")):
        r, n = (scores["pairs"][group][key] for key in ("pearson_r", "n"))
        assert f"r {r:#.3g}, n {n}" in notes[title]
        assert sum(len(points.get_offsets()) for points in found[title].collections) == n
    effects = [line.get_xdata()[0] for line in found["Effect, 95 % interval"].lines if line.get_marker() == "o"]
    ratios = [each["estimates"][ratio] for each in scores["populations"].values() for ratio in RATIOS]
    assert effects == [each["contrast"]["psi"] for each in ratios]
    shares = [patch.get_data().values.sum() for patch in found["Contrast of each molecule"].patches]
    assert shares == pytest.approx([100] * 3)


def test_the_kept_epoch_and_every_term_are_shown(run, tmp_path, drawn):
    plot(run, tmp_path / "a.png")
    curves, terms, key = drawn[0].axes[:3]
    assert curves.get_legend_handles_labels()[1] == ["valid", "ID", "OOD", "OOD tail", "kept (epoch 1)"]
    assert [text.get_text() for text in key.get_legend().get_texts()] == [term for term in TERMS if term != "loss"]
    assert terms.get_ylim()[0] == 0
    history = pd.read_csv(run / "history.csv")
    history["mdn"] -= 2
    history.to_csv(run / "history.csv", index=False)
    plot(run, tmp_path / "b.png")
    assert drawn[1].axes[1].get_ylim()[0] < history["mdn"].min()


def test_of_two_phases_both_kept_epochs_are_shown(run, tmp_path, drawn):
    history = pd.read_csv(run / "history.csv")
    history["valid_rmse"] = [5.0, 3.0] + [3.0 - 1e-9] * (len(history) - 2)  # the second phase leaves it as it is
    history["valid_gap"] = [np.nan, np.nan, 0.5, 0.2] + [0.4] * (len(history) - 4)
    history.to_csv(run / "history.csv", index=False)
    plot(run, tmp_path / "a.png")
    curves, terms, key = drawn[0].axes[:3]
    assert curves.get_legend_handles_labels()[1][-1] == "kept (epoch 2 and 4)"
    assert key.get_legend().get_texts()[-1].get_text() == "valid_gap"
    assert terms.get_ylim()[0] == 0


def test_many_pairs_are_a_histogram(run, tmp_path, drawn, monkeypatch):
    monkeypatch.setattr(policy_figure, "CROWDED", 10)
    plot(run, tmp_path / "a.png")
    assert [len(ax.images) for title, ax in panels(drawn[0]).items() if title.startswith("CH₂")] == [1, 1]


def test_a_policy_with_a_place_has_a_row_of_panels(run, tmp_path, drawn):
    table = read_table(run / "policy.parquet", POLICY)
    n, rng = table.num_rows, np.random.default_rng(0)
    outcome = [[value - 4, value - 6] for value in table["m_observed"].to_pylist()]
    columns = {
        "m_grouped": table["m_observed"],
        "log_ratio_grouped": pa.array(rng.normal(0, 0.3, n)),
        "place_product": pa.array([["C", "CC"]] * n, PLACES["place_product"]),
        "place_outcome": pa.array(outcome, PLACES["place_outcome"]),
        "place_moved": pa.array(outcome, PLACES["place_moved"]),
        "place_log_ratio": pa.array(rng.normal(0.3, 0.3, (n, 2)).tolist(), PLACES["place_log_ratio"]),
    }
    for name, values in columns.items():
        table = table.append_column(name, values)
    write_table(table, run / "policy.parquet", POLICY)
    score(run)
    plot(run, tmp_path / "a.png")
    scores, found = read_json(run / "scores.json")["places"], panels(drawn[0])
    shown = found["The same at their place"]
    assert sum(len(points.get_offsets()) for points in shown.collections) == scores["pairs"]["all"]["n"] == 120
    assert f"mean {scores['pairs']['all']['mean_predicted']:.2f}" in shown.texts[0].get_text()
    abstention = scores["populations"]["held out"]["abstention"]
    assert [each.get_text() for each in found["Places"].texts] == [
        f"any place as likely: abstention {100 * abstention:.1f} %"
    ]
    assert [patch.get_data().values.sum() for patch in found["Places"].patches] == pytest.approx([100] * 3)
    for table in tabulate(run, tmp_path)[1:]:
        assert [row[4] for row in rows(table)[0]][2:] == [f"at the place, {group}" for group in scores["pairs"]]


def test_a_dataset_without_pairs_has_a_figure(run, tmp_path, drawn):
    write_table(PAIRS.empty(), run / "pairs.parquet", PAIRS)
    score(run)
    plot(run, tmp_path / "a.png")
    notes = {text.get_text() for text in panels(drawn[0])["CH₂ pairs, neither in train"].texts}
    assert notes == {"r —, n 0", "mean — (true —)"}


def test_learning_curves():
    y, fold = np.array([0.0, 1, 2, 9]), np.array(["train", "train", "valid", "ood"])
    epochs = pa.table({"molecule_id": [2, 3, 2, 3], "epoch": [1, 1, 2, 2], "y_pred": [3.0, 5, 2, 9]})
    found = learning_curves(y, fold, epochs)
    assert {name: list(curve) for name, curve in found.items()} == {
        "valid": [1, 0],
        "ood": [4, 0],
        "ood_tail": [4, 0],
    }


def test_a_missing_history_says_what_to_do(run, tmp_path):
    (run / "history.csv").unlink()
    with pytest.raises(ContractError, match=r"history\.csv: no such file; delete the run\.json"):
        plot(run, tmp_path / "a.png")


RUN = Run("data", "hof", "kde", "net", 0)


def rows(table):
    split = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return [dict(zip(range(len(split[0])), line, strict=True)) for line in split[2:]], split[0]


def tabulate(run, folder):
    """Both tables of the run in the folder ``run``."""
    write_json(folder / "policy" / f"{RUN.stem}.json", read_json(run / "scores.json"))
    return tabulate_policies(folder, [RUN], Roles({"net": "Net"}, frozenset(), frozenset()))


def test_the_section_has_effect_overlap_and_chemistry(run, tmp_path):
    scores = read_json(run / "scores.json")
    effects, pairs = tabulate(run, tmp_path)
    (effect,), header = rows(effects)
    found = scores["populations"]["held out"]
    assert list(effect.values())[:6] == ["data/hof (kcal/mol)", "kde", "Net", "0", "14.0157", "60"]
    shown = dict(zip(header, effect.values(), strict=True))
    contrast = found["estimates"]["density"]["contrast"]
    assert shown["Contrast, mixture density"] == f"{contrast['psi']:.2f}"
    assert shown["Abstention"] == f"{100 * found['abstention']:.1f} %"
    assert shown["ESS, classifier"] == (f"{found['estimates']['classifier']['contrast']['effective_sample_size']:.0f}")
    assert shown["Policy − observed"] == format_number(found["anchor_rmse"])
    assert shown["α"] == f"{found['alpha']['mean']:.3f} ± {found['alpha']['std']:.3f}"
    assert effect[7] == format_interval(contrast["low"], contrast["high"])
    (every, unseen), header = rows(pairs)
    assert (every[4], unseen[4], every[5]) == ("all", "unseen", "120")
    shown = dict(zip(header, unseen.values(), strict=True))
    assert shown["Pearson r"] == f"{scores['pairs']['unseen']['pearson_r']:.3f}"
    assert shown["Same sign"] == f"{100 * scores['pairs']['unseen']['same_sign']:.1f} %"


def test_a_policy_that_was_not_scored_is_a_row_without_numbers(tmp_path):
    for table in tabulate_policies(tmp_path, [RUN], Roles({RUN.model: "Net"}, frozenset(), frozenset())):
        (only,), _ = rows(table)
        assert list(only.values())[:4] == ["data/hof", "kde", "Net", "0"]
        assert set(list(only.values())[4:]) == {"—"}
