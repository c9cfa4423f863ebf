import numpy as np
import pyarrow as pa
import pytest
from matplotlib.colors import to_hex

from boomlib.contracts import Origin, fold_array, write_molecules, write_predictions, write_table
from boomlib.evaluation.hardest import doubt_labels, find_hardest, list_hardest, scale_errors
from boomlib.files import read_json
from boomlib.report.figures.hardest import plot_hardest
from boomlib.report.figures.style import FOLD_COLOURS

SMILES = ["C" * n for n in range(1, 41)]
FOLD = np.repeat(["train", "id", "ood"], [4, 30, 6])
Y = np.arange(40, dtype=float)
RIGHT = np.tile([0.5, -0.5], 20)  # errors of a good model


def find(tmp_path, *errors, origin=None, smiles=SMILES):
    """The hardest molecules of models with these errors; each model is given by those of its seeds, [seeds, 40]."""
    molecules, split = tmp_path / "molecules.parquet", tmp_path / "split.parquet"
    write_molecules(molecules, smiles, {"x": Y}, {"x": "eV"}, origin)
    ids, tested = np.arange(40), FOLD != "train"
    write_table(pa.table({"molecule_id": ids, "fold": fold_array(FOLD), "density": np.ones(40)}), split)
    predictions = {}
    for model, seeds in enumerate(errors):
        predictions[model] = [tmp_path / f"{model}-{seed}.parquet" for seed in range(len(seeds))]
        for path, error in zip(predictions[model], seeds, strict=True):
            write_predictions(path, ids[tested], FOLD[tested], (Y + error)[tested])
    out = tmp_path / "hardest.json"
    found = find_hardest(molecules, split, predictions, out, property_name="x")
    assert read_json(out)["molecules"] == found
    return found


def with_error(**at):
    """Errors of a good model but for those of some molecules, by ``m`` and their id."""
    error = RIGHT.copy()
    for name, value in at.items():
        error[int(name[1:])] = value
    return [error]


def test_errors_are_measured_by_the_rmse_of_their_model_on_the_others_of_their_fold():
    fold = np.array(["id", "id", "ood", "ood"])
    y_pred = np.array([[3.0, -1.0, 70.0, 10.0], [0.0, 0.0, 0.0, 2.0]])
    scaled = scale_errors(np.zeros(4), fold, y_pred)
    assert scaled[0] == pytest.approx([3, 1 / 3, 7, 1 / 7])
    assert scaled[1] == pytest.approx([0, 0, 0, 0]), "a model without any other error finds nothing hard"


def test_an_error_is_measured_by_those_of_the_other_molecules_however_large_it_is():
    errors = np.array([[1.0, -1.0, 1e12, 1.0, -1.0], [1e200, 1.0, 1.0, 1.0, 1.0]])
    scaled = scale_errors(np.zeros(5), np.repeat("ood", 5), errors)
    assert scaled[0] == pytest.approx([2e-12, 2e-12, 1e12, 2e-12, 2e-12])
    assert scaled[1, 0] == np.inf or scaled[1, 0] > 1e150
    assert scaled[1, 1:] == pytest.approx(np.zeros(4))
    assert scale_errors(np.zeros(1), np.array(["id"]), np.array([[5.0]])).tolist() == [[0.0]]


def test_a_wrong_label_among_few_molecules_is_doubted(tmp_path):
    # of six in OOD one label is far off: by an RMSE that holds it no model could miss it by more than sqrt(6)
    errors = [with_error(m36=1000 + shift) for shift in (-2, 0, 1)]
    assert [each["name"] for each in find(tmp_path, *errors) if each["doubted"]] == ["molecule 36"]


