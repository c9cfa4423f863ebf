import numpy as np
import pyarrow as pa
import pytest
from rdkit import DataStructs
from rdkit.Chem import MolFromSmiles, rdFingerprintGenerator

from boomlib.evaluation.applicability import BITS, FEATURES, Domain, find_nearest, fold_fingerprints
from boomlib.features import elements, morgan_counts

TRAIN = ["C", "CCO", "CCN", "CCCO", "c1ccccc1", "CC(=O)O"]
VALID = ["CCCCO", "CCCN"]
ASKED = ["CCO", "CCCl", "[He]", "CC(=O)OC", "N#CC#N", "C"]
FOLD = np.repeat(["train", "valid", "ood"], [len(TRAIN), len(VALID), len(ASKED)])
Y = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0] + [np.nan] * len(ASKED))


def compute(smiles):
    modules = zip(FEATURES, (elements, morgan_counts), strict=True)
    ids = {"molecule_id": pa.array(range(len(smiles)), pa.int64())}
    return {name: pa.table(ids | module.compute(smiles)) for name, module in modules}


@pytest.fixture
def domain():
    return Domain.fit(compute([*TRAIN, *VALID, *ASKED]), Y, FOLD)


def judge(domain, *smiles):
    return domain.judge(compute(list(smiles))).to_pydict()


def test_fingerprints_are_rdkits():
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
    smiles = [*TRAIN, *ASKED, "OC(=O)[C@H](N)Cc1c[nH]c2ccccc12", "[Na+].[Cl-]"]
    expected = [generator.GetFingerprintAsNumPy(MolFromSmiles(text)) for text in smiles]
    found = fold_fingerprints(compute(smiles)["morgan_counts"])
    np.testing.assert_array_equal(found.toarray(), expected)


def test_similarity_is_rdkits_to_the_nearest_molecule_of_train():
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
    train, asked = ([generator.GetFingerprint(MolFromSmiles(text)) for text in each] for each in (TRAIN, ASKED * 20))
    expected = [max(DataStructs.BulkTanimotoSimilarity(each, train)) for each in asked]
    tables = [fold_fingerprints(compute(each)["morgan_counts"]) for each in (ASKED * 20, TRAIN)]
    np.testing.assert_allclose(find_nearest(*tables), expected, rtol=1e-6)


def test_molecules_of_train_are_no_strangers(domain):
    judged = judge(domain, *TRAIN)
    for flag in ("element", "group", "similarity"):
        assert judged[flag] == [0] * len(TRAIN)
        assert not any(judged[f"{flag}_flag"])


def test_elements_and_groups_that_train_lacks_are_counted_and_flagged(domain):
    judged = judge(domain, "CC(Cl)(Cl)Cl", "[He]", "OCCO", "CCCCO")
    assert judged["element"] == [3, 1, 0, 0]
    assert judged["element_flag"] == [True, True, False, False]
    # OCCO is made of what CCCO has; of CCCCO one CH2 stands between two others, as none of train does
    assert judged["group"][2:] == [0, 1]
    assert judged["group_flag"] == [True, True, False, True]
    assert judged["similarity"][1] == 1
    assert judged["similarity_flag"][:2] == [True, True]


def test_values_outside_trains_range_are_flagged_by_how_far(domain):
    scores = domain.score_values(np.array([1.0, 6.0, 6.5, -4.0]))
    assert scores.tolist() == [0, 0, 0.1, 1]
    judged = domain.judge(
        compute(["C", "C"]), np.array([3.0, 9.0]), np.array([0.1, 0.3]), usual_spread=0.2
    ).to_pydict()
    assert judged["value_flag"] == judged["spread_flag"] == [False, True]
    assert "spread" not in domain.judge(compute(["C"]), np.array([3.0])).column_names


def test_labels_that_are_one_value_have_a_range_too():
    constant = Domain.fit(compute([*TRAIN, *VALID, *ASKED]), np.full(len(FOLD), 2.0), FOLD)
    assert constant.score_values(np.array([2.0, 2.5])).tolist() == [0, 0.5]


def test_what_is_tested_has_no_say(domain):
    strangers = ["[Xe]", "FC(F)(F)S", "ClC(Br)I", "P", "B", "[SiH4]"]
    other = Domain.fit(compute([*TRAIN, *VALID, *strangers]), np.where(FOLD == "ood", 1e9, Y), FOLD)
    assert (other.elements, other.low, other.high, other.limits) == (
        domain.elements,
        domain.low,
        domain.high,
        domain.limits,
    )
    np.testing.assert_array_equal(other.groups, domain.groups)
    assert other.fingerprints.shape[0] == len(TRAIN)


def test_a_domain_comes_back_from_its_file(domain, tmp_path):
    domain.save(tmp_path / "domain.parquet")
    read = Domain.load(tmp_path / "domain.parquet")
    features, values = compute(ASKED), np.linspace(-5, 10, len(ASKED))
    assert read.judge(features, values).equals(domain.judge(features, values))
    read.save(tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "domain.parquet").read_bytes()
