"""TGNN, IGNN and EGNN on lists of edges, against the same networks on dense, padded pairs as in BOOM's code.

    python benchmarks/graph_networks.py results/data/csd10k/molecules.parquet

Molecules a second, forward and backward, in turns on the same batches of random molecules of a table, with ETKDG
conformers made here. The dense way pads a batch to its largest molecule, runs φ_e on [h_i, h_j, edge] of all pairs,
bonded or not, and masks (BOOM, experiments/gnn-ablation). Both have the same weights; the largest difference of their
answers is printed.
"""

import argparse
import statistics
import time
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn
from torch_geometric.utils import to_dense_batch

from boomlib.features import conformers, graph
from boomlib.harness.batches import cut_into_batches
from boomlib.harness.interface import Molecules
from boomlib.models.graph.gnn import Convolution, Geometry, Network
from boomlib.models.graph.graphs import BOND_KINDS, Graphs, GraphStore, find_elements

NAMES = dict(zip(get_args(Geometry), ("TGNN", "IGNN", "EGNN"), strict=True))


class DenseNetwork(nn.Module):
    """A :class:`Network` on padded tensors: the same parameters, [molecules, atoms, atoms, features] in between.

    Args:
        network: the network on lists of edges, whose parameters it has.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def convolve(
        self, layer: Convolution, h: Tensor, positions: Tensor | None, pairs: Tensor, bond: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """One convolution; see :class:`Convolution`.

        Args:
            layer: its parameters.
            h: [molecules, atoms, width].
            positions: Å [molecules, atoms, 3], or None.
            pairs: bool [molecules, atoms, atoms]: target i gets a message from source j.
            bond: one-hot, [molecules, atoms, atoms, BOND_KINDS].
        """
        n = h.shape[1]
        radial = None
        if positions is not None:
            difference = positions[:, :, None] - positions[:, None]
            distance = torch.linalg.vector_norm(difference, dim=-1)
            radial = self.network.basis(distance.flatten()).view(*distance.shape, -1)
            bond = torch.cat([bond, radial], dim=-1)
        joined = torch.cat([h[:, :, None].expand(-1, -1, n, -1), h[:, None].expand(-1, n, -1, -1), bond], dim=-1)
        weight = torch.cat([layer.target.weight, layer.source.weight, layer.edge.weight], dim=1)
        message = layer.message(nn.functional.linear(joined, weight, layer.target.bias))
        if radial is not None:
            message = message * layer.filter(radial)
        message = message * pairs[..., None]
        if layer.push is not None:
            positions = positions + (difference / (distance[..., None] + 1) * layer.push(message)).sum(2)
        return h + layer.node(torch.cat([h, message.sum(2)], dim=-1)), positions

    def forward(self, x: Tensor, positions: Tensor | None, atoms: Tensor, pairs: Tensor, bond: Tensor) -> Tensor:
        """Padded molecules -> answers, [molecules]; see :func:`pad`."""
        h = self.network.embedding(x)
        for layer in self.network.layers:
            h, positions = self.convolve(layer, h, positions, pairs, bond)
        return (self.network.contribution(h)[..., 0] * atoms).sum(1)


def pad(graphs: Graphs) -> tuple[Tensor, ...]:
    """A batch as padded tensors: atoms, positions, which atoms there are, which pairs, and their bonds."""
    x, atoms = to_dense_batch(graphs.x, graphs.molecule)
    positions = None if graphs.pos is None else to_dense_batch(graphs.pos, graphs.molecule)[0]
    n = graphs.longest
    kind = torch.zeros(graphs.pairs.shape[1], dtype=torch.long, device=x.device)
    kind[graphs.bonded] = graphs.order
    lesser, greater = graphs.padded[graphs.pairs]
    kinds, pairs = x.new_zeros(len(graphs), n, n, dtype=torch.long), x.new_zeros(len(graphs), n, n, dtype=torch.bool)
    for one, other in ((lesser, greater), (greater, lesser)):
        kinds[one // n, one % n, other % n], pairs[one // n, one % n, other % n] = kind, True
    return x, positions, atoms, pairs, nn.functional.one_hot(kinds, BOND_KINDS).float()


def read_molecules(path: str, n: int) -> Molecules:
    """``n`` molecules of a table, drawn at random, with graphs and conformers."""
    written = np.asarray(pq.read_table(path, columns=["smiles"])["smiles"].to_pylist(), dtype=object)
    smiles = np.random.default_rng(0).permutation(written)[:n]
    tables = {name: module.compute(smiles) for name, module in (("graph", graph), ("conformers", conformers))}
    there = tables["conformers"]["positions"].is_valid().to_numpy(zero_copy_only=False)
    features = {name: pa.table(table) for name, table in tables.items()}
    return Molecules(np.arange(n), smiles, np.zeros(n), features).take(there)


def main() -> None:
    """Print molecules a second of both ways, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("molecules", help="a molecules table, results/data/{dataset}/molecules.parquet")
    parser.add_argument("--width", type=int, default=64, help="features of an atom")
    parser.add_argument("--depth", type=int, default=4, help="convolutions")
    parser.add_argument("--batch", type=int, default=32, help="molecules")
    parser.add_argument("--batches", type=int, default=4, help="different batches")
    parser.add_argument("--rounds", type=int, default=3, help="turns over the batches")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    molecules = read_molecules(arguments.molecules, arguments.batch * arguments.batches)
    elements = find_elements(molecules)
    print(f"{device}, {arguments.threads} threads; {len(molecules)} molecules, batches of {arguments.batch}")
    for geometry, name in NAMES.items():
        torch.manual_seed(0)
        sizes = {"width": arguments.width, "depth": arguments.depth, "basis": 32, "reach": 10.0}
        network = Network(len(elements) + 1, kind="extensive", geometry=geometry, **sizes).to(device)
        nn.init.normal_(network.contribution[-1].weight)  # which is 0 before training
        dense = DenseNetwork(network)
        store = GraphStore.read(molecules, elements, None if geometry == "none" else "conformers").to(device)
        rows = cut_into_batches(np.arange(len(store)), arguments.batch)
        batches = [store.take_in_parts(each) for each in rows]
        padded = [pad(store.take(each)) for each in rows]
        with torch.no_grad():
            answers = network(batches[0])
            difference = ((dense(*padded[0]) - answers).abs().max() / answers.abs().max()).item()
        ways = {"edges": [(network, (batch,)) for batch in batches], "dense": [(dense, each) for each in padded]}
        seconds = {way: [] for way in ways}
        for turn in range(arguments.rounds + 1):
            for way, calls in ways.items():
                start = time.perf_counter()
                for call, inputs in calls:
                    network.zero_grad()
                    call(*inputs).square().mean().backward()
                if device == "cuda":
                    torch.cuda.synchronize()
                if turn:  # the first turn warms up
                    seconds[way].append(time.perf_counter() - start)
        edges, filled = (len(molecules) / statistics.median(seconds[way]) for way in ways)
        print(
            f"{name}: {edges:8.1f} molecules/s; dense, padded: {filled:8.1f}; ratio {edges / filled:.1f}; "
            f"largest relative difference {difference:.0e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
