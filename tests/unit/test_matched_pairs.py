import itertools

import numpy as np
import pyarrow as pa
import pytest
from conftest import make_molecules
from rdkit import Chem
from rdkit.Chem import Descriptors, rdMMPA

from boomlib import matched_pairs
from boomlib.features import fragmentations
from boomlib.files import ContractError
from boomlib.matched_pairs import ch2_pairs, find_pairs

CH2 = 14.01565


def fragmented(smiles):
    """The feature table of these molecules; ids are their places."""
    return pa.table({"molecule_id": pa.array(range(len(smiles)), pa.int64()), **fragmentations.compute(smiles)})


def cuts(smiles):
    """Core and substituent of each fragmentation of one molecule."""
    columns = fragmentations.compute([smiles])
    return list(zip(columns["core"][0].as_py(), columns["substituent"][0].as_py(), strict=True))


def rows(pairs):
    return list(zip(*pairs.to_pydict().values(), strict=True))


# -- fragmentations --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("C", [("*C", "*[H]")]),
        ("O", [("*O", "*[H]")]),
        ("CC", [("*CC", "*[H]"), ("*C", "*C")]),
        ("CF", [("*CF", "*[H]"), ("*C", "*F"), ("*F", "*C")]),
        (
            "CCCO",
            [
                *(("*CCCO", "*[H]"), ("CC(*)CO", "*[H]"), ("CCC(*)O", "*[H]"), ("CCCO*", "*[H]")),
                *(("*CCO", "*C"), ("*CC", "*CO"), ("*CO", "*CC"), ("*CCC", "*O")),
            ],
        ),
        ("C1CC1", [("*C1CC1", "*[H]")]),
        ("c1cc[nH]c1", [("*n1cccc1", "*[H]"), ("*c1ccc[nH]1", "*[H]"), ("*c1cc[nH]c1", "*[H]")]),
        ("[NH4+]", [("*[NH3+]", "*[H]")]),
        ("[CH3]", [("*[CH2]", "*[H]")]),
        ("O=[N+]([O-])C", [("*C[N+](=O)[O-]", "*[H]"), ("*[N+](=O)[O-]", "*C")]),
        ("C.[Cl-]", [("*C.[Cl-]", "*[H]")]),
        ("[Na+].CF", [("*CF.[Na+]", "*[H]"), ("*C.[Na+]", "*F"), ("*F.[Na+]", "*C")]),
        ("[2H]C", [("*C[2H]", "*[H]")]),
        ("[H][H]", []),
        ("[Na+].[Cl-]", []),
        ("O=C=O", []),
        ("C=C", [("*C=C", "*[H]")]),
    ],
)
def test_fragmentations_by_hand(smiles, expected):
    assert cuts(smiles) == sorted((Chem.CanonSmiles(core), substituent) for core, substituent in expected)


DRUGS = [
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "CN1CCCC1c1cccnc1",
    "CC(=O)Nc1ccc(O)cc1",
    "COc1cc(CNC(=O)CCCCC=CC(C)C)ccc1O",
    "Cn1c(=O)c2c(ncn2C)n(C)c1=O",
    "NC(=O)C(F)(F)CS(=O)(=O)N",
    "CCOP(=S)(OCC)Oc1ccc(cc1)C#N",
    "C[N+](C)(C)CCO",
]


@pytest.mark.parametrize("smiles", DRUGS)
def test_bonds_are_cut_as_in_rdkits_mmpa(smiles):
    mol = Chem.MolFromSmiles(smiles)
    found = rdMMPA.FragmentMol(mol, 1, 1, maxCutBonds=100, pattern="[!#1]!@-[!#1]", resultsAsMols=False)
    expected = set()
    for _, text in found:
        parts = [Chem.CanonSmiles(part.replace("[*:1]", "*")) for part in text.split(".")]
        for core, substituent in itertools.permutations(parts):
            size, core_size = (Chem.MolFromSmiles(part).GetNumHeavyAtoms() for part in (substituent, core))
            if size <= 8 and size <= core_size + 1:
                expected.add((core, substituent))
    assert {cut for cut in cuts(smiles) if cut[1] != "*[H]"} == expected


