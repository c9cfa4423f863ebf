"""How far a configuration is: python -m boomlib.status [--configfile F]

Prints data and runs as two tables: done, running, failed or pending, and the hours that are left. Nothing is run or
changed, and a run of Snakemake may be going on.
"""

import argparse
import sys
import time
from pathlib import Path

from boomlib.files import ContractError
from boomlib.on_demand import find_checkout
from boomlib.status.page import write_status
from boomlib.status.reading import read_status
from boomlib.strict_yaml import read_yaml
from boomlib.workflow import Plan


def main() -> None:
    """Print the status of the checkout in the present folder."""
    parser = argparse.ArgumentParser(
        prog="python -m boomlib.status", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configfile", type=Path, default=Path("config/config.yaml"), metavar="F")
    configfile = parser.parse_args().configfile
    try:
        find_checkout(Path.cwd())
        print(write_status(read_status(Plan(read_yaml(configfile), str(configfile)), time.time())), end="")
    except (ContractError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
