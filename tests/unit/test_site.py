import base64
import json
import zlib
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
from rdkit import Chem
from site_results import MadeResults, describe_models, list_products, make_smiles

from boomlib.contracts import read_table
from boomlib.evaluation.metrics import pearson
from boomlib.evaluation.summary import read_metrics, write_summary
from boomlib.files import read_json, write_text
from boomlib.report.build import PARTIAL_SITE, remove_partial, write_markdown, write_partial
from boomlib.report.numbers import format_number
from boomlib.report.site.build import write_partial_site, write_site
from boomlib.report.site.drawings import draw, locate
from boomlib.report.site.files import ASSETS, PAGES, list_site_files
from boomlib.report.site.groups import GROUPS, find_parts
from boomlib.report.site.places import describe_change
from boomlib.report.site.script import pack_numbers, pack_text, to_json

LOST = "made/hof/kde/model1/seed1"
PLACE = "made/hof/kde"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Results of two seeds, with one run that has failed, and their site."""
    folder = tmp_path_factory.mktemp("made") / "results"
    results = MadeResults(folder, describe_models(4), seeds=(0, 1), lost={LOST: "no luck"}).make(make_smiles(120))
    write_site(*results.tables, folder / "site/index.html", **results.described)
    return results


def read(made, key, folder="site"):
    """The value that a file of data hands over."""
    text = (made.folder / folder / f"data/{key}.js").read_text(encoding="utf-8").strip()
    named, value = json.loads("[" + text.removeprefix("BOOM.give(").removesuffix(");") + "]")
    assert named == key
    return value


def inflate(packed):
    return zlib.decompress(base64.b64decode(packed))


def unpack(packed):
    """The numbers of :func:`pack_numbers`."""
    planes = np.frombuffer(inflate(packed), np.uint8)
    return planes.reshape(4, -1).T.copy().view("<f4").ravel()


def test_what_lies_in_a_site(made):
    site = made.folder / "site"
    assert {path.name for path in site.iterdir()} == {*PAGES, "assets", "data"}
    assert {path.name for path in (site / "assets").iterdir()} == {*ASSETS, "plotly.min.js"}
    tasks = {path.relative_to(site / "data/tasks").as_posix() for path in site.glob("data/tasks/**/*.js")}
    models = ["task", *made.models]
    assert tasks == {
        f"made/{name}/{scheme}/{model}.js" for name in made.tasks for scheme in made.schemes for model in models
    }


def test_what_an_earlier_site_left_is_removed(made):
    site = made.folder / "site"
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    for stray in ("data/tasks/gone/x/kde/task.js", "old.html"):
        write_text(site / stray, "old")
    write_text(site / ".index.html.unmade", "logs/site.log")  # a mark of the workflow's
    write_site(*made.tables, site / "index.html", **made.described)
    (site / ".index.html.unmade").unlink()
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before
    assert not (site / "data/tasks/gone").exists()


def test_every_number_of_the_overview_is_that_of_the_table(made):
    board, table = read(made, "board"), read_metrics(made.tables[0])
    measured = table[(table["metric"] != "") & table["mean"].notna()]
    found = 0
    for row in measured.itertuples():
        view = board["schemes"][row.scheme]
        cell = view["values"][row.fold][row.metric][row.model][view["tasks"].index(f"{row.dataset}/{row.property}")]
        assert cell[0] == row.mean
        found += 1
    shown = [
        cell
        for view in board["schemes"].values()
        for metrics in view["values"].values()
        for models in metrics.values()
        for cells in models.values()
        for cell in cells
    ]
    assert len([cell for cell in shown if cell]) == found


def test_a_run_without_a_result_says_why(made):
    board = read(made, "board")
    assert board["lost"] == 1
    assert board["schemes"]["kde"]["lost"] == {"model1": {"made/hof": [["1", "failed", "RuntimeError: no luck"]]}}
    assert board["schemes"]["kde"]["seeds"] == {"model1": {"made/hof": "1 of 2 seeds"}}
    run = next(run for run in read(made, "runs") if run["status"] != "done")
    assert run["end_of_log"] == "a line\nno luck"
    assert run["predictions"] == ""


def test_predictions_are_those_of_the_first_finished_seed(made):
    task = read(made, f"tasks/{PLACE}/task")
    for model, seed in (("model0", 0), ("model1", 0)):
        file = read(made, f"tasks/{PLACE}/{model}")
        table = read_table(made.folder / f"predictions/{PLACE}/{model}/seed{seed}.parquet")
        rows = np.searchsorted(table["molecule_id"].to_numpy(), task["id"])
        assert file["seed"] == seed
        assert np.array_equal(unpack(file["y"]), table["y_pred"].to_numpy()[rows].astype("f4"))


def test_the_hardest_molecules_are_those_of_the_leaderboard(made):
    listed = read_json(made.folder / f"hardest/{PLACE}.json")["molecules"]
    task = read(made, f"tasks/{PLACE}/task")
    molecules = json.loads(inflate(task["molecules"]))
    shown = [each for each in task["hardest"] if each["listed"]]
    assert [molecules["smiles"][each["at"]] for each in shown] == [each["smiles"] for each in listed]
    assert [each["name"] for each in shown] == [each["name"] for each in listed]
    assert [each["error"] for each in shown] == [format_number(each["scaled_error"]) for each in listed]
    assert [each["median"] for each in shown] == [format_number(each["median"]) for each in listed]
    assert set(molecules["drawn"]) == {str(each["at"]) for each in task["hardest"]}


def test_differences_to_the_best_are_those_of_the_table(made):
    task, table = read(made, f"tasks/{PLACE}/task"), read_metrics(made.tables[0])
    rmse = table[(table["metric"] == "rmse") & (table["property"] == "hof") & (table["scheme"] == "kde")]
    models, compared = task["differences"]["models"], 0
    assert models == ["model0", "model1", "model2", "model3"]
    for fold in ("id", "ood"):
        rows = rmse[rmse["fold"] == fold].set_index("model").loc[models]
        best = models.index(rows["mean"].idxmin())
        for at, model in enumerate(models):
            cell = task["differences"]["folds"][fold][at][best]
            if at == best:
                assert cell is None
                continue
            assert cell[:2] == pytest.approx(rows.loc[model, ["behind_low", "behind_high"]].tolist(), rel=1e-9)
            assert cell[2] == format_number(rows["mean"].iloc[at] - rows["mean"].iloc[best])
            other = task["differences"]["folds"][fold][best][at]
            assert other[:2] == pytest.approx([-cell[1], -cell[0]], rel=1e-9)
            compared += 1
    assert compared == 6


def test_the_histogram_holds_every_molecule(made):
    task = read(made, f"tasks/{PLACE}/task")
    assert {fold: f"{sum(counts):,}" for fold, counts in task["histogram"]["counts"].items()} == task["sizes"]
    assert len(task["histogram"]["edges"]) == 81


def test_learning_curves_are_of_models_that_have_epochs(made):
    curves = read(made, f"tasks/{PLACE}/task")["curves"]
    assert list(curves) == ["model0", "model2"]
    assert curves["model0"] == [[1, 2, 3, 4, 5], [90.0, 45.0, 30.0, 22.5, 18.0]]


def test_errors_by_element_and_group(made):
    errors = read(made, "models/model2")[PLACE]
    task, file = read(made, f"tasks/{PLACE}/task"), read(made, f"tasks/{PLACE}/model2")
    smiles = json.loads(inflate(task["molecules"]))["smiles"]
    residual, fold = unpack(file["y"]) - np.array(task["y"]), np.array(list(task["fold"]))
    has = np.array([any(atom.GetSymbol() == "O" for atom in Chem.MolFromSmiles(text).GetAtoms()) for text in smiles])
    chosen = has & (fold == "o")
    row = next(row for row in errors["elements"] if row[0] == "O")
    assert row[3:] == [str(chosen.sum()), format_number(np.sqrt(np.mean(residual[chosen] ** 2)))]
    assert {row[0] for row in errors["groups"]} <= set(GROUPS)


def test_groups_are_found():
    parts = find_parts(["CCO", "CC(=O)OC", "c1ccncc1", "CC#N", "CCN", "CC(N)=O", "C1CC1", "CBr"])
    found = {name: sorted(has) for name, has in parts["groups"].items()}
    assert found == {
        "alcohol or phenol": ["CCO"],
        "ester": ["CC(=O)OC"],
        "amide": ["CC(N)=O"],
        "amine": ["CCN"],
        "nitrile": ["CC#N"],
        "halogen": ["CBr"],
        "aromatic heterocycle": ["c1ccncc1"],
        "three-membered ring": ["C1CC1"],
    }
    assert sorted(parts["elements"]) == ["Br", "C", "N", "O"]


def test_intervals_and_flags_are_those_of_the_leaderboard(made):
    page = made.folder / "leaderboard.md"
    write_markdown(*made.tables, page, **made.described)
    schemes = page.read_text(encoding="utf-8").split("### When not to believe a prediction")[1:]
    for scheme, text in zip(made.schemes, schemes, strict=True):
        for name in made.tasks:
            found = read(made, f"tasks/made/{name}/{scheme}/task")["uncertainty"]
            shown = text.split(f"<summary>made/{name} (")[1].split("</details>")[0]
            lines = [
                [cell.strip() for cell in line[1:-1].split("|")] for line in shown.splitlines() if line[:1] == "|"
            ]
            rows = [line for line in lines if not line[0].startswith(":-")]
            tables = [found["intervals"], found["flags"]]
            assert rows == [row for table in tables for row in [table["columns"], *table["rows"]]]
            assert found["promise"] == "90 %"


def test_the_policy_has_the_numbers_of_its_scores(made):
    stems = read(made, "board")["policies"]
    assert stems == [
        f"made/{name}/{scheme}/model3/seed{seed}"
        for name in ("hof", "gap")
        for scheme in made.schemes
        for seed in (0, 1)
    ]
    policy, scores = read(made, f"policies/{stems[0]}"), read_json(made.folder / f"policy/{stems[0]}.json")
    for each in policy["estimates"]:
        contrast = scores["populations"][each["population"]]["estimates"][each["ratio"]]["contrast"]
        assert each["text"] == format_number(contrast["psi"])
        assert each["size"] == f"{contrast['effective_sample_size']:,.0f}"
    held_out = scores["populations"]["held out"]
    assert {each["environment"]: each["abstention"] for each in policy["environments"]} == pytest.approx(
        {int(name): 100 * share for name, share in held_out["abstention_by_environment"].items()}
    )
    assert sum(each["n"] for each in policy["environments"]) == held_out["n"]
    assert policy["sweep"]["means"]["ood"] == scores["populations"]["ood"]["linearity"]["contrast"]
    assert len(policy["pairs"]["points"]) == scores["pairs"]["all"]["n"]
    molecules = json.loads(inflate(read(made, f"pairs/{stems[0].rsplit('/', 2)[0]}")["molecules"]))
    paired = {str(at) for point in policy["pairs"]["points"] for at in point[3:]}
    assert paired <= set(molecules["smiles"])
    assert all(molecules["located"][at] == locate(smiles) for at, smiles in molecules["smiles"].items())


def test_the_policy_with_a_place_has_the_numbers_of_its_scores(tmp_path):
    folder = tmp_path / "results"
    smiles = make_smiles(110)
    smiles = list(dict.fromkeys(smiles + [list_products(each)[0] for each in smiles[:40]]))
    made = MadeResults(folder, describe_models(2), tasks=("hof",), schemes=("kde",), placed=True).make(smiles)
    write_site(*made.tables, folder / "site/index.html", **made.described)
    stem = "made/hof/kde/model1/seed0"
    policy, scores = read(made, f"policies/{stem}"), read_json(folder / f"policy/{stem}.json")["places"]
    places, random = policy["places"], scores["populations"]["held out"]
    assert len(places["points"]) == scores["pairs"]["all"]["n"] > 10
    truth, said = np.array([point[:2] for point in places["points"]]).T
    assert pearson(truth, said) == pytest.approx(scores["pairs"]["all"]["pearson_r"], abs=1e-4)
    shown = {row[0]: row for row in policy["pairs"]["rows"]}
    for group, found in scores["pairs"].items():
        assert shown[f"at the place, {group}"][1] == f"{found['n']:,}"
    assert places["random"]["contrast"] == format_number(random["estimates"]["contrast"]["psi"])
    assert places["random"]["abstention"] == f"{100 * random['abstention']:.1f} %"
    table = pq.read_table(folder / f"predictions/{stem}/policy.parquet")
    fold = pq.read_table(folder / "splits/made/hof/kde.parquet")["fold"].to_pylist()
    held_out = [own in ("valid", "id") for own in fold]
    products, ratios = (table[name].to_pylist() for name in ("place_product", "place_log_ratio"))
    smiles = pq.read_table(folder / "data/made/molecules.parquet")["smiles"].to_pylist()
    asked = [at for at, own in enumerate(held_out) if own]
    kinds = [describe_change(smiles[at], each) for at in asked for each in products[at]]
    refused = [np.exp(-max(each, 0)) < 0.6 for at in asked for each in ratios[at]]
    for row in places["kinds"]:
        own = [no for kind, no in zip(kinds, refused, strict=True) if kind == row["kind"]]
        assert row["share"] == pytest.approx(100 * len(own) / len(kinds), abs=1e-3)
        assert row["abstention"] == pytest.approx(100 * np.mean(own), abs=1e-3)
    assert places["kinds"][0]["kind"] == "nothing", "most insertions leave the context alone"
    below = 100 * np.mean([np.exp(-max(each, 0)) < 0.5 for at in asked for each in ratios[at]])
    assert sum(places["support"]["shares"]["held out"][:20]) == pytest.approx(below, abs=0.01)


@pytest.mark.parametrize(
    ("parent", "product", "change"),
    [
        ("CCO", "CCCO", "nothing"),
        ("CCO", "CCOC", "−alcohol +ether"),
        ("C[C@H](F)O", "CCC(F)O", "nothing"),
        ("COOC", "COCOC", "−O–O bond +2 ether"),
    ],
)
def test_a_kind_of_place_is_what_an_insertion_changes_of_the_context(parent, product, change):
    assert describe_change(parent, product) == change


@pytest.mark.parametrize("text", ["</script>", "<!--", "a&b", "\u2028\u2029", "'\"\\"])
def test_no_text_ends_a_script(text):
    written = to_json({text: [text]})
    assert not set(written) & set("<>&\u2028\u2029")
    assert json.loads(written) == {text: [text]}


def test_packed_values_come_back():
    values = np.array([0.1, -3e20, 0, 7])
    assert np.array_equal(unpack(pack_numbers(values)), values.astype("f4"))
    assert unpack(pack_numbers(np.array([]))).size == 0
    assert inflate(pack_text("ä" * 999)).decode() == "ä" * 999


@pytest.mark.parametrize(
    "smiles", ["CC(=O)[O-].[NH4+]", "C[C@H](N)C(=O)O", "c1ccc2[nH]ccc2c1", "C", "[13CH4]", "[H][H]"]
)
def test_positions_hold_the_molecule(smiles):
    mol = Chem.MolFromSmiles(smiles)
    atoms, bonds = (part.split(";") if part else [] for part in locate(smiles).split("|"))
    assert (len(atoms), len(bonds)) == (mol.GetNumAtoms(), mol.GetNumBonds())
    hetero = {atom.GetSymbol() for atom in mol.GetAtoms()} - {"C"}
    assert all(any(symbol in atom for atom in atoms) for symbol in hetero)
    orders = [bond.split(",")[2] for bond in bonds]
    assert ("7" in orders or "6" in orders) == ("@" in smiles)


def test_a_drawing_is_one_element_of_svg():
    text = draw("C[C@H](N)C(=O)O")
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "script" not in text


def test_all_that_a_site_is_made_from_counts():
    files = list_site_files()
    assert {name.rpartition("/")[2] for name in files} == {
        *ASSETS,
        "base.html.j2",
        *(f"{page}.j2" for page in PAGES),
    }


def test_a_site_of_what_a_failed_command_has_finished(tmp_path):
    results = MadeResults(tmp_path / "results", describe_models(2), tasks=("hof",), schemes=("kde",), lost={LOST: "x"})
    results.make(make_smiles(40))
    (results.folder / "data/made/molecules.parquet").unlink()  # what all else stands on is lost as well
    needs = dict.fromkeys(results.runs, ())
    write_partial_site(results.folder, write_partial(results.folder, needs, **results.described), **results.described)
    board = read(results, "board", PARTIAL_SITE)
    assert board["runs"] == len(results.runs)
    assert (results.folder / PARTIAL_SITE / "index.html").is_file()
    remove_partial(results.folder)
    assert not (results.folder / PARTIAL_SITE).exists()


def test_a_site_of_nothing_finished(tmp_path):
    results = MadeResults(tmp_path / "results", describe_models(2), tasks=("hof",), schemes=("kde",))
    write_summary(results.folder, results.runs, *results.tables, controls={"oracle"})
    variants = {"variants": {"model1": {"of": "model0", "label": "Model 1"}}}
    described = results.described | {"config": results.config | variants}
    write_site(*results.tables, results.folder / "site/index.html", **described)
    board = read(results, "board")
    assert board["lost"] == board["runs"] == 3
    assert board["policies"] == []
    of = {name: each["variant_of"] for name, each in board["models"].items()}
    assert of == {"oracle": "", "model0": "", "model1": "model0"}
