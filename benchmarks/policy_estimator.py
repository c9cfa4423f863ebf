"""Are the policy estimates of boomlib/causal right? Bias, coverage and RMSE where the truth is known.

    python benchmarks/policy_estimator.py --replications 200 --out results/policy_estimator

Two designs: one made here, whose densities are known, and the molecules of 10K CSD with their own mass (the treatment)
and composition (the covariates) but a made outcome. Every replication draws a sample, cross-fits right and wrong
nuisances and estimates the mean outcome under "add δ to the treatment" with each pair of them, and with each ratio
once more after it was balanced. Writes results.json and estimator.png and prints the tables. A design that is run
alone (--designs) replaces its part of results.json. Under an hour on one core for 200 replications.
"""

import argparse
import itertools
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from rdkit import Chem
from rdkit.Chem.Descriptors import ExactMolWt
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer, StandardScaler
from tqdm import tqdm

from boomlib.causal.balance import balance
from boomlib.causal.cross_fit import cross_fit_outcome, cross_fit_ratio
from boomlib.causal.nuisance import FittedDensity, fit_classifier, fit_density
from boomlib.causal.policy import Estimate, contrast, gate, one_step, plug_in, policy_weights, weighted
from boomlib.contracts import read_molecules
from boomlib.files import read_json, write_json
from boomlib.report.figures.style import open_figure

THRESHOLD, CLIP, FOLDS = 0.6, 20.0, 5
SEED = 2024
CH2 = 14.01565  # Da
GATE_ROWS = 20_000  # rows of the population that tell a fitted gate from the known one
PROBES = 100  # random functions that tell how balanced the weights are
FITTED = ("MDN", "classifier", "wrong")
BALANCED = {name: f"{name}, balanced" for name in FITTED}
RATIOS = (*FITTED, *BALANCED.values())
ARMS = [
    *(("one-step", "right", ratio) for ratio in RATIOS),
    *(("one-step", "wrong", ratio) for ratio in RATIOS),
    *(("plug-in", outcome, "–") for outcome in ("right", "wrong")),
    *(("weighted", "–", ratio) for ratio in RATIOS),
    # balanced weights have the mean 1: normalising changes nothing
    *(("mean of wY", "–", ratio) for ratio in FITTED),
]
"""Estimator, outcome and ratio of each row of the tables, in their order."""
COLOURS = {"one-step": "#0072B2", "plug-in": "#D55E00", "weighted": "#009E73", "mean of wY": "#CC79A7"}
MARKERS = {"one-step": "o", "plug-in": "s", "weighted": "D", "mean of wY": "^"}
Gate = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Design:
    """A population with a known outcome function.

    Attributes:
        name: key in results.json.
        n: rows of a replication.
        shift: δ, in the unit of the treatment.
        sample: generator -> covariates [n, p] and treatment [n].
        outcome: (x, a) -> m(a, x), [n]; the outcome is that plus noise.
        noise: standard deviation of the noise.
        policies: gate (x, a) -> bool [n] of each known policy, by name.
        reference: covariates and treatment of the population, or of many draws from it: truths are means over them.
    """

    name: str
    n: int
    shift: float
    sample: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]
    outcome: Callable[[np.ndarray, np.ndarray], np.ndarray]
    noise: float
    policies: dict[str, Gate]
    reference: tuple[np.ndarray, np.ndarray]

    def change(self, opened: np.ndarray, x: np.ndarray, a: np.ndarray) -> np.ndarray:
        """m(d(A, X), X) - m(A, X), [n], of the policy that shifts where ``opened``."""
        return np.where(opened, self.outcome(x, a + self.shift) - self.outcome(x, a), 0)

    def truth(self) -> dict[str, float]:
        """E[Y] (key ``natural``) and ψ - E[Y] of each known policy."""
        x, a = self.reference
        changes = {name: float(self.change(opened(x, a), x, a).mean()) for name, opened in self.policies.items()}
        return {"natural": float(self.outcome(x, a).mean())} | changes


