"""A density learnt as the volume that a molecule takes."""

import numpy as np
import pyarrow as pa
import pytest

from boomlib.features import elements, morgan_counts
from boomlib.features.xtb import COLUMNS
from boomlib.files import MoleculeError
from boomlib.harness.interface import Molecules
from boomlib.harness.quantity import DENSITY, Quantity, weigh
from boomlib.models.tabular.ridge import Ridge

GROUPS = {"size": (1, 9), "tails": ("", "O", "N", "F", "Cl", "Br", "I", "C(=O)O", "OO")}
SMILES = ["C" * n + tail for n in range(*GROUPS["size"]) for tail in GROUPS["tails"]]
RIDGE = {"radius": 1, "min_molecules": 1, "margin": None, "penalties": [1e-6, 1e-3, 1]}
VOLUMES = {1: 3.0, 6: 11.0, 7: 9.0, 8: 8.0, 9: 7.0, 17: 16.0, 35: 19.0, 53: 26.0}  # of an element, cm³/mol


def make() -> Molecules:
    """Molecules whose volume is a sum over atoms."""
    tables = {"elements": pa.table(elements.compute(SMILES)), "morgan_counts": pa.table(morgan_counts.compute(SMILES))}
    found = Molecules(np.arange(len(SMILES)), np.array(SMILES, dtype=object), np.zeros(len(SMILES)), tables)
    counts = np.column_stack([column.to_numpy() for column in tables["elements"].columns])
    volume = sum(counts[:, number - 1] * size for number, size in VOLUMES.items())
    return Molecules(found.molecule_id, found.smiles, weigh(found) / volume, tables)


def test_molecular_weights_are_those_of_the_elements():
    weights = dict(zip(SMILES, weigh(make()), strict=True))
    assert weights["CO"] == pytest.approx(32.042, abs=1e-3)
    assert weights["CI"] == pytest.approx(141.94, abs=1e-2)


def test_a_volume_is_weight_over_density_and_back():
    molecules = make()
    quantity = Quantity("intensive", DENSITY, volume=True).fit(molecules)
    learnt = quantity.learn(molecules)
    assert quantity.kind == "extensive"
    assert learnt.y[SMILES.index("CO")] == pytest.approx(11 + 4 * 3 + 8)
    np.testing.assert_allclose(quantity.tell(molecules, learnt.y), molecules.y)


@pytest.mark.parametrize(("observable", "volume"), [(None, True), ("dipole_moment", True), (DENSITY, False)])
def test_all_else_is_learnt_as_it_is(observable, volume):
    molecules = make()
    quantity = Quantity("intensive", observable, volume).fit(molecules)
    assert quantity.kind == "intensive"
    assert quantity.learn(molecules) is molecules
    np.testing.assert_array_equal(quantity.tell(molecules, molecules.y), molecules.y)


def test_a_volume_that_no_molecule_can_have_gives_a_density_within_twice_trains_range(tmp_path):
    molecules = make()
    quantity = Quantity("intensive", DENSITY, volume=True).fit(molecules)
    quantity.save(tmp_path)
    again = Quantity("intensive", DENSITY, volume=True)
    again.load(tmp_path)
    for each in (quantity, again):
        told = each.tell(molecules, np.resize([-5.0, 0.0, 1e9], len(molecules)))
        assert told.max() == pytest.approx(2 * molecules.y.max())
        assert told.min() == pytest.approx(molecules.y.min() / 2)


