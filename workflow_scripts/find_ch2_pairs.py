"""Adapter of the rule find_ch2_pairs."""

from boomlib.contracts import FEATURE, PAIRS, read_table, write_table
from boomlib.matched_pairs import ch2_pairs
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        fragmentations = read_table(snakemake.input.fragmentations, FEATURE)
        write_table(ch2_pairs(fragmentations), snakemake.output.pairs, PAIRS)
