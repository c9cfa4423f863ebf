import collections
import hashlib
import os
import random
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from sklearn.neighbors import KernelDensity

from boomlib import contracts
from boomlib.files import ContractError
from boomlib.labels import is_nearly_constant
from boomlib.split import cut_valid, make_split, ood_molecules
from boomlib.splits import SplitInput, kde, scaffold

RNG = np.random.default_rng(5)
DISTRIBUTIONS = {
    "normal": RNG.normal(size=400),
    "one value": np.array([3.7]),
    "two values": np.array([0.0, 1e3]),
    "all equal": np.full(50, -1.25),
    "few distinct values": RNG.integers(0, 6, size=500) / 4,
    "heavy tails": RNG.standard_cauchy(size=400),
    "far apart": np.concatenate([RNG.normal(size=150), 1e4 + RNG.normal(size=150), [-5e5]]),
    "wider than the windows": np.sort(RNG.uniform(-500, 500, size=600))[::-1],
    "tiny numbers": RNG.normal(size=300) * 1e-6,
    "far from zero": 1e4 + RNG.normal(size=300),
    "zeros of both signs": np.array([0.0, -0.0, 1.0, -1.0, 0.0]),
    "1e17 bandwidths apart": np.concatenate([RNG.normal(size=50), 1e17 + 64 * np.arange(50), [-3e22, 4e25]]),
    "a lone value far away": np.concatenate([[-1e30], RNG.normal(size=99)]),
    "gaps of ever more bandwidths": np.concatenate([1e6 * 2.0 ** np.arange(80) + shift for shift in (0, 0.25)]),
}


def kde_folds(properties, name, **rule):
    return kde.assign(SplitInput(name, properties, {}), **({"bandwidth": "unscaled"} | rule))


def scaffold_folds(names, **rule):
    features = {"scaffolds": pa.table({"scaffold": pa.array(names, pa.string())})}
    return scaffold.assign(SplitInput("any", {}, features), **rule)


def sklearn_density(values: np.ndarray) -> np.ndarray:
    column = values.reshape(-1, 1)
    return np.exp(KernelDensity(kernel="gaussian", bandwidth="scott").fit(column).score_samples(column))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_gaussian_kde_is_scikit_learns(name):
    values = DISTRIBUTIONS[name]
    np.testing.assert_allclose(kde.gaussian_kde(values), sklearn_density(values), rtol=1e-9)


def test_gaussian_kde_by_hand():
    # two points one apart, bandwidth h = 2^(-1/5): density = (1 + exp(-1/(2h²))) / (2 h sqrt(2π))
    h = 2**-0.2
    expected = (1 + np.exp(-1 / (2 * h * h))) / (2 * h * np.sqrt(2 * np.pi))
    assert kde.gaussian_kde(np.array([4.0, 5.0])) == pytest.approx([expected, expected])


def test_equal_values_have_equal_density_to_the_bit():
    values = np.repeat(np.random.default_rng(0).normal(size=40), 3)
    density = kde.gaussian_kde(values).reshape(40, 3)
    assert (density == density[:, :1]).all()


def test_ties_at_the_threshold_go_to_the_lower_id_and_are_counted():
    density = np.array([0.5, 0.1, 0.3, 0.3, 0.2, 0.3, 0.9])
    assert np.flatnonzero(kde.lowest(density, 3)).tolist() == [1, 2, 4]
    assert np.flatnonzero(kde.lowest(density, 4)).tolist() == [1, 2, 3, 4]
    ties = [kde.count_ties(density, size) for size in range(1, 8)]
    assert ties == [(0, 0), (0, 0), (3, 1), (3, 2), (0, 0), (0, 0), (0, 0)]


def test_densities_that_differ_by_rounding_are_tied():
    density = np.array([0.1, 0.3, 0.3 * (1 + 5e-16), 0.3 * (1 - 5e-16), 0.3 * (1 + 1e-8)])
    assert [kde.count_ties(density, size) for size in range(1, 6)] == [(0, 0), (3, 1), (3, 2), (0, 0), (0, 0)]