# -- a design whose densities are known ------------------------------------------------------------------


def synthetic_parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Location, scale and share of the upper component of A given X, [n] each."""
    location = 1.2 * x[:, 0] + 0.6 * x[:, 1] ** 2 - 0.5 * x[:, 2] * x[:, 3]
    return location, 0.7 + 0.5 / (1 + np.exp(-x[:, 3])), 1 / (1 + np.exp(-x[:, 0]))


def synthetic_sample(generator: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Five uniform covariates, the fifth without effect; the treatment is a skewed, heteroscedastic mixture."""
    x = generator.uniform(-1.5, 1.5, (n, 5))
    location, scale, upper = synthetic_parts(x)
    noise = generator.normal(size=n)
    z = np.where(generator.random(n) < upper, 0.8 + 0.7 * noise, -0.8 + 0.9 * noise)
    return x, location + scale * z


def synthetic_log_density(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """log g(a | x) up to a constant, [n]."""
    location, scale, upper = synthetic_parts(x)
    z = (a - location) / scale
    high, low = np.exp(-0.5 * ((z - 0.8) / 0.7) ** 2) / 0.7, np.exp(-0.5 * ((z + 0.8) / 0.9) ** 2) / 0.9
    return np.log(upper * high + (1 - upper) * low) - np.log(scale)


def synthetic_gate(x: np.ndarray, a: np.ndarray, shift: float) -> np.ndarray:
    """The gate that the true density gives, bool [n]."""
    return gate(synthetic_log_density(x, a) - synthetic_log_density(x, a + shift), THRESHOLD)


def synthetic_outcome(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Shares every term that moves the treatment, so that leaving X out is confounded."""
    return 1.5 * np.sin(a) + (2 + 0.4 * x[:, 0]) * a + 3 * x[:, 0] + x[:, 1] ** 2 - x[:, 2] * x[:, 3]


def open_gate(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """The gate of the policy that shifts every row, bool [n]."""
    return np.ones(len(a), dtype=bool)


def synthetic_design() -> Design:
    """The design made here; 10⁶ draws stand for its population."""
    shift = 0.5
    return Design(
        name="synthetic",
        n=2000,
        shift=shift,
        sample=partial(synthetic_sample, n=2000),
        outcome=synthetic_outcome,
        noise=1.0,
        policies={"shift all": open_gate, "gated": partial(synthetic_gate, shift=shift)},
        reference=synthetic_sample(np.random.default_rng(SEED), 1_000_000),
    )


# -- the molecules of 10K CSD ----------------------------------------------------------------------------


def composition(molecule: Chem.Mol) -> list[float]:
    """Nine counts that a CH2 inserted into a chain leaves as they are."""
    atoms, rings = list(molecule.GetAtoms()), molecule.GetRingInfo().NumRings()
    carbon, nitrogen, oxygen = (sum(atom.GetSymbol() == symbol for atom in atoms) for symbol in "CNO")
    hydrogen = sum(atom.GetTotalNumHs() for atom in atoms)
    return [
        nitrogen,
        oxygen,
        carbon + 1 + (nitrogen - hydrogen) / 2,  # rings and double bonds
        rings,
        sum(atom.GetIsAromatic() for atom in atoms),
        sum(atom.GetTotalNumHs() for atom in atoms if atom.GetSymbol() != "C"),
        sum(atom.GetTotalNumHs() == 3 for atom in atoms if atom.GetSymbol() == "C"),
        len(molecule.GetSubstructMatches(Chem.MolFromSmarts("[CX3]=[OX1]"))),
        len(molecule.GetSubstructMatches(Chem.MolFromSmarts("[N+](=O)[O-]"))),
    ]


def draw_rows(generator: np.random.Generator, x: np.ndarray, a: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """A sample with replacement: the molecules are the population."""
    rows = generator.integers(len(a), size=n)
    return x[rows], a[rows]


def molecule_outcome(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Made, in no unit: oxygen and unsaturation go with mass and act against it, so leaving X out is confounded."""
    t = (a - 330) / 120
    trend = 4 * t + 1.5 * np.sin(2 * t) + 0.8 * t * x[:, 0]
    return trend - 5 * x[:, 1] - 4 * x[:, 2] + 2 * np.tanh(x[:, 3] - 1.5) + 0.5 * x[:, 4] * x[:, 5]


def density_gate(x: np.ndarray, a: np.ndarray, density: FittedDensity) -> np.ndarray:
    """The gate that a fitted density gives, bool [n]."""
    return gate(density.log_ratio(x, a + CH2, CH2), THRESHOLD)


def molecule_design(path: Path) -> Design:
    """Mass and roots of counts of the molecules; the gate is fitted once to all of them and belongs to the policy."""
    molecules = [Chem.MolFromSmiles(smiles) for smiles in read_molecules(path)["smiles"].to_pylist()]
    x = np.sqrt([composition(molecule) for molecule in molecules])
    a = np.array([ExactMolWt(molecule) for molecule in molecules])
    return Design(
        name="csd10k",
        n=2000,
        shift=CH2,
        sample=partial(draw_rows, x=x, a=a, n=2000),
        outcome=molecule_outcome,
        noise=1.0,
        policies={"gated": partial(density_gate, density=fit_density(x, a))},
        reference=(x, a),
    )


# -- nuisances -------------------------------------------------------------------------------------------


def flexible_outcome(x: np.ndarray, a: np.ndarray, y: np.ndarray) -> Callable:
    """The right outcome: ridge on a spline of the treatment and all products of two variables."""
    spline = ColumnTransformer([("a", SplineTransformer(8, knots="quantile", extrapolation="linear"), [-1])])
    design = make_union(spline, PolynomialFeatures(2, include_bias=False))
    ridge = RidgeCV(np.logspace(-3, 3, 13))
    model = make_pipeline(StandardScaler(), design, StandardScaler(), ridge)
    model.fit(np.column_stack((x, a)), y)
    return lambda x, a: model.predict(np.column_stack((x, a)))


def confounded_outcome(x: np.ndarray, a: np.ndarray, y: np.ndarray) -> Callable:
    """A wrong outcome: a straight line in the treatment, without the covariates."""
    model = LinearRegression().fit(a[:, None], y)
    return lambda x, a: model.predict(a[:, None])


@dataclass(frozen=True)
class MarginalNormal:
    """A wrong density: normal, and the same for all covariates."""

    mean: float
    variance: float

    def log_ratio(self, x: np.ndarray, a: np.ndarray, shift: float) -> np.ndarray:
        """log g(a-δ)/g(a), [n]."""
        return ((a - self.mean) ** 2 - (a - shift - self.mean) ** 2) / (2 * self.variance)


# -- replications ----------------------------------------------------------------------------------------


def use(design: Design, truth: dict[str, float]) -> None:
    """Set up a worker."""
    global DESIGN, TRUTH
    DESIGN, TRUTH = design, truth
    torch.set_num_threads(1)


def truth_of_fitted_gates(densities: list[FittedDensity]) -> float:
    """ψ - E[Y] of the policy whose gate is each fold's own: it differs from the known gate's on a few rows only."""
    x, a = (values[:GATE_ROWS] for values in DESIGN.reference)
    known = DESIGN.change(DESIGN.policies["gated"](x, a), x, a)
    shift = DESIGN.shift
    fitted = [DESIGN.change(gate(d.log_ratio(x, a + shift, shift), THRESHOLD), x, a) for d in densities]
    return TRUTH["gated"] + float(np.mean(fitted) - np.mean(known))


def probe_imbalance(
    x: np.ndarray, a: np.ndarray, opened: np.ndarray, weights: dict[str, np.ndarray]
) -> dict[str, float]:
    """How far each ratio's weights miss the shift's effect on smooth functions that nobody chose.

    The functions are cosines of random directions of the standardised (x, a); the miss, mean(wh) - mean(h(d)), and the
    effect, mean(h(d)) - mean(h), are root mean squares over them, and the former is given as a share of the latter.
    """
    generator, xa = np.random.default_rng(SEED), np.column_stack((x, a))
    moved = np.column_stack((x, a + DESIGN.shift * opened))
    # radians a standard deviation: about one for the treatment, half for each covariate
    frequency = generator.normal(size=(xa.shape[1], PROBES)) * np.array([*[0.5] * x.shape[1], 1.0])[:, None]
    phase = generator.uniform(0, 2 * np.pi, PROBES)
    natural, shifted = (np.cos((rows - xa.mean(axis=0)) / xa.std(axis=0) @ frequency + phase) for rows in (xa, moved))
    effect = np.linalg.norm((shifted - natural).mean(axis=0))
    return {name: np.linalg.norm(w @ natural / len(a) - shifted.mean(axis=0)) / effect for name, w in weights.items()}


def replicate(number: int) -> list[dict]:
    """Every estimate from one sample, as rows of the table of all replications."""
    generator, shift = np.random.default_rng([SEED, number]), DESIGN.shift
    x, a = DESIGN.sample(generator)
    natural, shifted = DESIGN.outcome(x, a), DESIGN.outcome(x, a + shift)
    y = natural + DESIGN.noise * generator.normal(size=len(a))
    folds = KFold(FOLDS, shuffle=True, random_state=number)

    outcomes = {
        "right": cross_fit_outcome(x, a, y, shift, flexible_outcome, folds),
        "wrong": cross_fit_outcome(x, a, y, shift, confounded_outcome, folds),
    }
    densities = []

    def fit_and_keep(x: np.ndarray, a: np.ndarray) -> FittedDensity:
        densities.append(fit_density(x, a, seed=number))
        return densities[-1]

    ratios = {
        "MDN": cross_fit_ratio(x, a, shift, fit_and_keep, folds),
        "classifier": cross_fit_ratio(x, a, shift, partial(fit_classifier, shift=shift, seed=number), folds),
        "wrong": cross_fit_ratio(x, a, shift, lambda _, a: MarginalNormal(a.mean(), a.var()), folds),
    }
    log_ratio, log_ratio_shifted = ratios["MDN"]
    policies = {name: (at(x, a), at(x, a - shift), TRUTH[name]) for name, at in DESIGN.policies.items()}
    fitted = gate(log_ratio_shifted, THRESHOLD), gate(log_ratio, THRESHOLD)
    policies["fitted gate"] = (*fitted, truth_of_fitted_gates(densities))

    rows, nothing = [], np.zeros_like(y)
    for policy, (opened, opened_before, change) in policies.items():
        # the sample's own mean of the true m(d(A,X),X) has the mean ψ, and most of the estimates' noise
        scores = partial(score, policy=policy, near=np.where(opened, shifted, natural).mean(), change=change)
        logs = {name: ratio[0] for name, ratio in ratios.items()}
        for name in FITTED:
            logs[BALANCED[name]] = balance(x, a, shift, logs[name], opened, opened_before, clip=CLIP)
        weights = {name: policy_weights(log, opened, opened_before, CLIP) for name, log in logs.items()}
        imbalance = probe_imbalance(x, a, opened, weights)
        for ratio, weight in weights.items():
            rows.append(scores("weighted", "–", ratio, weighted(y, weight, opened)) | {"imbalance": imbalance[ratio]})
        for ratio in FITTED:
            # without an outcome the one-step estimate is the mean of wY
            arrays = y, nothing, nothing, weights[ratio], opened
            rows.append(scores("mean of wY", "–", ratio, one_step(*arrays), contrast(*arrays)))
        for outcome, (m_natural, m_shifted) in outcomes.items():
            m_policy = np.where(opened, m_shifted, m_natural)
            rows.append(scores("plug-in", outcome, "–", plug_in(m_policy, opened), plug_in(m_policy - y, opened)))
            for ratio, weight in weights.items():
                arrays = y, m_natural, m_policy, weight, opened
                rows.append(scores("one-step", outcome, ratio, one_step(*arrays), contrast(*arrays)))
    return rows


def score(
    estimator: str,
    outcome: str,
    ratio: str,
    psi: Estimate,
    changed: Estimate | None = None,
    *,
    policy: str,
    near: float,
    change: float,
) -> dict:
    """Compare an estimate of ψ, and that of ψ - E[Y] if there is one, with the truth; errors in shares of ψ - E[Y]."""
    truth = TRUTH["natural"] + change
    scores = {
        "policy": policy,
        "estimator": estimator,
        "outcome": outcome,
        "ratio": ratio,
        "bias": (psi.psi - near) / abs(change),
        "error": (psi.psi - truth) / abs(change),
        "covered": float(psi.low <= truth <= psi.high),
        "ess": psi.effective_sample_size / psi.n,
        "abstention": psi.abstention,
    }
    if changed:
        scores["contrast_error"] = (changed.psi - change) / abs(change)
        scores["contrast_covered"] = float(changed.low <= change <= changed.high)
    return scores


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a policy and estimator: bias with its Monte Carlo error, RMSE and coverage over the replications."""
    groups = rows.groupby(["policy", "estimator", "outcome", "ratio"], sort=False)
    mean, spread = groups.mean(), groups.std() / np.sqrt(groups.size().iloc[0])
    return pd.DataFrame(
        {
            "bias": mean["bias"],
            "bias_error": spread["bias"],
            "bias_low": groups["bias"].quantile(0.025),
            "bias_high": groups["bias"].quantile(0.975),
            "rmse": np.sqrt(groups["error"].agg(lambda e: np.mean(e**2))),
            "coverage": mean["covered"],
            "contrast_rmse": np.sqrt(groups["contrast_error"].agg(lambda e: np.mean(e**2))),
            "contrast_coverage": mean["contrast_covered"],
            "ess": mean["ess"],
            "imbalance": mean["imbalance"],
            "abstention": mean["abstention"],
        }
    ).reset_index()


# -- report ----------------------------------------------------------------------------------------------


def percent(value: float, digits: int = 1) -> str:
    """A share in per cent; nothing where it is undefined."""
    return "" if np.isnan(value) else f"{100 * value:.{digits}f}"


def markdown(table: pd.DataFrame) -> str:
    """The table of one policy. Bias and RMSE in per cent of the shift's effect, the others in per cent."""
    lines = [
        "| estimator | outcome | ratio | bias | RMSE of ψ | coverage of ψ | RMSE of contrast | its coverage | ESS/n | "
        "imbalance |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    table = table.set_index(["estimator", "outcome", "ratio"])
    for arm in ARMS:
        row = table.loc[arm]
        shown = [f"{percent(row['bias'])} ± {percent(row['bias_error'])}", percent(row["rmse"])]
        shown += [percent(row["coverage"]), percent(row["contrast_rmse"]), percent(row["contrast_coverage"])]
        shown += [percent(row["ess"], 0), percent(row["imbalance"], 0)]
        lines.append("| " + " | ".join([*arm, *shown]) + " |")
    return "\n".join(lines)


def draw(bias: Axes, coverage: Axes, table: pd.DataFrame) -> None:
    """Every arm of one policy: mean and central 95 % of its errors, and the coverage of its intervals."""
    table = table.set_index(["estimator", "outcome", "ratio"])
    for at, arm in enumerate(ARMS):
        row, style = table.loc[arm], {"color": COLOURS[arm[0]], "marker": MARKERS[arm[0]], "ms": 5}
        bias.plot([100 * row["bias_low"], 100 * row["bias_high"]], [at, at], color=style["color"], lw=1.2)
        bias.plot(100 * row["bias"], at, **style)
        coverage.plot(100 * row["coverage"], at, **style, clip_on=False)
        coverage.plot(100 * row["contrast_coverage"], at, **style | {"ms": 9}, mfc="none", clip_on=False)


def plot(results: dict, out: Path) -> None:
    """The figure: a pair of panels for each design and policy whose gate is known."""
    tables = {
        f"{name}, {policy}": pd.DataFrame(rows)
        for name, found in results["designs"].items()
        for policy, rows in found["policies"].items()
        if policy != "fitted gate"
    }
    with open_figure(out, 3 * len(tables) + 2.2, 6.2) as fig:
        axes = fig.subplots(1, 2 * len(tables), sharey=True, width_ratios=[2, 1] * len(tables))
        for (title, table), bias, coverage in zip(tables.items(), axes[::2], axes[1::2], strict=True):
            draw(bias, coverage, table)
            bias.axvline(0, color="0.35", lw=0.8, zorder=0)
            bias.set_xscale("symlog", linthresh=10)
            bias.set_xlim(-1000, 1000)
            bias.set_xticks([-100, -10, 0, 10, 100], ["-100", "-10", "0", "10", "100"])
            bias.set_title(title, loc="left", fontweight="bold")
            bias.set_xlabel("error of ψ, % of effect")
            coverage.axvspan(92, 98, color="0.85", lw=0, zorder=0)
            coverage.set_xlim(0, 100)
            coverage.set_xlabel("coverage, %")
        axes[0].set_yticks(range(len(ARMS)), [label(arm) for arm in ARMS])
        axes[0].set_ylim(len(ARMS) - 0.5, -0.5)
        for ax in axes:
            ax.tick_params(axis="y", length=0)
            ax.grid(axis="y", color="0.93", lw=0.6)
            ax.set_axisbelow(True)
        marks = [Line2D([], [], color="0.3", marker="o", ls="", **look) for look in ({"ms": 5}, {"ms": 9, "mfc": "w"})]
        fig.legend(marks, ["coverage of ψ", "of the contrast ψ - E[Y]"], loc="outside lower right", ncols=2)


def label(arm: tuple[str, str, str]) -> str:
    """An arm in words."""
    estimator, outcome, ratio = arm
    parts = [f"outcome {outcome}"] * (outcome != "–") + [f"ratio {ratio}"] * (ratio != "–")
    return f"{estimator}: {'; '.join(parts)}"


def main() -> None:
    """Run the replications of the designs and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--designs", nargs="+", choices=["synthetic", "csd10k"], default=["synthetic", "csd10k"])
    parser.add_argument("--molecules", type=Path, default=Path("results/data/csd10k/molecules.parquet"))
    parser.add_argument("--out", type=Path, default=Path("results/policy_estimator"), help="folder")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes; default: all cores")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    path = arguments.out / "results.json"
    results = {"threshold": THRESHOLD, "clip": CLIP, "folds": FOLDS, "designs": {}}
    if path.exists():
        # a design that is not run now keeps its results
        results["designs"] = read_json(path)["designs"]
    makers = {"synthetic": synthetic_design, "csd10k": partial(molecule_design, arguments.molecules)}
    for name in arguments.designs:
        design = makers[name]()
        truth, policies = design.truth(), {}
        with multiprocessing.get_context("spawn").Pool(arguments.workers, use, (design, truth)) as pool:
            jobs = pool.imap(replicate, range(arguments.replications))
            rows = pd.DataFrame(itertools.chain(*tqdm(jobs, name, arguments.replications)))
        for policy, table in summarise(rows).groupby("policy", sort=False):
            # JSON has no NaN: a cell that is undefined is left out
            policies[policy] = [row.dropna().to_dict() for _, row in table.drop(columns="policy").iterrows()]
            alone = percent(table["abstention"].mean())
            print(f"\n{name}, {policy}: {alone} % left alone\n\n{markdown(table)}", flush=True)
        sizes = {"replications": arguments.replications, "n": design.n, "shift": design.shift}
        results["designs"][name] = sizes | {"truth": truth, "policies": policies}
    results["designs"] = {name: results["designs"][name] for name in makers if name in results["designs"]}
    write_json(path, results)
    plot(results, arguments.out / "estimator.png")


if __name__ == "__main__":
    main()
