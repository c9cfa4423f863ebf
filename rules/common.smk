"""The plan that all rules ask: what is registered, what this run covers, where it lands (boomlib/workflow.py).

Needs: the configuration, config/datasets.yaml and config/models/*.yaml.
Offers: plan, find_inputs, and of boomlib.workflow code_of, one_of, list_families and ENVIRONMENT.
"""

import sys

from snakemake.io import IOFile
from snakemake.utils import update_config

sys.path.insert(0, str(workflow.basedir))

from boomlib.files import ContractError
from boomlib.processes import lead_jobs, release_dead_locks
from boomlib.workflow import (
    ENVIRONMENT,
    InputFinder,
    Plan,
    code_of,
    list_families,
    one_of,
    read_scalars,
)

lead_jobs()
if workflow.is_main_process and not workflow.output_settings.dryrun:
    release_dead_locks(".snakemake")

update_config(config, read_scalars(workflow.config_settings.config))
try:
    plan = Plan(config)
except ContractError as error:
    raise WorkflowError(error) from None
config = plan.config
find_inputs = InputFinder(lambda path: workflow.persistence.params(IOFile(path)))