LABELS = {
    "normal": np.random.default_rng(3).normal(-40, 90, size=200),
    "skewed over decades": np.random.default_rng(4).lognormal(0, 3, size=200),
    "an outlier": np.append(np.random.default_rng(5).normal(size=199), 1e7),
    "few distinct values": np.random.default_rng(6).binomial(40, 0.5, size=200) / 8,
    "mostly zero": np.append(np.zeros(160), np.random.default_rng(7).exponential(size=40)),
}


@pytest.mark.parametrize("name", LABELS)
def test_the_unit_of_a_table_does_not_change_its_folds(name):
    """Kilojoules and joules, tiny units, an origin elsewhere (kelvin), another sign."""
    values, rule = LABELS[name], {"ood_size": 20, "id_fraction": 0.1, "seed": 1, "shared_generator": False}
    expected, density, facts = kde_folds({"a": values}, "a", bandwidth="scaled", **rule)
    for unit in (values * 4184, values * 1e-12 / 3, values / 7e9, values + 273.15, -values):
        fold, _, other = kde_folds({"a": unit}, "a", bandwidth="scaled", **rule)
        assert fold.tolist() == expected.tolist()
        assert other == facts
    ratio = kde_folds({"a": values * 4184}, "a", bandwidth="scaled", **rule)[1] / density
    np.testing.assert_allclose(ratio, 1 / 4184, rtol=1e-9)  # one over the property's unit


def test_a_scaled_bandwidth_is_silvermans_spread_by_scotts_factor():
    values = LABELS["skewed over decades"]
    low, high = np.quantile(values, (0.25, 0.75))
    assert kde.find_spread(values) == pytest.approx((high - low) / 1.349)
    assert kde.find_spread(values) < values.std() / 10
    column, width = values.reshape(-1, 1), kde.find_spread(values) * 200**-0.2
    expected = np.exp(KernelDensity(kernel="gaussian", bandwidth=width).fit(column).score_samples(column))
    np.testing.assert_allclose(kde.scaled_kde(values), expected, rtol=1e-9)
    assert kde.find_spread(LABELS["mostly zero"]) == LABELS["mostly zero"].std()
    assert kde.find_spread(np.full(9, 0.1)) == 1


def test_rare_values_are_ood_in_any_unit():
    values = LABELS["normal"]
    fold, *_ = kde_folds(
        {"a": values * 4184}, "a", bandwidth="scaled", ood_size=20, id_fraction=0.1, seed=1, shared_generator=False
    )
    far = np.argsort(-np.abs(values - np.median(values)))
    assert set(far[:10]) <= set(np.flatnonzero(fold == "ood"))


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        pytest.param(
            LABELS["normal"] * 4184,
            [
                "200 of 200 molecules have values that are equally rare, and 20 of the 20",
                "set `split.bandwidth: scaled` in",
            ],
            id="joules with BOOM's bandwidth",
        ),
        pytest.param(
            np.repeat([0.0, 1.0], [150, 50]),
            [
                "50 of 200 molecules have values that are equally rare",
                "set `split.ood_size: 50` or `split.bandwidth: scaled` in",
            ],
            id="two classes",
        ),
        pytest.param(
            np.concatenate([np.full(3, 7.0), np.full(60, 3.0), np.full(137, 1.0)]),
            ["60 of 200 molecules", "17 of the 20", "set `split.ood_size: 3` or `split.ood_size: 63` or"],
            id="few counts",
        ),
    ],
)
def test_values_of_which_none_are_rarest_are_refused(values, parts):
    with pytest.raises(ContractError) as error:
        kde_folds({"a": values}, "a", ood_size=20, id_fraction=0.1, seed=1, shared_generator=False)
    assert [part for part in parts if part not in str(error.value)] == []


