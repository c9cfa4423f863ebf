"""On a workstation jobs for the GPU run one at a time, and others beside them."""

import json
import re

import pytest
import yaml

SLEEPER = '''
"""A model that takes its time, and writes down when."""

import json
import time

from boomlib.models.control.train_mean import TrainMean


class Sleeper(TrainMean):
    def fit(self, train, valid, folder):
        begin = time.time()
        time.sleep(2)
        super().fit(train, valid, folder)
        (folder / "times.json").write_text(json.dumps([begin, time.time()]))
        (folder / "epochs.parquet").touch()
'''
# a family for the GPU, whose jobs leave an epochs.parquet, and one without
GPU, CPU = "chemprop", "tabular"
MODELS = {"gpu_one": GPU, "gpu_two": GPU, "cpu_one": CPU, "cpu_two": CPU}


@pytest.mark.slow
def test_gpu_jobs_run_one_at_a_time(project):
    (project.folder / "boomlib/models/sleeper.py").write_text(SLEEPER)
    for name, family in MODELS.items():
        entry = {"label": name, "family": family, "class": "sleeper.Sleeper", "source": "none"}
        (project.folder / f"config/models/{name}.yaml").write_text(yaml.safe_dump(entry))
    project.write_config(models=list(MODELS))
    stems = {name: f"results/predictions/tiny/size/kde/{name}/seed0" for name in MODELS}
    # what the four read first, so that all of them are ready at once
    project.snakemake("results/tasks/tiny/size/kde.parquet")
    # processors for all four, so that only the GPU keeps any of them waiting
    arguments = ("--workflow-profile", "profiles/workstation", "--cores", "4")
    done = project.snakemake(*arguments, *(f"{stem}.parquet" for stem in stems.values()))
    assert re.findall(r"Execute (\d) jobs", done.stdout) == ["3", "1"]
    times = [json.loads((project.folder / stems[name] / "times.json").read_text()) for name in ("gpu_one", "gpu_two")]
    (_, end), (begin, _) = sorted(times)
    assert end <= begin
