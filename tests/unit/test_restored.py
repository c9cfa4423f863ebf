import numpy as np
import pyarrow as pa
import pytest

from boomlib.contracts import EPOCHS, POLICY, TASK, fold_array, read_table, write_predictions, write_table
from boomlib.files import ContractError, write_json, write_text
from boomlib.harness.adopting import adopt_run, pack_predictions, unpack_predictions
from boomlib.restored import RestoredRuns, list_run_files
from boomlib.runs import ADOPTED
from boomlib.version import VERSION

FOLD = np.array(["train", "ood", "valid", "id", "train", "ood"])
WILDCARDS = {"dataset": "tiny", "property": "size", "scheme": "kde", "model": "net", "seed": "3"}
STEM = "tiny/size/kde/net/seed3"


def write_task(path, y=1.0):
    labels = [y if fold in ("train", "valid") else None for fold in FOLD]
    columns = {
        "molecule_id": pa.array(np.arange(10, 16)),
        "smiles": pa.array(["C" * n for n in range(1, 7)]),
        "fold": fold_array(FOLD),
        "y": pa.array(labels, pa.float64()),
    }
    write_table(pa.table(columns), path, TASK)
    return path


def write_answers(path, std=None):
    asked = FOLD != "train"
    rng = np.random.default_rng(0)
    write_predictions(path, np.arange(10, 16)[asked], FOLD[asked], rng.normal(size=4), std)
    return path


@pytest.mark.parametrize("std", [None, np.arange(4.0)])
def test_packed_predictions_come_back_to_the_byte(tmp_path, std):
    task = write_task(tmp_path / "task.parquet")
    given = write_answers(tmp_path / "given.parquet", std)
    pack_predictions(task, given, tmp_path / "packed.parquet")
    unpack_predictions(task, tmp_path / "packed.parquet", tmp_path / "back.parquet")
    assert (tmp_path / "back.parquet").read_bytes() == given.read_bytes()


def test_predictions_of_another_task_are_refused(tmp_path):
    pack_predictions(
        write_task(tmp_path / "task.parquet"), write_answers(tmp_path / "given.parquet"), tmp_path / "packed.parquet"
    )
    other = write_task(tmp_path / "other.parquet", y=2.0)
    with pytest.raises(ContractError, match=r"packed\.parquet: was made for other molecules.*delete it"):
        unpack_predictions(other, tmp_path / "packed.parquet", tmp_path / "back.parquet")
    assert not (tmp_path / "back.parquet").exists()


def test_an_adopted_run_has_nothing_of_an_earlier_one(tmp_path):
    task = write_task(tmp_path / "task.parquet")
    packed, record = tmp_path / "packed.parquet", tmp_path / "published/run.json"
    pack_predictions(task, write_answers(tmp_path / "given.parquet"), packed)
    write_json(record, {"seconds": 7})
    write_text(record.with_name("history.csv"), "epoch\n1\n")
    folder = tmp_path / "results/seed0"
    write_json(folder / "failure.json", {})
    write_text(folder / "weights.safetensors", "of another run")
    adopt_run([packed, record], task, folder.with_suffix(".parquet"), folder / "run.json")
    assert sorted(path.name for path in folder.iterdir()) == [ADOPTED, "history.csv", "run.json"]
    assert (folder / "run.json").read_bytes() == record.read_bytes()


def test_of_a_policy_that_is_adopted_there_are_tables_without_rows(tmp_path):
    task = write_task(tmp_path / "task.parquet")
    packed, record = tmp_path / "packed.parquet", tmp_path / "published/run.json"
    pack_predictions(task, write_answers(tmp_path / "given.parquet"), packed)
    write_json(record, {"seconds": 7})
    folder = tmp_path / "seed0"
    adopt_run(
        [packed, record], task, tmp_path / "seed0.parquet", folder / "run.json", policy=folder / "policy.parquet"
    )
    for name, contract in (("policy", POLICY), ("epochs", EPOCHS)):
        assert read_table(folder / f"{name}.parquet", contract).num_rows == 0