@pytest.mark.parametrize("values", [np.full(200, 0.1), np.append(np.full(199, 3.0), 9.0), np.arange(200.0)])
def test_a_constant_is_split_and_so_are_evenly_spaced_values(values):
    """Of a constant the leaderboard says that nothing can be learnt; two ends that are equally rare are a note."""
    fold, *_ = kde_folds(
        {"a": values}, "a", bandwidth="scaled", ood_size=20, id_fraction=0.1, seed=1, shared_generator=False
    )
    assert (fold == "ood").sum() == 20


@pytest.mark.parametrize(
    ("values", "constant"),
    [
        (np.full(50, 0.1), True),
        (np.zeros(3), True),
        (-3.0 + 1e-12 * RNG.normal(size=50), True),
        (np.append(np.full(30, 2.0), 5.0), True),
        (np.append(np.zeros(996), [1, 2, 3, 4]), True),
        (np.append(np.zeros(80), [1, 2]), False),
        (-4.0e4 + 1e-3 * RNG.normal(size=50), False),  # total energies of isomers
        (np.array([1.0, 2.0]), False),
        (RNG.normal(size=50) * 1e-30, False),
    ],
)
def test_what_is_nearly_constant(values, constant):
    assert is_nearly_constant(values) == constant


def boom_folds(properties, name, *, size, fraction, seed, shared):
    """BOOM's procedure written out: a threshold by partition, then one pass over the rows."""
    density = {each: sklearn_density(values) for each, values in properties.items()}
    threshold = {each: np.partition(values, size)[size] for each, values in density.items()}
    generator = random.Random(seed)
    folds = []
    for row in range(len(properties[name])):
        for each in properties if shared else [name]:
            if density[each][row] < threshold[each]:
                fold = "ood"
            else:
                fold = "id" if generator.random() < fraction else "train"
            if each == name:
                folds.append(fold)
    return folds


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_kde_assign_is_booms_procedure(shared, name):
    rng = np.random.default_rng(11)
    properties = {"a": rng.normal(size=300), "b": rng.gamma(2, 30, size=300), "c": rng.normal(size=300) * 100}
    fold, density, _ = kde_folds(properties, name, ood_size=40, id_fraction=0.2, seed=42, shared_generator=shared)
    assert fold.tolist() == boom_folds(properties, name, size=40, fraction=0.2, seed=42, shared=shared)
    np.testing.assert_allclose(density, sklearn_density(properties[name]), rtol=1e-9)
    assert collections.Counter(fold.tolist())["ood"] == 40


def test_generators_differ_between_shared_and_separate():
    rng = np.random.default_rng(11)
    properties = {"a": rng.normal(size=300), "b": rng.normal(size=300)}
    rule = {"ood_size": 40, "id_fraction": 0.2, "seed": 42}
    together, apart = (kde_folds(properties, "b", shared_generator=shared, **rule)[0] for shared in (True, False))
    assert (together != apart).any()
    assert np.array_equal(together == "ood", apart == "ood")


def test_the_seed_decides_id_and_nothing_else():
    properties = {"a": np.random.default_rng(0).normal(size=200)}
    one, other = (
        kde_folds(properties, "a", ood_size=20, id_fraction=0.3, seed=seed, shared_generator=False)[0]
        for seed in (1, 2)
    )
    assert (one != other).any()
    assert np.array_equal(one == "ood", other == "ood")


# 9 acyclic molecules, 6 of benzene, 3 of pyridine and of furan, 1 of each of 5 more
SCAFFOLDS = [""] * 9 + ["c1ccccc1"] * 6 + ["c1ccncc1"] * 3 + ["c1ccoc1"] * 3 + [f"C1{'C' * n}1" for n in range(2, 7)]


def shuffled_scaffolds():
    return [SCAFFOLDS[i] for i in np.random.default_rng(0).permutation(len(SCAFFOLDS))]