@pytest.mark.parametrize("factor", [1.0, 1000.0])
def test_additive_volumes_extrapolate_to_dense_molecules_where_a_mean_over_atoms_does_not(tmp_path, factor):
    """The densest are the shortest iodides; train has the longer ones. Density in g/cm³ and in kg/m³."""
    molecules = make()
    molecules.y[:] *= factor
    heavy = molecules.y > np.quantile(molecules.y, 0.93)
    light = np.flatnonzero(~heavy)
    errors = {}
    for volume in (True, False):
        model = Ridge(**RIDGE, volume=volume, kind="intensive", seed=0, observable=DENSITY)
        (folder := tmp_path / str(volume)).mkdir()
        model.fit(molecules.take(light[::2]), molecules.take(light[1::2]), folder)
        said = model.predict(molecules.take(heavy)).mean
        errors[volume] = np.sqrt(np.mean((said - molecules.y[heavy]) ** 2)) / factor
        model.save(folder)
        again = Ridge(**RIDGE, volume=volume, kind="intensive", seed=0, observable=DENSITY)
        again.load(folder)
        np.testing.assert_array_equal(again.predict(molecules.take(heavy)).mean, said)
    assert errors[True] < 0.05
    assert errors[False] > 3 * errors[True]


def make_dipoles(told) -> Molecules:
    """Molecules whose dipole is what the method tells, [n], and a little that their groups add."""
    molecules = make()
    counts = np.column_stack([column.to_numpy() for column in molecules.features["elements"].columns])
    physics = pa.table({name: pa.array(np.zeros(len(SMILES))) for name in COLUMNS})
    physics = physics.set_column(physics.column_names.index("dipole"), "dipole", pa.array(told, from_pandas=True))
    tables = molecules.features | {"xtb": physics.append_column("note", pa.nulls(len(SMILES), pa.string()))}
    return Molecules(molecules.molecule_id, molecules.smiles, told + 0.1 * counts[:, 7], tables)


def test_what_the_method_tells_itself_is_not_clipped(tmp_path):
    """Of what it tells as a column the model sees no more than train's range and its width."""
    rng = np.random.default_rng(0)
    molecules = make_dipoles(np.append(rng.uniform(0, 3, len(SMILES) - 1), 11.0))
    known, large = molecules.take(np.arange(len(SMILES) - 1)), molecules.take(np.array([len(SMILES) - 1]))
    said = {}
    for observable in ("dipole_moment", None):
        model = Ridge(**RIDGE, physics="xtb", kind="intensive", seed=0, observable=observable)
        model.fit(known.take(np.arange(0, len(known), 2)), known.take(np.arange(1, len(known), 2)), tmp_path)
        said[observable] = model.predict(large).mean - large.y
    assert abs(said["dipole_moment"]) < 0.1
    assert abs(said[None]) > 2


def test_a_method_without_an_answer_or_with_a_wild_one_is_off_by_a_bounded_amount(tmp_path):
    told = np.random.default_rng(0).uniform(0, 3, len(SMILES))
    molecules = make_dipoles(told)
    y, column = molecules.y.copy(), molecules.features["xtb"]["dipole"].to_numpy().copy()
    column[[3, 5]] = np.nan, 1e9
    molecules = Molecules(molecules.molecule_id, molecules.smiles, y, make_dipoles(column).features)
    quantity = Quantity("intensive", "dipole_moment", volume=False, physics="xtb").fit(molecules)
    quantity.save(tmp_path)
    again = Quantity("intensive", "dipole_moment", volume=False, physics="xtb")
    again.load(tmp_path)
    learnt = quantity.learn(molecules)
    assert np.abs(learnt.y[[3, 5]]).max() < 4.1 * (y.max() - y.min())
    np.testing.assert_allclose(np.delete(learnt.y, [3, 5]), np.delete(y - told, [3, 5]))
    for each in (quantity, again):
        np.testing.assert_allclose(each.tell(molecules, learnt.y), y)


@pytest.mark.parametrize("bad", [0.0, -0.1])
def test_a_density_that_is_not_positive_is_refused_with_its_molecules(bad):
    molecules = make()
    molecules.y[3] = bad
    with pytest.raises(MoleculeError, match="1 molecules have a density of 0 or less") as caught:
        Quantity("intensive", DENSITY, volume=True).fit(molecules).learn(molecules)
    assert list(caught.value.smiles) == [SMILES[3]]