@pytest.mark.parametrize("smiles", DRUGS)
def test_hydrogens_are_replaced_once_in_each_symmetry_class(smiles):
    expected = set()
    with_hydrogens = Chem.AddHs(Chem.MolFromSmiles(smiles))
    for atom in with_hydrogens.GetAtoms():
        if atom.GetAtomicNum() == 1:
            core = Chem.RWMol(with_hydrogens)
            core.ReplaceAtom(atom.GetIdx(), Chem.Atom(0))
            expected.add(Chem.CanonSmiles(Chem.MolToSmiles(Chem.RemoveHs(core))))
    found = [core for core, substituent in cuts(smiles) if substituent == "*[H]"]
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_stereochemistry_does_not_count():
    for smiles in ("C[C@H](N)O", "F/C=C/CO", "O[C@H]1CC[C@@H](C)CC1"):
        assert cuts(smiles) == cuts(Chem.MolToSmiles(Chem.MolFromSmiles(smiles), isomericSmiles=False))


def test_a_substituent_has_at_most_8_heavy_atoms_and_one_more_than_its_core():
    sizes = {
        tuple(Chem.MolFromSmiles(part).GetNumHeavyAtoms() for part in cut)
        for cut in cuts("C" * 20) + cuts("CCCCC")
        if cut[1] != "*[H]"
    }
    assert sizes == {(20 - n, n) for n in range(1, 9)} | {(4, 1), (3, 2), (2, 3)}


def test_the_table_does_not_depend_on_how_the_smiles_is_written():
    for smiles in DRUGS:
        mol = Chem.MolFromSmiles(smiles)
        texts = [Chem.MolToSmiles(mol, rootedAtAtom=atom, canonical=False) for atom in range(mol.GetNumAtoms())]
        assert all(cuts(text) == cuts(smiles) for text in texts)


# -- pairs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "transformation"),
    [
        ("CCCC", "CCCCC", "[*:1][H]>>[*:1]C"),
        ("c1ccccc1", "Cc1ccccc1", "[*:1][H]>>[*:1]C"),
        ("Cc1ccccc1", "CCc1ccccc1", "[*:1][H]>>[*:1]C"),
        ("C", "CC", "[*:1][H]>>[*:1]C"),
        ("CO", "COC", "[*:1][H]>>[*:1]C"),
        ("c1cc[nH]c1", "Cn1cccc1", "[*:1][H]>>[*:1]C"),
        ("c1ccc(-c2ccccc2)cc1", "c1ccc(Cc2ccccc2)cc1", "[*:1]c1ccccc1>>[*:1]Cc1ccccc1"),
        ("O=[N+]([O-])c1ccccc1", "O=[N+]([O-])Cc1ccccc1", "[*:1][N+](=O)[O-]>>[*:1]C[N+](=O)[O-]"),
        ("C1CCCCC1C#N", "C1CCCCC1CC#N", "[*:1]C#N>>[*:1]CC#N"),
        ("CCO.[Na+]", "CCCO.[Na+]", "[*:1][H]>>[*:1]C"),
    ],
)
def test_molecules_that_differ_by_ch2(left, right, transformation):
    for smiles in ([left, right], [right, left]):
        (row,) = rows(ch2_pairs(fragmented(smiles)))
        assert [smiles[row[0]], smiles[row[1]]] == [left, right]
        assert row[2:] == (pytest.approx(CH2, abs=1e-5), transformation)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CCCC", "CC(C)C"),
        ("CCCC", "CCCCCC"),
        ("CCO", "CCN"),
        ("c1ccccc1", "c1ccncc1"),
        ("C1CC1", "C1CCC1"),
        ("CCO.[Na+]", "CCCO.[K+]"),
        ("CC=O", "OC1CC1"),
    ],
)
def test_molecules_that_do_not_differ_by_ch2(one, other):
    assert ch2_pairs(fragmented([one, other])).num_rows == 0


def test_a_mass_close_to_that_of_ch2_is_not_enough(monkeypatch):
    monkeypatch.setattr(matched_pairs, "TOLERANCE", 0.05)
    table = fragmented(["Cc1ccccc1", "O=Cc1ccccc1", "CCc1ccccc1"])
    assert rows(find_pairs(table, min_delta=CH2 - 0.05, max_delta=CH2 + 0.05))[0][:2] == (0, 1)
    assert [row[:2] for row in rows(ch2_pairs(table))] == [(0, 2)]