def ood_scaffolds(names, fold):
    return collections.Counter(name for name, each in zip(names, fold, strict=True) if each == "ood")


@pytest.mark.parametrize("size", range(1, 26))
def test_scaffolds_go_to_ood_whole_and_never_beyond_its_size(size):
    names = shuffled_scaffolds()
    fold, _, _ = scaffold_folds(names, ood_size=size, id_fraction=0.3, seed=42)
    taken = ood_scaffolds(names, fold)
    assert sum(taken.values()) <= size
    assert all(count == names.count(name) for name, count in taken.items())
    left = size - sum(taken.values())
    assert all(names.count(name) > left for name in set(names) - set(taken)), "what still fits is taken"


def test_the_rarest_scaffolds_go_to_ood_first():
    names = shuffled_scaffolds()
    fold, rank, _ = scaffold_folds(names, ood_size=11, id_fraction=0.3, seed=42)
    assert sorted(ood_scaffolds(names, fold).values()) == [1, 1, 1, 1, 1, 3, 3]
    by_name = dict(zip(names, rank.tolist(), strict=True))
    assert by_name[""] == 0
    assert by_name["c1ccccc1"] == 1
    assert {by_name["c1ccncc1"], by_name["c1ccoc1"]} == {2, 3}
    assert sorted(by_name.values()) == list(range(9))


def test_equally_common_scaffolds_stand_in_the_order_of_a_hash():
    names = ["c1ccccc1", "c1ccncc1", "c1ccoc1", "C1CC1", ""]
    ordered = sorted(names, key=lambda name: hashlib.blake2b(name.encode(), digest_size=8).hexdigest())
    assert scaffold.rank_scaffolds(names).tolist() == [ordered.index(name) for name in names]


def test_molecules_outside_ood_draw_for_id_row_by_row():
    names = shuffled_scaffolds()
    fold, _, _ = scaffold_folds(names, ood_size=8, id_fraction=0.3, seed=42)
    generator = random.Random(42)
    drawn = ["id" if generator.random() < 0.3 else "train" for each in fold if each != "ood"]
    assert [each for each in fold if each != "ood"] == drawn


def test_acyclic_molecules_are_one_scaffold_and_a_rare_one_is_ood():
    names = ["c1ccccc1"] * 8 + [""] * 2 + ["c1ccncc1"] * 5
    fold, _, _ = scaffold_folds(names, ood_size=4, id_fraction=0.2, seed=0)
    assert ood_scaffolds(names, fold) == {"": 2}