def test_the_median_over_models_of_mean_predictions_decides(tmp_path):
    # of 7 two models are far off, of 9 one alone; of 11 the two seeds of a model are, to both sides
    first = [with_error(m7=20, m11=50)[0], with_error(m7=22, m11=-50)[0]]
    found = find(tmp_path, first, with_error(m7=18, m9=90), with_error())
    assert found[0] == {
        "name": "molecule 7",
        "smiles": SMILES[7],
        "fold": "id",
        "label": 7.0,
        "median": 25.0,
        "low": pytest.approx(6.5),
        "high": 28.0,
        "scaled_error": pytest.approx(found[0]["scaled_error"]),
        "doubted": False,
    }
    # of the models' errors over RMSE the middle one: 18 of one that is 90 off elsewhere
    assert found[0]["scaled_error"] == pytest.approx(18 / np.sqrt((90**2 + 28 * 0.25) / 29))
    assert len(found) <= 10
    assert min(each["scaled_error"] for each in found) >= 1
    assert [each["scaled_error"] for each in found] == sorted((each["scaled_error"] for each in found), reverse=True)


def test_a_label_is_doubted_where_all_models_agree_on_another(tmp_path):
    errors = [with_error(m7=100 + shift) for shift in (-2, 0, 1)]
    assert [each["name"] for each in find(tmp_path, *errors) if each["doubted"]] == ["molecule 7"]
    assert not any(each["doubted"] for each in find(tmp_path, *errors[:2])), "two models are no company"


@pytest.mark.parametrize(
    ("predicted", "scaled", "doubted"),
    [
        ([9.0, 10.0, 10.5, 11.0], [6, 6, 6, 6], True),
        ([9.0, 10.0, 10.2, 10.5, 60.0], [6, 6, 6, 6, 6], True),  # one poor model, on the same side
        ([-1.0, 10.0, 10.5, 11.0], [6, 6, 6, 6], False),  # one on the other side
        ([7.0, 9.0, 11.0, 13.0], [6, 6, 6, 6], False),  # of several minds
        ([9.0, 10.0, 10.5, 11.0], [6, 4, 4, 4], False),  # no more off than elsewhere
    ],
)
def test_the_rule_by_which_a_label_is_doubted(predicted, scaled, doubted):
    columns = np.array(predicted)[:, None], np.array(scaled, dtype=float)[:, None]
    assert doubt_labels(np.zeros(1), *columns).tolist() == [doubted]
    assert doubt_labels(np.zeros(1), -columns[0], columns[1]).tolist() == [doubted]


def test_a_molecule_of_a_users_file_is_named_by_its_line(tmp_path):
    origin = Origin("mine.csv", "line", np.arange(40) + 2)
    assert find(tmp_path, with_error(m7=20), origin=origin)[0]["name"] == "line 9"


def test_no_model_but_controls(tmp_path, drawn):
    assert find(tmp_path) == []
    plot_hardest(tmp_path / "hardest.json", tmp_path / "a.png")
    assert (tmp_path / "a.png").is_file()


def test_structures_are_drawn_with_all_their_components(tmp_path, drawn):
    smiles = [*SMILES[:7], "CC(=O)[O-].[Na+].O", *SMILES[8:]]
    errors = [with_error(m7=100 + shift, m38=30 + 20 * shift) for shift in (-2, 0, 1)]
    find(tmp_path, *errors, smiles=smiles)
    out = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in out:
        plot_hardest(tmp_path / "hardest.json", path)
    assert out[0].read_bytes() == out[1].read_bytes()
    titles = [ax.title for ax in drawn[0].axes]
    assert titles[0].get_text() == "1. ID, suspect label\nlabel 7.00, predicted 107"
    assert titles[1].get_text() == "2. OOD\nlabel 38.0, predicted 68.0"
    assert [to_hex(title.get_color()).upper() for title in titles[:2]] == [FOLD_COLOURS["id"], FOLD_COLOURS["ood"]]
    salt, chain = (np.asarray(ax.images[0].get_array())[..., :3] for ax in drawn[0].axes[:2])
    assert salt.min() < 0.9 and chain.min() < 0.9, "something is drawn"
    assert np.ptp(salt, axis=2).max() > 0.5, "oxygen has a colour"


def test_molecules_that_models_do_not_miss_are_not_listed():
    molecules = pa.table({"smiles": ["C", "CC", "CCC"]})
    y, fold = np.array([1.0, 1.0, 1.0]), np.array(["ood"] * 3)
    assert list_hardest(molecules, y, fold, [y, y]) == []
    off = y + np.array([0.0, 0.1, 5.0])
    assert [each["smiles"] for each in list_hardest(molecules, y, fold, [off, off])] == ["CCC"]
