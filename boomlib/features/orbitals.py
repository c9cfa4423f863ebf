"""What a single point tells of the frontier orbitals: their energies, and on which atoms and shells they lie."""

from collections.abc import Sequence

import numpy as np
from tblite.interface import Calculator, Result

WIDTH = 0.01  # Ha: orbitals this near to a frontier count 1/e as much as the frontier itself
HALOGENS = (9, 17, 35, 53, 85)

ENERGIES: dict[str, str] = {
    "homo_minus_1": "orbital energy below the highest occupied one, Ha",
    "homo": "highest occupied orbital energy, Ha",
    "lumo": "lowest unoccupied orbital energy, Ha",
    "lumo_plus_1": "orbital energy above it, Ha",
    "gap": "lumo - homo, Ha",
}
SHARES: dict[str, str] = {
    "hydrogen": "on hydrogen",
    "carbon": "on carbon",
    "nitrogen": "on nitrogen",
    "oxygen": "on oxygen",
    "halogen": "on halogens",
    "s": "in s shells of other atoms than hydrogen",
    "p": "in p shells",
    "atom": "squared and summed over atoms: 1 on one atom, 1/n spread over n",
}
COLUMNS: dict[str, str] = ENERGIES | {
    f"{frontier}_{name}": f"share of the {which} frontier orbitals {text}"
    for frontier, which in (("homo", "occupied"), ("lumo", "unoccupied"))
    for name, text in SHARES.items()
}
"""What each column is, and its unit."""


def describe_orbitals(calculator: Calculator, result: Result, numbers: np.ndarray, unpaired: int) -> dict[str, float]:
    """Energies of the frontier orbitals, and Mulliken's shares of atoms and shells in them.

    Where levels lie together, one orbital's shares would change when the molecule is turned or hardly moved; so they
    are those of all occupied (or unoccupied) orbitals, weighted by exp(-ΔE / 0.01 Ha), ΔE away from the frontier.

    Args:
        calculator: tblite's.
        result: its single point, with integrals.
        numbers: atomic numbers, int [n].
        unpaired: electrons that are alone in their orbital.

    Returns:
        :data:`COLUMNS`, without what there is no orbital for.
    """
    energies = result.get("orbital-energies")
    # by their number: the method smears electrons over levels, at a small gap noticeably
    electrons = round(float(result.get("orbital-occupations").sum()))
    occupied = np.argsort(np.argsort(energies, kind="stable")) < (electrons + unpaired + 1) // 2
    filled, empty = np.sort(energies[occupied]), np.sort(energies[~occupied])
    coefficients = result.get("orbital-coefficients")
    shares = coefficients * (result.get("overlap-matrix") @ coefficients)  # [basis functions, orbitals]
    shell = np.asarray(calculator.get("orbital-map"))
    atom, momentum = (np.asarray(calculator.get(name))[shell] for name in ("shell-map", "angular-momenta"))
    found = place(filled[::-1], ("homo", "homo_minus_1")) | place(empty, ("lumo", "lumo_plus_1"))
    if len(filled) and len(empty):
        found["gap"] = empty[0] - filled[-1]
    for frontier, which in (("homo", occupied), ("lumo", ~occupied)):
        if which.any():
            weights = np.where(which, np.exp(-np.abs(energies - found[frontier]) / WIDTH), 0)
            share = share_out(shares @ (weights / weights.sum()), numbers, atom, momentum)
            found |= {f"{frontier}_{name}": value for name, value in share.items()}
    return found


def share_out(shares: np.ndarray, numbers: np.ndarray, atom: np.ndarray, momentum: np.ndarray) -> dict[str, float]:
    """Sums of basis functions' shares by :data:`SHARES`.

    Args:
        shares: of each basis function, summing to 1.
        numbers: atomic numbers of the molecule's atoms.
        atom: the atom of each basis function.
        momentum: its angular momentum.
    """
    element = numbers[atom]
    parts = (
        element == 1,
        element == 6,
        element == 7,
        element == 8,
        np.isin(element, HALOGENS),
        (momentum == 0) & (element > 1),
        momentum == 1,
    )
    by_atom = np.bincount(atom, shares, len(numbers))
    return dict(zip(SHARES, [*(shares[part].sum() for part in parts), by_atom @ by_atom], strict=True))


def place(energies: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Names to the first energies, as far as there are any."""
    return dict(zip(names, energies.tolist(), strict=False))
