"""What CI takes of a pull request with predictions: descriptors of external models, and no others.

python -m boomlib.proposed FOLDER     # its config/models
"""

import shutil
import sys
from pathlib import Path

from boomlib.external import FAMILY
from boomlib.files import ContractError
from boomlib.registry import check_model_name
from boomlib.strict_yaml import read_yaml

NEUTRAL = "copies files that reach a stage as parameters"


def take_descriptors(proposed: Path, models: Path) -> list[str]:
    """Copy the external descriptors of a folder; returns their names.

    Args:
        proposed: that of the request.
        models: ours.

    Raises:
        ContractError: a name cannot be one, or is that of a model of ours which is not external; or a descriptor is
            no YAML.
    """
    taken = []
    for path in sorted(proposed.glob("*.yaml")):
        if read_yaml(path).get("family") != FAMILY:
            continue
        ours = models / path.name
        check_model_name(path)
        if ours.exists() and read_yaml(ours).get("family") != FAMILY:
            raise ContractError(f"{path}: {path.stem} is a model of the benchmark; rename the file")
        shutil.copyfile(path, ours)
        taken.append(path.stem)
    return taken


if __name__ == "__main__":
    try:
        print(*take_descriptors(Path(sys.argv[1]), Path("config/models")))
    except ContractError as error:
        sys.exit(f"error: {error}")