def test_scaffold_split_does_not_depend_on_pythons_hash_seed():
    code = (
        "import pyarrow as pa\n"
        "from boomlib.splits import SplitInput, scaffold\n"
        f"table = pa.table({{'scaffold': {shuffled_scaffolds()!r}}})\n"
        "known = SplitInput('any', {}, {'scaffolds': table})\n"
        "print(scaffold.assign(known, ood_size=9, id_fraction=0.3, seed=42))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(outputs) == 1


def test_valid_is_cut_from_train_alone():
    fold = np.array((["train"] * 10 + ["id"] * 3 + ["ood"] * 7) * 5)
    cut = cut_valid(fold, 0.1, seed=42)
    assert collections.Counter(cut.tolist()) == {"train": 45, "valid": 5, "id": 15, "ood": 35}
    assert set(fold[cut == "valid"]) == {"train"}
    assert np.array_equal(cut[cut != "valid"], fold[cut != "valid"])
    assert np.array_equal(cut, cut_valid(fold, 0.1, seed=42))
    assert not np.array_equal(cut, cut_valid(fold, 0.1, seed=43))
    assert (fold == "valid").sum() == 0, "the fold that was given stays as it is"


def test_valid_is_never_empty():
    cut = cut_valid(np.array(["train"] * 3), 0.01, seed=0)
    assert collections.Counter(cut.tolist()) == {"train": 2, "valid": 1}


@pytest.mark.parametrize(
    ("size", "n", "expected"),
    [
        (100, 1000, 100),
        (1, 10, 1),
        (0.1, 25, 3),
        (0.5, 10, 5),
        pytest.param(
            0.07,
            100,
            7,
        ),
    ],
)
def test_ood_size_is_a_number_or_below_1_a_share(size, n, expected):
    assert ood_molecules(size, n) == expected


SETTINGS = {
    "ood_size": 12,
    "id_fraction": 0.2,
    "valid_fraction": 0.1,
    "seed": 42,
    "shared_generator": False,
    "bandwidth": "unscaled",
}


def test_the_task_table_says_where_a_molecule_stands_in_a_users_file(tmp_path):
    numbers = np.arange(100) * 2 + 2
    origin = contracts.Origin("data/x.csv", "line", numbers)
    smiles = ["C" * (i + 1) for i in range(100)]
    values = {"q": np.random.default_rng(0).normal(size=100)}
    contracts.write_molecules(tmp_path / "m", smiles, values, {"q": "eV"}, origin)
    task = {"properties": ["q"], "name": "q", "scheme": "kde", "settings": SETTINGS}
    make_split(tmp_path / "m", {}, tmp_path / "split", tmp_path / "task", **task)
    found = contracts.read_table(tmp_path / "task", contracts.TASK)
    assert found["source line"].to_pylist() == numbers.tolist()
    assert contracts.locate(found, ["CCC"]) == "data/x.csv, line 6 (CCC)"


@pytest.fixture
def split(tmp_path):
    """Run make_split on 100 molecules with two properties; returns (counts, split table, task table)."""
    values = {name: np.random.default_rng(i).normal(size=100) for i, name in enumerate(("p", "q"))}
    smiles = ["C" * (i + 1) for i in range(100)]

    def run(scheme="kde", names=None, **changes):
        contracts.write_molecules(tmp_path / "m.parquet", smiles, values, {"p": "eV", "q": "eV"})
        names = [f"scaffold {i // 6}" for i in range(100)] if names is None else names
        contracts.write_table(
            pa.table({"molecule_id": np.arange(100), "scaffold": names}), tmp_path / "scaffolds.parquet"
        )
        out = (tmp_path / "split.parquet", tmp_path / "task.parquet")
        counts = make_split(
            tmp_path / "m.parquet",
            {"scaffolds": tmp_path / "scaffolds.parquet"} if scheme == "scaffold" else {},
            *out,
            properties=["p", "q"],
            name="q",
            scheme=scheme,
            settings=SETTINGS | changes,
        )
        return counts, *(contracts.read_table(path) for path in out), values["q"], smiles

    return run


@pytest.mark.parametrize("scheme", ["kde", "scaffold"])
def test_the_task_shows_labels_of_train_and_valid_alone(split, scheme):
    counts, split_table, task, values, smiles = split(scheme)
    fold = task["fold"].to_numpy().astype(str)
    assert task["fold"].to_pylist() == split_table["fold"].to_pylist()
    assert task["molecule_id"].to_pylist() == split_table["molecule_id"].to_pylist() == list(range(100))
    assert task["smiles"].to_pylist() == smiles
    seen = [value if each in ("train", "valid") else None for value, each in zip(values.tolist(), fold, strict=True)]
    assert task["y"].to_pylist() == seen
    assert set(task.column_names) == {"molecule_id", "smiles", "fold", "y"}, "nothing else could tell the label"
    sizes = {each: counts[each] for each in contracts.FOLDS}
    assert sizes == collections.Counter(fold.tolist())
    assert all(sizes.values())


def test_make_split_by_density_is_kde_assign_with_the_valid_cut(split):
    counts, table, _, values, _ = split()
    fold, density, _ = kde_folds({"q": values}, "q", ood_size=12, id_fraction=0.2, seed=42, shared_generator=False)
    assert table["fold"].to_pylist() == cut_valid(fold, 0.1, 42).tolist()
    assert table["density"].to_pylist() == density.tolist()
    assert counts["tied_at_threshold"] == 0


def test_make_split_by_scaffold_takes_whole_scaffolds(split):
    counts, table, *_ = split("scaffold")
    # 16 scaffolds of 6 molecules and the last of 4: 4 + 6 fit into 12
    assert counts["ood"] == 10
    ood = np.flatnonzero(table["fold"].to_numpy() == "ood") // 6
    assert sorted(np.bincount(ood)[np.unique(ood)].tolist()) == [4, 6]


def test_a_split_is_the_same_to_the_byte_twice(split, tmp_path):
    split()
    before = [(tmp_path / name).read_bytes() for name in ("split.parquet", "task.parquet")]
    split()
    assert [(tmp_path / name).read_bytes() for name in ("split.parquet", "task.parquet")] == before


@pytest.mark.parametrize("size", [100, 1000, 0.995])
@pytest.mark.parametrize("scheme", ["kde", "scaffold"])
def test_too_few_molecules_for_the_ood_fold(split, tmp_path, size, scheme):
    with pytest.raises(ContractError) as error:
        split(scheme, ood_size=size)
    number = 100 if size < 1 else size
    for part in ("m.parquet", "'q'", "100 molecules", f"fold of {number}", "`split.ood_size`"):
        assert part in str(error.value)
    assert not (tmp_path / "task.parquet").exists()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"ood_size": 99, "id_fraction": 0.01}, id="ood leaves one"),
        pytest.param({"ood_size": 90, "id_fraction": 0.999}, id="id takes the rest"),
        pytest.param({"ood_size": 90, "valid_fraction": 0.96}, id="valid takes all of train"),
    ],
)
def test_a_split_without_molecules_to_train_on_is_refused(split, tmp_path, changes):
    with pytest.raises(ContractError) as error:
        split(**changes)
    for part in ("m.parquet", "'q'", "too few for train and valid", "`split.valid_fraction`"):
        assert part in str(error.value)
    assert not (tmp_path / "task.parquet").exists()