def test_a_run_that_cannot_be_adopted_loses_nothing(tmp_path):
    packed, record = tmp_path / "packed.parquet", tmp_path / "published/run.json"
    pack_predictions(write_task(tmp_path / "task.parquet"), write_answers(tmp_path / "given.parquet"), packed)
    write_json(record, {"seconds": 7})
    folder = tmp_path / "seed0"
    write_text(folder / "state/last.ckpt", "half of a training")
    other = write_task(tmp_path / "other.parquet", y=2.0)
    with pytest.raises(ContractError):
        adopt_run([packed, record], other, tmp_path / "seed0.parquet", folder / "run.json")
    assert (folder / "state/last.ckpt").is_file()


class Fingerprints:
    def __init__(self):
        self.models = {"net": {}, "evaluator": {"answers_policy": True}}

    def fingerprint(self, run):
        return f"of {run.model} {run.seed}"


def lay_back(folder, model="net", fingerprint=None, version=VERSION):
    stem = STEM.replace("net", model)
    for file in list_run_files(stem, model == "evaluator"):
        if file.startswith("policy"):
            write_json(folder / file, {"version": version})
        elif file.endswith("run.json"):
            write_json(folder / file, {"fingerprint": fingerprint or f"of {model} 3", "seconds": 7})
        else:
            write_text(folder / file, "")


def find(tmp_path, model="net", must_keep=False):
    runs = RestoredRuns(Fingerprints(), lambda wildcards: must_keep, tmp_path / "restored", tmp_path / "results")
    return [path.removeprefix(f"{tmp_path}/restored/") for path in runs.find(WILDCARDS | {"model": model})]


def test_a_run_is_restored_by_its_fingerprint(tmp_path):
    assert find(tmp_path) == []
    lay_back(tmp_path / "restored")
    assert find(tmp_path) == list_run_files(STEM, answers_policy=False)
    assert find(tmp_path, must_keep=True) == [], "no publication has the model"
    lay_back(tmp_path / "restored", fingerprint="of other settings")
    assert find(tmp_path) == []


def test_a_run_that_was_trained_here_stays(tmp_path):
    lay_back(tmp_path / "restored")
    made = tmp_path / f"results/predictions/{STEM}/run.json"
    write_json(made, {"fingerprint": "of net 3", "seconds": 8})
    assert find(tmp_path) == []
    made.write_bytes((tmp_path / f"restored/predictions/{STEM}/run.json").read_bytes())
    assert find(tmp_path) == [], "nor is it taken back once it was published"


def test_a_run_that_was_taken_from_a_publication_stays_so(tmp_path):
    lay_back(tmp_path / "restored")
    made = tmp_path / f"results/predictions/{STEM}"
    write_json(made / "run.json", {"fingerprint": "of net 3", "seconds": 8})
    write_text(made / ADOPTED, "")
    assert find(tmp_path) == list_run_files(STEM, answers_policy=False), "of it or of a newer one"


def test_a_run_that_was_trained_here_by_other_settings_gives_way(tmp_path):
    lay_back(tmp_path / "restored")
    write_json(tmp_path / f"results/predictions/{STEM}/run.json", {"fingerprint": "of other settings"})
    assert find(tmp_path) == list_run_files(STEM, answers_policy=False)


def test_a_broken_record_is_named_before_anything_is_asked(tmp_path):
    lay_back(tmp_path / "restored")
    (tmp_path / f"restored/predictions/{STEM}/run.json").write_text("<<<<<<< mine")
    with pytest.raises(ContractError, match=rf"restored/predictions/{STEM}/run\.json"):
        RestoredRuns(Fingerprints(), lambda wildcards: False, tmp_path / "restored", tmp_path / "results")


def test_scores_of_a_policy_count_for_the_version_that_made_them(tmp_path):
    lay_back(tmp_path / "restored", "evaluator")
    assert len(find(tmp_path, "evaluator")) == 4
    lay_back(tmp_path / "restored", "evaluator", version="0.1.0")
    assert find(tmp_path, "evaluator") == []
