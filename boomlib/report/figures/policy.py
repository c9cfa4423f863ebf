"""The figure of one policy: training, effect, contrasts against chemistry, and overlap."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from boomlib.contracts import EPOCHS, NO_FOLD, read_molecules, read_table, read_truth
from boomlib.evaluation.pairs import pair_groups
from boomlib.evaluation.places import has_places, place_contrasts, place_support
from boomlib.evaluation.policy import (
    HELD_OUT,
    POPULATIONS,
    RATIOS,
    contrast_of,
    read_pairs,
    read_policy,
    sweep_of,
    weights,
)
from boomlib.evaluation.score import fold_masks
from boomlib.files import ContractError, read_json
from boomlib.report.figures.density import CROWDED, draw_density
from boomlib.report.figures.style import FOLD_COLOURS, FOLD_LABELS, TASK_COLOURS, open_figure
from boomlib.report.numbers import format_number

COLOURS = {"train": FOLD_COLOURS["valid"], HELD_OUT: FOLD_COLOURS["id"], "ood": FOLD_COLOURS["ood"]}
NAMES = {"train": "train", HELD_OUT: "held out (valid and ID)", "ood": "OOD"}
RATIO_COLOURS = dict(zip(RATIOS, ("#009E73", "#CC79A7"), strict=True))
RATIO_LABELS = dict(zip(RATIOS, ("mixture density", "classifier"), strict=True))
PAIR_TITLES = {"all": "CH₂ pairs, all", "unseen": "CH₂ pairs, neither in train"}
PLACED_TITLES = {"all": "The same at their place", "unseen": "At their place, neither in train"}
CURVES = {"valid": "-", "id": "-", "ood": "-", "ood_tail": "--"}
LINEAR_BELOW = 1e-3
"""Loss terms are drawn on a logarithmic scale that passes through zero linearly, for a term may be 0 or negative."""
NO_TERMS = ("epoch", "valid_rmse", "loss")
"""Columns of a history that are no term of their own."""
PANELS = [
    ["curves", "curves", "terms", "terms", "terms", "key"],
    ["contrast", "contrast", "sweep", "sweep", "effect", "effect"],
    ["all", "all", "unseen", "unseen", "alpha", "alpha"],
    ["support", "support", "environments", "environments", "weights", "weights"],
]
PLACE_PANELS = ["placed all", "placed all", "placed unseen", "placed unseen", "places", "places"]
"""A further row, of a policy with a place."""
SMALL = 6.5
BINS = 40


def plot_policy(
    molecules_path: str | os.PathLike,
    split_path: str | os.PathLike,
    policy_path: str | os.PathLike,
    epochs_path: str | os.PathLike,
    history_path: str | os.PathLike,
    pairs_path: str | os.PathLike,
    scores_path: str | os.PathLike,
    out_png: str | os.PathLike,
    *,
    property_name: str,
    unit: str,
) -> None:
    """Draw what one run says of its policy, and how it came to say so.

    Args:
        molecules_path: the molecules table.
        split_path: the split.
        policy_path: the run's policy table.
        epochs_path: its predictions after each epoch.
        history_path: its ``history.csv``.
        pairs_path: the dataset's CH₂ pairs.
        scores_path: what :func:`boomlib.evaluation.policy.score_policy_file` wrote.
        out_png: the figure.
        property_name: column of the property.
        unit: its unit.

    Raises:
        ContractError: a file is lacking or broken.
    """
    y, fold, _ = read_truth(molecules_path, split_path, property_name)
    history, epochs = read_history(history_path), read_table(epochs_path, EPOCHS)
    curves = learning_curves(y, fold, epochs)
    ids = np.flatnonzero(fold != NO_FOLD)
    y, fold = y[ids], fold[ids]
    table, facts = read_policy(policy_path, ids)
    pairs, scores = read_pairs(pairs_path, ids), read_json(scores_path)
    populations = scores["populations"]
    masks = {name: np.isin(fold, POPULATIONS[name]) for name in populations}
    left, right = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    true, groups, placed = y[right] - y[left], pair_groups(fold, pairs), has_places(table)
    with open_figure(out_png, 7.6, 12 if placed else 9.6) as fig:
        axes = fig.subplot_mosaic([*PANELS, PLACE_PANELS] if placed else PANELS)
        draw_curves(axes["curves"], curves, history, unit)
        draw_terms(axes["terms"], axes["key"], history)
        draw_contrast(axes["contrast"], contrast_of(table), masks, unit)
        draw_sweep(axes["sweep"], table, facts, masks[HELD_OUT], populations, unit)
        draw_effect(axes["effect"], populations, unit)
        draw_pairs(pair_panels(axes, "", PAIR_TITLES, scores), true, contrast_of(table)[left], groups, unit)
        draw_alpha(axes["alpha"], table["alpha"].to_numpy(), masks, populations)
        draw_support(axes["support"], table["support"].to_numpy(), masks, facts["threshold"])
        draw_environments(axes["environments"], populations)
        draw_weights(axes["weights"], table, facts, masks[HELD_OUT], populations)
        if placed:
            smiles = read_molecules(molecules_path)["smiles"].to_numpy()[ids]
            contrasts, _ = place_contrasts(table, pairs, smiles)
            draw_pairs(pair_panels(axes, "placed ", PLACED_TITLES, scores["places"]), true, contrasts, groups, unit)
            draw_places(axes["places"], table, masks, facts["threshold"], scores["places"])
        draw_legend(fig, masks)


def read_history(path: str | os.PathLike) -> pd.DataFrame:
    """The ``history.csv`` of a network: a row an epoch."""
    if not Path(path).is_file():
        raise ContractError(f"{path}: no such file; delete the run.json beside it and rerun, to train again")
    return pd.read_csv(path)


def learning_curves(y: np.ndarray, fold: np.ndarray, epochs: pa.Table) -> dict[str, pd.Series]:
    """RMSE by epoch on each of :data:`CURVES` that has molecules."""
    ids = epochs["molecule_id"].to_numpy()
    squared = pd.Series((epochs["y_pred"].to_numpy() - y[ids]) ** 2)
    masks = fold_masks(y, fold)
    epoch = epochs["epoch"].to_numpy()
    return {
        name: np.sqrt(squared[chosen].groupby(epoch[chosen]).mean())
        for name in CURVES
        if (chosen := masks[name][ids]).any()
    }


def draw_curves(ax: Axes, curves: dict[str, pd.Series], history: pd.DataFrame, unit: str) -> None:
    """RMSE by epoch; lines mark the epochs whose weights were kept, of the policy's phase too if there is one."""
    for name, curve in curves.items():
        fold = "ood" if name == "ood_tail" else name
        title = "OOD tail" if name == "ood_tail" else FOLD_LABELS[name]
        ax.plot(curve.index, curve, CURVES[name], marker=".", ms=3, lw=1, color=FOLD_COLOURS[fold], label=title)
    gap = history.get("valid_gap", pd.Series(np.nan, history.index))
    observed = history["valid_rmse"].where(gap.isna())  # the policy's phase leaves it as it is
    best = [int(history["epoch"][each.idxmin()]) for each in (observed, gap) if each.notna().any()]
    for epoch in best:
        ax.axvline(epoch, color="0.35", lw=0.8, ls=":")
    kept = " and ".join(map(str, best))
    ax.plot([], [], color="0.35", lw=0.8, ls=":", label=f"kept (epoch {kept})")
    use_log_scale(ax)
    ax.set(xlabel="Epoch", ylabel=f"RMSE ({unit})")
    ax.set_title("Learning curves", fontweight="bold", pad=27)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    # above the panel, for the curves may lie anywhere in it
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "ncols": 3, "columnspacing": 1}
    ax.legend(fontsize=SMALL, handlelength=1.6, borderaxespad=0, **above)


