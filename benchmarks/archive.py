"""Reading QM9's archive against a plain reader that converts member by member.

    python benchmarks/archive.py                          # an archive made here
    python benchmarks/archive.py dsgdb9nsd.xyz.tar.bz2    # the real one

Both read the same file in turn; decompression alone is timed as well, since neither can be faster than that.
"""

import argparse
import bz2
import io
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np

from boomlib.datasets.qm9 import read_archive


def make_archive(path: Path, molecules: int) -> None:
    """Write an archive of random molecules of 18 atoms in QM9's layout."""
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w:bz2") as archive:
        for index in range(1, molecules + 1):
            symbols = rng.choice(list("HCNO"), 18)
            atoms = [
                "\t".join([symbol, *(f"{value:14.10f}" for value in rng.normal(size=3)), f"{rng.normal():.6f}"])
                for symbol in symbols
            ]
            fields = "\t".join(f"{value:.5f}" for value in rng.normal(size=15))
            frequencies = "\t".join(f"{value:.4f}" for value in rng.uniform(50, 3500, 48))
            lines = ["18", f"gdb {index}\t{fields}\t", *atoms, frequencies, "C\tC\t", "InChI=1S/x\tInChI=1S/x"]
            data = ("\n".join(lines) + "\n").encode()
            info = tarfile.TarInfo(f"dsgdb9nsd_{index:06d}.xyz")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def plain_reader(path: Path) -> list[tuple]:
    """Read each member and convert each number by itself, as most loaders of QM9 do."""
    read = []
    with tarfile.open(path, "r:bz2") as archive:
        for member in archive:
            lines = archive.extractfile(member).read().decode().replace("*^", "e").splitlines()
            n = int(lines[0])
            fields = [float(value) for value in lines[1].split()[2:]]
            atoms = [line.split() for line in lines[2 : n + 2]]
            positions = [[float(value) for value in atom[1:4]] for atom in atoms]
            read.append((lines[n + 3].split()[0], fields, [atom[0] for atom in atoms], positions))
    return read


def seconds(function, *arguments) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def main() -> None:
    """Print the three times and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", nargs="?", type=Path, help="default: an archive made here")
    parser.add_argument("--molecules", type=int, default=10_000, help="molecules of the archive made here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.archive or Path(folder) / "dsgdb9nsd.xyz.tar.bz2"
        if arguments.archive is None:
            make_archive(path, arguments.molecules)
        decompress = seconds(lambda: bz2.decompress(path.read_bytes()))
        plain = seconds(plain_reader, path)
        ours = seconds(read_archive, path)
    print(f"decompression {decompress:.1f} s, plain reader {plain:.1f} s, ours {ours:.1f} s")
    print(f"ours is {plain / ours:.2f} times as fast as the plain reader, {ours / decompress:.2f} x decompression")


if __name__ == "__main__":
    main()