@pytest.mark.parametrize("size", [0.1, 59, 1])
@pytest.mark.parametrize(
    ("names", "what"),
    [
        ([""] * 100, "are acyclic, which counts as one scaffold"),
        (["c1ccccc1"] * 100, "have the one scaffold c1ccccc1"),
    ],
)
def test_molecules_of_one_scaffold_cannot_be_split_by_it(split, tmp_path, size, names, what):
    with pytest.raises(ContractError) as error:
        split("scaffold", names=names, ood_size=size)
    assert "m.parquet, property 'q', scheme 'scaffold': this scheme cannot split this data: " in str(error.value)
    assert f"all 100 molecules {what}, and a scaffold is never divided; split by another scheme" in str(error.value)
    assert "ood_size" not in str(error.value)
    assert not (tmp_path / "task.parquet").exists()


@pytest.mark.parametrize("sizes", [(50, 50), (60, 40), (34, 33, 33)])
def test_the_size_that_a_scaffold_needs_is_named_and_is_enough(split, sizes):
    names = [str(scaffold) for scaffold, size in enumerate(sizes) for _ in range(size)]
    with pytest.raises(ContractError, match=rf"set `split.ood_size` to {min(sizes)} or more in"):
        split("scaffold", names=names)
    assert split("scaffold", names=names, ood_size=min(sizes))[0]["ood"] == min(sizes)


@pytest.mark.parametrize("n", [1, 2])
def test_so_few_molecules_cannot_be_split_whatever_the_sizes(n):
    with pytest.raises(ContractError, match=f"^{n} molecules cannot be split: .*; add molecules") as error:
        ood_molecules(0.1, n)
    assert "ood_size" not in str(error.value)
