"""What models say of a policy: effect and overlap, and contrasts against chemistry."""

from collections.abc import Sequence
from pathlib import Path

from boomlib.evaluation.policy import HELD_OUT, RATIOS
from boomlib.files import read_json
from boomlib.report.numbers import NONE, format_decimals, format_interval, format_number, format_percent
from boomlib.report.roles import Roles
from boomlib.report.tables.markdown import format_table
from boomlib.runs import Run

RUN_COLUMNS = ["Task", "Scheme", "Model", "Seed"]
EFFECT_COLUMNS = [
    "δ (Da)",
    "n",
    "Contrast, mixture density",
    "95 % interval",
    "Contrast, classifier",
    "95 % interval",
    "Abstention",
    "ESS, mixture density",
    "ESS, classifier",
    "α",
    "Policy − observed",
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


def tabulate_policies(results_dir: Path, runs: Sequence[Run], roles: Roles) -> tuple[str, str]:
    """Both tables of ``runs``, all of them finished: effect and overlap, and pairs that differ by one CH₂.

    A run without ``policy/…/seed{seed}.json`` is shown with a row of —.
    """
    effects, pairs = [], []
    for run in runs:
        path = results_dir / "policy" / f"{run.stem}.json"
        scores = read_json(path) if path.is_file() else {}
        task = f"{run.task} ({scores['unit']})" if scores else run.task
        name = [task, run.scheme, roles.label(run.model), str(run.seed)]
        effects.append(name + list_effect_cells(scores))
        pairs += [name + cells for cells in list_pair_cells(scores)]
    return (
        format_table(RUN_COLUMNS + EFFECT_COLUMNS, effects, text_columns=len(RUN_COLUMNS)),
        format_table(RUN_COLUMNS + PAIR_COLUMNS, pairs, text_columns=len(RUN_COLUMNS) + 1),
    )


def list_effect_cells(scores: dict) -> list[str]:
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
        format_percent(found["abstention"]),
        *(f"{each['effective_sample_size']:,.0f}" for each in contrasts),
        f"{found['alpha']['mean']:.3f} ± {found['alpha']['std']:.3f}",
        format_number(found["anchor_rmse"]),
        format_decimals(found["linearity"]["r2"]),
    ]


def list_pair_cells(scores: dict) -> list[list[str]]:
    """A row each for all CH₂ pairs and for the unseen ones, and of a policy with a place for those at their place.

    See :data:`PAIR_COLUMNS`.
    """
    if not scores:
        return [[NONE] * len(PAIR_COLUMNS)]
    placed = {f"at the place, {group}": found for group, found in scores.get("places", {"pairs": {}})["pairs"].items()}
    rows = []
    for group, found in (scores["pairs"] | placed).items():
        means, errors = (
            [format_number(found[key]) for key in keys]
            for keys in (("mean_true", "mean_predicted"), ("rmse", "rmse_of_mean"))
        )
        agreement = [format_percent(found["same_sign"]), format_decimals(found["pearson_r"])]
        rows.append([group, f"{found['n']:,}", *means, *agreement, *errors])
    return rows