def test_all_pairs_of_a_few_molecules_by_hand():
    table = fragmented(["c1ccccc1", "Cc1ccccc1", "Oc1ccccc1", "CC"])
    assert rows(find_pairs(table)) == [
        (0, 1, pytest.approx(14.01565, abs=1e-5), "[*:1][H]>>[*:1]C"),
        (0, 2, pytest.approx(15.99491, abs=1e-5), "[*:1][H]>>[*:1]O"),
        (1, 2, pytest.approx(1.97926, abs=1e-5), "[*:1]C>>[*:1]O"),
    ]
    assert [row[:2] for row in rows(find_pairs(table, max_delta=15))] == [(0, 1), (1, 2)]
    assert [row[:2] for row in rows(find_pairs(table, min_delta=2))] == [(0, 1), (0, 2)]
    assert [row[:2] for row in rows(find_pairs(table, min_delta=14.01565, max_delta=15.994915))] == [(0, 2)]


SMILES = make_molecules(60)["smiles"].tolist()


def by_comparison(table, molecules, max_delta):
    """(left, right) -> mass difference, by comparing all molecules with each other."""
    cores = [set(cores) for cores in table["core"].to_pylist()]
    mass = [Descriptors.ExactMolWt(Chem.MolFromSmiles(smiles)) for smiles in SMILES]
    return {
        (left, right): mass[right] - mass[left]
        for left, right in itertools.permutations(molecules, 2)
        if cores[left] & cores[right] and 1e-6 < mass[right] - mass[left] <= max_delta
    }


@pytest.mark.parametrize("max_delta", [14.5, 50, 1000])
@pytest.mark.parametrize("molecules", [range(60), range(0, 60, 2)])
def test_pairs_are_those_of_comparing_all_molecules(molecules, max_delta):
    table = fragmented(SMILES)
    found = rows(find_pairs(table, list(molecules), max_delta=max_delta))
    expected = by_comparison(table, molecules, max_delta)
    assert len(expected) > 5
    assert {row[:2]: row[2] for row in found} == {
        pair: pytest.approx(mass, abs=2e-6) for pair, mass in expected.items()
    }
    assert len(found) == len(expected), "one row a pair"
    assert [row[:2] for row in found] == sorted(row[:2] for row in found)


def test_a_transformation_is_the_smallest_that_leads_from_left_to_right():
    table = fragmented(SMILES)
    fragments = [list(zip(row["core"], row["substituent"], strict=True)) for row in table.to_pylist()]
    several = 0
    for left, right, _, transformation in rows(find_pairs(table)):
        masses = {
            (before, after): Descriptors.ExactMolWt(Chem.MolFromSmiles(before))
            for (core, before), (other, after) in itertools.product(fragments[left], fragments[right])
            if core == other
        }
        several += len(masses) > 1
        chosen = tuple(transformation.replace("[*:1]", "*").split(">>"))
        assert masses[chosen] == min(masses.values())
    assert several > 10


def test_no_pair_leaves_the_given_molecules_and_none_within_is_lost():
    table = fragmented(SMILES)
    chosen = np.random.default_rng(0).permutation(60)[:30]
    inside = [row for row in rows(find_pairs(table)) if {*row[:2]} <= {*chosen}]
    assert inside
    assert rows(find_pairs(table, chosen)) == inside


def test_the_order_of_rows_does_not_matter():
    table = fragmented(SMILES)
    shuffled = table.take(pa.array(np.random.default_rng(0).permutation(60)))
    assert find_pairs(shuffled).equals(find_pairs(table))
    assert find_pairs(pa.concat_tables([table.slice(30), table.slice(0, 30)])).equals(find_pairs(table))


@pytest.mark.parametrize("function", [find_pairs, ch2_pairs])
@pytest.mark.parametrize(("smiles", "molecules"), [([], None), (["CC", "CCC"], []), (["CC", "O=C=O"], None)])
def test_where_there_is_no_pair_the_table_is_empty(function, smiles, molecules):
    found = function(fragmented(smiles), molecules)
    assert found.num_rows == 0
    assert found.schema == find_pairs(fragmented(["CC", "CCC"])).schema


def test_foreign_tables_and_unknown_molecules_are_refused():
    with pytest.raises(ContractError, match="the fragmentations table lacks the column 'core'"):
        find_pairs(pa.table({"molecule_id": pa.array([0], pa.int64())}))
    with pytest.raises(ContractError, match=r"lacks 2 molecules \(molecule_id 7, 9\)"):
        ch2_pairs(fragmented(["CC", "CCC"]), [0, 7, 9])