def draw_terms(ax: Axes, key: Axes, history: pd.DataFrame) -> None:
    """Every loss term by epoch, unweighted, and the share of molecules without support; their names in ``key``."""
    names = [name for name in history.columns if name not in NO_TERMS]
    for index, name in enumerate(names):
        style = ("-", "--", ":")[index // len(TASK_COLOURS)]
        colour = TASK_COLOURS[index % len(TASK_COLOURS)]
        ax.plot(history["epoch"], history[name], style, marker=".", ms=3, lw=1, color=colour, label=name)
    ax.set_yscale("symlog", linthresh=LINEAR_BELOW, linscale=0.5)
    ax.set(xlabel="Epoch", ylabel="Mean over batches")
    entitle(ax, "Terms of the loss, unweighted, abstention, gap")
    if np.nanmin(history[names].to_numpy()) >= 0:
        ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    key.axis("off")
    key.legend(*ax.get_legend_handles_labels(), fontsize=SMALL, handlelength=2.4, loc="center left", borderaxespad=0)


def draw_shares(ax: Axes, values: np.ndarray, masks: Mapping[str, np.ndarray], edges: np.ndarray) -> None:
    """Histograms of ``values`` [n] by population, in percent of its molecules."""
    for name, mask in masks.items():
        share = 100 * np.histogram(values[mask], edges)[0] / mask.sum()
        style = {"fill": True, "alpha": 0.35} if name == "train" else {"lw": 1.2}
        ax.stairs(share, edges, color=COLOURS[name], **style)
    ax.set_ylabel("Molecules (%)")


def draw_contrast(ax: Axes, contrast: np.ndarray, masks: Mapping[str, np.ndarray], unit: str) -> None:
    """Contrasts of the molecules given treatment and context, but for the outermost half percent at either end."""
    shown = np.clip(contrast, *np.quantile(contrast, (0.005, 0.995)))
    draw_shares(ax, shown, masks, np.histogram_bin_edges(shown, bins=BINS))
    ax.axvline(0, color="0.35", lw=0.7)
    ax.set_xlabel(f"Policy head − m(a) ({unit})")
    entitle(ax, "Contrast of each molecule")


def draw_sweep(
    ax: Axes, table: pa.Table, facts: Mapping, held_out: np.ndarray, populations: Mapping, unit: str
) -> None:
    """Mean contrast against δ, its straight line through the origin and its spread over the molecules held out."""
    shift = np.array(facts["sweep"])
    for name, found in populations.items():
        ax.plot(shift, found["linearity"]["contrast"], marker="o", ms=3, lw=1, color=COLOURS[name], zorder=3)
    line, colour = populations[HELD_OUT]["linearity"], COLOURS[HELD_OUT]
    each = (sweep_of(table) - table["m_observed"].to_numpy()[:, None])[held_out]
    ax.fill_between(shift, *np.quantile(each, (0.05, 0.95), axis=0), color=colour, alpha=0.15, lw=0)
    ax.plot(shift, line["slope"] * shift, color="k", lw=0.7, ls="--", zorder=4)
    entitle(ax, "Mean contrast over δ", (f"straight line through 0: R² {format_number(line['r2'])}", colour))
    ax.axvline(facts["shift"], color="0.35", lw=0.7, ls=":")
    ax.set(xlabel="δ (Da)", ylabel=f"Mean contrast ({unit})")


def draw_effect(ax: Axes, populations: Mapping, unit: str) -> None:
    """The doubly robust contrast ψ(δ) - E[Y] with its 95 % interval, by population and density ratio."""
    for row, found in enumerate(populations.values()):
        for offset, ratio in zip((-0.15, 0.15), RATIOS, strict=True):
            each = found["estimates"][ratio]["contrast"]
            ends = [[each["psi"] - each["low"]], [each["high"] - each["psi"]]]
            style = {"fmt": "o", "ms": 3.5, "lw": 1.2, "capsize": 2, "color": RATIO_COLOURS[ratio]}
            ax.errorbar([each["psi"]], [row + offset], xerr=ends, label=None if row else RATIO_LABELS[ratio], **style)
    ax.axvline(0, color="0.35", lw=0.7)
    ax.set_yticks(range(len(populations)), [name.replace("ood", "OOD") for name in populations])
    ax.set_ylim(len(populations) + 0.4, -0.5)
    ax.set_xlabel(f"ψ(δ) − E[Y] ({unit})")
    entitle(ax, "Effect, 95 % interval")
    ax.legend(fontsize=SMALL, loc="lower center")


def pair_panels(
    axes: Mapping[str, Axes], prefix: str, titles: Mapping[str, str], scores: Mapping
) -> dict[Axes, tuple[str, str, Mapping]]:
    """Panels of pairs for :func:`draw_pairs`, one a group; their names begin with ``prefix``."""
    return {axes[f"{prefix}{group}"]: (title, group, scores["pairs"]) for group, title in titles.items()}


def draw_pairs(
    panels: Mapping[Axes, tuple[str, str, Mapping]],
    true: np.ndarray,
    predicted: np.ndarray,
    groups: Mapping[str, np.ndarray],
    unit: str,
) -> None:
    """Contrasts of the lighter molecules of CH₂ pairs against the true differences, all ``panels`` on one scale.

    Args:
        panels: title, group and scores by group of each panel.
        true: true differences, [pairs].
        predicted: contrasts, [pairs]; NaN where there is none.
        groups: bool [pairs] by name.
        unit: of both.
    """
    known = ~np.isnan(predicted)
    low, high = np.quantile(np.concatenate([np.zeros(1), true[known], predicted[known]]), (0.005, 0.995))
    margin = 0.04 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    points = np.clip([true, predicted], *limits)
    for ax, (title, group, scores) in panels.items():
        own = points[:, groups[group] & known]
        if own.shape[1] > CROWDED:
            draw_density(ax, own, own[:, :0], limits, folds=("id", "ood"))
        else:
            ax.scatter(*own, s=5, alpha=0.6, lw=0, color=FOLD_COLOURS["id"])
        ax.axline((limits[0], limits[0]), slope=1, color="0.35", lw=0.7)
        ax.set(xlim=limits, ylim=limits, aspect="equal", xlabel=f"True difference ({unit})", ylabel="Contrast")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.yaxis.set_major_locator(MaxNLocator(5))
        entitle(ax, title, *((line, "0.35") for line in describe_pairs(scores[group])))


def describe_pairs(found: Mapping) -> list[str]:
    """What the score of a group of pairs found, in two lines."""
    mean, true = (format_number(found[key]) for key in ("mean_predicted", "mean_true"))
    return [f"r {format_number(found['pearson_r'])}, n {found['n']:,}", f"mean {mean} (true {true})"]


def draw_alpha(ax: Axes, alpha: np.ndarray, masks: Mapping[str, np.ndarray], populations: Mapping) -> None:
    """Amplitude of the fast weights."""
    draw_shares(ax, alpha, masks, np.histogram_bin_edges(alpha, bins=BINS))
    found = populations[HELD_OUT]["alpha"]
    ax.set_xlabel("α")
    entitle(ax, "Amplitude of the fast weights", (f"{found['mean']:.3f} ± {found['std']:.3f}", COLOURS[HELD_OUT]))


def draw_support(ax: Axes, support: np.ndarray, masks: Mapping[str, np.ndarray], threshold: float) -> None:
    """Support scores and the threshold of the gate."""
    draw_shares(ax, support, masks, np.linspace(0, 1, BINS + 1))
    ax.axvline(threshold, color="0.15", lw=0.8, ls="--")
    use_log_scale(ax)
    ax.set_xlabel("s(x, a, δ)")
    entitle(ax, "Support", (f"threshold {threshold:g}", "0.15"))


def draw_places(ax: Axes, table: pa.Table, masks: Mapping[str, np.ndarray], threshold: float, scores: Mapping) -> None:
    """Support of the places of a policy with a place, and how often that stays where it is."""
    molecule, support = place_support(table)
    draw_shares(ax, support, {name: mask[molecule] for name, mask in masks.items()}, np.linspace(0, 1, BINS + 1))
    ax.axvline(threshold, color="0.15", lw=0.8, ls="--")
    use_log_scale(ax)
    ax.set(xlabel="Support at the place", ylabel="Places (%)")
    abstention = 100 * scores["populations"][HELD_OUT]["abstention"]
    entitle(ax, "Places", (f"any place as likely: abstention {abstention:.1f} %", COLOURS[HELD_OUT]))


def draw_environments(ax: Axes, populations: Mapping) -> None:
    """Abstention by environment, and the mean of the molecules held out."""
    for name, found in populations.items():
        by_environment = found["abstention_by_environment"]
        at, height = [int(each) for each in by_environment], [100 * share for share in by_environment.values()]
        if name == HELD_OUT:
            ax.bar(at, height, color=COLOURS[name], alpha=0.5, lw=0)
        else:
            ax.scatter(at, height, s=9, marker="_" if name == "train" else "o", lw=1, color=COLOURS[name], zorder=3)
    mean = 100 * populations[HELD_OUT]["abstention"]
    ax.axhline(mean, color=COLOURS[HELD_OUT], lw=0.8, ls="--")
    entitle(ax, "Abstention", (f"mean {mean:.1f} %", COLOURS[HELD_OUT]))
    ax.set_ylim(0, max(1, ax.get_ylim()[1]))
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.set(xlabel="Environment", ylabel="Molecules (%)")


def draw_weights(ax: Axes, table: pa.Table, facts: Mapping, held_out: np.ndarray, populations: Mapping) -> None:
    """Clipped weights of the molecules held out by both density ratios, with their effective sample sizes."""
    found = {ratio: weights(table, facts, ratio)[held_out] for ratio in RATIOS}
    edges = np.histogram_bin_edges(np.concatenate([np.zeros(1), *found.values()]), bins=BINS)
    for ratio, values in found.items():
        share = 100 * np.histogram(values, edges)[0] / len(values)
        ax.stairs(share, edges, lw=1.2, color=RATIO_COLOURS[ratio])
    use_log_scale(ax)
    ax.set(xlabel="w(a, x)", ylabel="Molecules (%)")
    notes = []
    for ratio, label in RATIO_LABELS.items():
        size = populations[HELD_OUT]["estimates"][ratio]["contrast"]["effective_sample_size"]
        notes.append((f"{label}: effective sample size {size:,.0f}", RATIO_COLOURS[ratio]))
    entitle(ax, "Clipped weights, held out", *notes)


def draw_legend(fig: Figure, masks: Mapping[str, np.ndarray]) -> None:
    """The populations and their sizes, above all panels."""
    handles = [
        Patch(color=COLOURS[name], alpha=0.35, label=f"{NAMES[name]}: {mask.sum():,}")
        if name == "train"
        else Line2D([], [], color=COLOURS[name], lw=1.6, label=f"{NAMES[name]}: {mask.sum():,}")
        for name, mask in masks.items()
    ]
    fig.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def use_log_scale(ax: Axes) -> None:
    """A logarithmic y axis with plain numbers at 1, 2 and 5."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def entitle(ax: Axes, title: str, *notes: tuple[str, str]) -> None:
    """A panel's title, and below it lines of small text with their colours."""
    ax.set_title(title, fontweight="bold", pad=4 + 9 * len(notes))
    for height, (text, colour) in enumerate(reversed(notes)):
        note = ax.annotate(text, (0.5, 1), (0, 3 + 9 * height), "axes fraction", "offset points", ha="center")
        note.set(fontsize=SMALL, color=colour, in_layout=False)
