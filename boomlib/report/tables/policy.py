"""The leaderboard's section on policies: effect and overlap, and contrasts against chemistry."""

from collections.abc import Sequence
from pathlib import Path

from boomlib.evaluation.policy import HELD_OUT, RATIOS
from boomlib.evaluation.summary import as_float
from boomlib.files import read_json
from boomlib.report.tables.markdown import NONE, format_interval, format_number, markdown_table
from boomlib.runs import Run

RUN_COLUMNS = ["Task", "Scheme", "Model", "Seed"]
EFFECT_COLUMNS = [
    "δ (Da)",
    "n",
    "Contrast, density",
    "95 % interval",
    "Contrast, classifier",
    "95 % interval",
    "Abstention",
    "ESS, density",
    "ESS, classifier",
    "α",
    "Linearity R²",
]
PAIR_COLUMNS = [
    "Pairs",
    "n",
    "Mean true",
    "Mean contrast",
    "Same sign",
    "Pearson r",
    "RMSE",
    "RMSE of the mean",
]


def policy_section(results_dir: Path, runs: Sequence[Run], labels: dict[str, str]) -> dict | None:
    """Both tables and the figures of ``runs``, all of them finished; None if there are none.

    A run without ``policy/…/seed{seed}.json`` is shown with a row of —.
    """
    if not runs:
        return None
    effects, pairs, figures = [], [], []
    for run in runs:
        path = results_dir / "policy" / f"{run.stem}.json"
        scores = read_json(path) if path.is_file() else {}
        model = labels.get(run.model, run.model)
        task = f"{run.task} ({scores['unit']})" if scores else run.task
        name = [task, run.scheme, model, str(run.seed)]
        effects.append(name + effect_cells(scores))
        pairs += [name + cells for cells in pair_cells(scores)]
        figure = f"plots/policy/{run.stem}.png"
        if (results_dir / figure).is_file():
            caption = f"Policy of {model}, {run.task}, {run.scheme} split, seed {run.seed}"
            figures.append({"path": figure, "caption": caption})
    return {
        "effects": markdown_table(RUN_COLUMNS + EFFECT_COLUMNS, effects, text_columns=len(RUN_COLUMNS)),
        "pairs": markdown_table(RUN_COLUMNS + PAIR_COLUMNS, pairs, text_columns=len(RUN_COLUMNS) + 1),
        "figures": figures,
    }


def effect_cells(scores: dict) -> list[str]:
    """What a policy does to the molecules held out, and how far the data support that; see :data:`EFFECT_COLUMNS`."""
    if not scores:
        return [NONE] * len(EFFECT_COLUMNS)
    found = scores["populations"][HELD_OUT]
    contrasts = [found["estimates"][ratio]["contrast"] for ratio in RATIOS]
    effects = [
        text for each in contrasts for text in (format_number(each["psi"]), format_interval(each["low"], each["high"]))
    ]
    return [
        f"{scores['facts']['shift']:g}",
        f"{found['n']:,}",
        *effects,
        percent(found["abstention"]),
        *(f"{each['effective_sample_size']:,.0f}" for each in contrasts),
        f"{found['alpha']['mean']:.3f} ± {found['alpha']['std']:.3f}",
        decimals(found["linearity"]["r2"]),
    ]


def pair_cells(scores: dict) -> list[list[str]]:
    """A row each for all CH₂ pairs and for the unseen ones; see :data:`PAIR_COLUMNS`."""
    if not scores:
        return [[NONE] * len(PAIR_COLUMNS)]
    rows = []
    for group, found in scores["pairs"].items():
        means, errors = (
            [format_number(as_float(found[key])) for key in keys]
            for keys in (("mean_true", "mean_predicted"), ("rmse", "rmse_of_mean"))
        )
        agreement = [percent(found["same_sign"]), decimals(found["pearson_r"])]
        rows.append([group, f"{found['n']:,}", *means, *agreement, *errors])
    return rows


def percent(share: float | None) -> str:
    """A share in percent with one decimal; None is —."""
    return NONE if share is None else f"{100 * share:.1f} %"


def decimals(value: float | None) -> str:
    """Three decimals; None is —."""
    return NONE if value is None else f"{value:z.3f}"
