"""The effect of the treatment between molecules of the same context, whatever else the context does."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny
from tiny import TrainingJob, small_descriptor, write_benchmark

from boomlib.files import ContractError
from boomlib.harness.ridge import Rows, fit_ridge
from boomlib.models.nlmtp.encoder import PENALTIES
from boomlib.models.nlmtp.model import NLMTP
from boomlib.models.nlmtp.within import Side, WithinLine

SLOPE, CURVATURE, BY_CONTEXT = -1.0, 0.3, np.array([0.5, -0.4])


def make_side(n: int, seed: int, *, contexts: int = 60) -> Side:
    """Molecules whose treatment and outcome both depend on the context in a way that no line can say."""
    rng = np.random.default_rng(seed)
    known = np.random.default_rng(0).normal(size=(contexts, 2))
    covariates = known[rng.integers(0, contexts, n)]
    confounder = covariates[:, 0] ** 2 - covariates[:, 1] ** 2 * 0.5
    a = 0.8 * confounder + 0.5 * rng.normal(size=n)
    effect = a * (SLOPE + CURVATURE * a + covariates @ BY_CONTEXT)
    z = 3 * confounder * covariates[:, 0] + effect + 0.1 * rng.normal(size=n)
    return Side(covariates, covariates, a, z)


def true_contrast(side: Side, shift: float) -> np.ndarray:
    """What a shift of the treatment does to each molecule."""
    return shift * (SLOPE + side.covariates @ BY_CONTEXT) + CURVATURE * ((side.a + shift) ** 2 - side.a**2)


def test_the_effect_is_free_of_what_the_context_does():
    train, valid = make_side(4000, 1), make_side(500, 2)
    line = WithinLine().fit(train, valid, PENALTIES)
    level, slope, curvature = line.coefficients(valid.x).T

    def said(a: np.ndarray) -> np.ndarray:
        return level + a * (slope + curvature * a)

    error = said(valid.a + 0.5) - said(valid.a) - true_contrast(valid, 0.5)
    assert np.abs(error).max() < 0.05
    # one regression on x, a and a·x takes what the context does for an effect
    columns = [np.column_stack([each.x, each.a, each.a[:, None] * each.x]) for each in (train, valid)]
    fitted = fit_ridge(Rows([columns[0]]), train.z, Rows([columns[1]]), valid.z, PENALTIES)
    together = 0.5 * (fitted.weights[2] + valid.x @ fitted.weights[3:])
    assert np.sqrt(np.mean((together - true_contrast(valid, 0.5)) ** 2)) > 0.3


def test_every_context_counts_once():
    """A context of which there is ten times as much as of any other moves the effect no further than one of them."""
    train, valid = make_side(2000, 1), make_side(500, 2)
    first = np.flatnonzero((train.covariates == train.covariates[0]).all(axis=1))
    assert len(first) < 100
    again = np.concatenate([np.arange(2000), np.tile(first, 9)])
    repeated = Side(*(getattr(train, name)[again] for name in ("covariates", "x", "a", "z")))
    before, after = (WithinLine().fit(each, valid, PENALTIES).effect for each in (train, repeated))
    assert np.allclose(before, after, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"contexts": 300_000}, r"train has 0, worth 0 differences for 4 coefficients"),
        ({"same": True}, r"train has 0, worth 0 differences for 4 coefficients"),
    ],
    ids=["no context is shared", "isomers alone"],
)
def test_what_says_nothing_of_the_treatment_is_refused(change, said):
    train, valid = make_side(300, 1, contexts=change.get("contexts", 60)), make_side(30, 2)
    if change.get("same"):
        train = replace(train, a=train.covariates @ np.array([0.3, 0.7]))
    with pytest.raises(ContractError, match=said):
        WithinLine().fit(train, valid, PENALTIES)


def test_a_valid_fold_without_contexts_of_train_is_refused():
    train, valid = make_side(300, 1), make_side(30, 2)
    with pytest.raises(ContractError, match="and valid 0 of contexts that train has"):
        WithinLine().fit(train, replace(valid, covariates=valid.covariates + 1), PENALTIES)


def test_residuals_are_those_of_molecules_left_out():
    train, valid = make_side(400, 1), make_side(50, 2)
    line = WithinLine().fit(train, valid, PENALTIES)
    effect = train.a * (SLOPE + CURVATURE * train.a + train.covariates @ BY_CONTEXT)
    level = line.coefficients(train.x)[:, 0]
    fitted = train.z - effect - level
    # leverages of four columns over 400 molecules: a little larger than the residuals of the fit
    assert np.abs(line.leave_one_out - fitted).max() < 0.1 * np.abs(fitted).max()
    assert (line.leave_one_out**2).sum() > (fitted**2).sum() * 0.99


def test_homologues_in_the_middle_are_compared_as_well():
    """Three masses a context, equally spaced: only the middle one tells a curve from a line."""
    n = 60
    context = np.repeat(np.arange(n // 3), 3).astype(float)
    a = np.tile([-1.0, 0, 1], n // 3)
    z = 2 * a + 0.5 * a**2 + np.random.default_rng(0).normal(size=n // 3)[context.astype(int)]
    side = Side(context[:, None], np.zeros((n, 1)), a, z)
    line = WithinLine().fit(side, side, [1e-6])
    assert line.effect[:2] == pytest.approx([2, 0.5], abs=1e-3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"encoder": {"context": "full"}},
            "`line: within` needs `context: homologous`, which a CH2 leaves alone, not full",
        ),
        ({"training": {"policy_epochs": 1}}, "both worlds agree before `policy_epochs` do anything; drop either"),
    ],
)
def test_options_that_exclude_each_other_are_refused(change, said):
    given = small_descriptor("nlmtp_small")["parameters"]
    given = given | {"encoder": given["encoder"] | {"line": "within"}}
    given |= {key: given[key] | value for key, value in change.items()}
    with pytest.raises(ContractError, match=said):
        NLMTP(**given, kind="extensive", seed=0)


def test_a_model_with_such_a_line_moves_along_it(tmp_path, monkeypatch):
    """A CH₂ of the made-up molecules is worth -5."""
    monkeypatch.setattr(tiny, "FOLDS", [fold for fold in tiny.FOLDS for _ in range(10)])
    small = small_descriptor("nlmtp_small")
    parameters = small["parameters"] | {"encoder": small["parameters"]["encoder"] | {"line": "within"}}
    descriptor = small | {"parameters": parameters}
    write_benchmark(tmp_path, descriptor["features"])
    job = TrainingJob(descriptor, tmp_path, tmp_path)
    job(policy=tmp_path / "seed3/policy.parquet")
    table = pq.read_table(tmp_path / "seed3/policy.parquet")
    contrast = table["m_moved"].to_numpy() - table["m_observed"].to_numpy()
    assert np.abs(contrast + 5).mean() < 1
    # without a shift nothing is added, and the head of a shift has hardly learned
    assert np.abs(table["m_policy"].to_numpy() - table["m_moved"].to_numpy()).mean() < 1
