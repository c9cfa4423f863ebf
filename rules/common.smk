"""The plan that all rules ask: what is registered, what this run covers, where it lands (boomlib/workflow.py).

Needs: the configuration, config/datasets.yaml and config/models/*.yaml.
Offers: plan, tell_lost_inputs, tell_other_mirror, VERSION of the benchmark, of boomlib.unmade begin_jobs and end_jobs, and of
boomlib.workflow code_of, one_of and ENVIRONMENT, of boomlib.declared list_families.
"""

import sys

from snakemake.io import IOFile
from snakemake.utils import update_config

sys.path.insert(0, str(workflow.basedir))

from boomlib.declared import list_families
from boomlib.files import ContractError
from boomlib.processes import lead_jobs, release_dead_locks
from boomlib.unmade import MakeAgain, begin_jobs, end_jobs, has_lost_inputs
from boomlib.version import VERSION
from boomlib.workflow import (
    ENVIRONMENT,
    Plan,
    code_of,
    one_of,
    read_scalars,
)

lead_jobs(str(workflow.basedir))
if workflow.is_main_process and not workflow.output_settings.dryrun:
    release_dead_locks(".snakemake")

update_config(config, read_scalars(workflow.config_settings.config))
try:
    plan = Plan(config, where=", ".join(map(str, workflow.configfiles)) or "config")
except ContractError as error:
    raise WorkflowError(str(error)) from None
config = plan.config
read_recorded = lambda path: workflow.persistence.params(IOFile(path))
tell_lost_inputs = MakeAgain(read_recorded, has_lost_inputs)
tell_other_mirror = MakeAgain(read_recorded, plan.differs_from_mirror)
