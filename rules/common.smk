"""The plan that all rules ask: what is registered, what this run covers, where it lands (boomlib/workflow.py).

Needs: the configuration, config/datasets.yaml and config/models/*.yaml.
Offers: plan, tell_lost_inputs, tell_lost_training, tell_other_mirror, VERSION of the benchmark, ASKED, makes_results,
makes_site, of boomlib.unmade begin_jobs and end_jobs, of boomlib.workflow code_of, one_of and ENVIRONMENT, of
boomlib.declared list_families, and of boomlib.report.site.files list_site_files.
"""

import sys
from datetime import datetime

from snakemake.io import IOFile
from snakemake.utils import update_config

sys.path.insert(0, str(workflow.basedir))

from boomlib.command import check_command, read_scalars
from boomlib.declared import list_families
from boomlib.files import ContractError, check_writable
from boomlib.processes import lead_jobs, release_dead_locks
from boomlib.report.site.files import list_site_files
from boomlib.strict_yaml import read_yaml
from boomlib.unmade import MakeAgain, begin_jobs, end_jobs, has_lost_inputs
from boomlib.version import VERSION
from boomlib.workflow import ENVIRONMENT, Plan, code_of, one_of

try:
    lead_jobs(str(workflow.basedir))
    if workflow.is_main_process:
        check_command(sys.argv, workflow.config_settings.config_args or [])
        check_writable(".", ".snakemake", "logs", "results")
        if not workflow.output_settings.dryrun:
            release_dead_locks(".snakemake")
    # Snakemake takes the last of two keys that are the same, and does not name the line of a mistake
    for file in workflow.overwrite_configfiles or ["config/config.yaml"]:
        read_yaml(file)
except ContractError as error:
    raise WorkflowError(str(error)) from None

# one that the user gives stands alone, and is not merged into the default run's
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


update_config(config, read_scalars(workflow.config_settings.config))
given = ["--config"] if workflow.config_settings.config else []
try:
    plan = Plan(config, where=", ".join(map(str, [*workflow.configfiles, *given])))
except ContractError as error:
    raise WorkflowError(str(error)) from None
config = plan.config
ASKED = (
    datetime.now().isoformat()
)  # another one for each command: what has it as a parameter is always made anew
makes_results = lambda dag: {job.rule.name for job in dag.jobs} != {
    "status"
}  # which merely tells
makes_site = lambda dag: any(job.rule.name == "site" for job in dag.jobs)
read_recorded = lambda path: workflow.persistence.params(IOFile(path))
tell_lost_inputs = MakeAgain(read_recorded, has_lost_inputs)
tell_lost_training = MakeAgain(
    read_recorded,
    lambda job: has_lost_inputs(job) or plan.screens.has_lost_model(job),
)
tell_other_mirror = MakeAgain(read_recorded, plan.differs_from_mirror)
