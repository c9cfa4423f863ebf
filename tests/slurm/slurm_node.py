"""A throw-away Slurm of one node: every daemon, file and setting below one folder, no root, systemd or database.

Processors, memory and GPUs of the node are pretended. From the root of the checkout,

    .venv/bin/python tests/slurm/slurm_node.py snakemake --workflow-profile profiles/slurm results/leaderboard.md

runs a command on one. Needs the Debian packages slurm-wlm and munge.
"""

import contextlib
import getpass
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "sacctmgr", "sshare")
DEVICES = ("/dev/null", "/dev/zero")  # Slurm wants a device for each GPU; these exist everywhere
WAIT = 120.0  # seconds for daemons to be ready, or a client to answer

CONFIG = """\
ClusterName=test
MailProg=/bin/true
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
{bind}
AuthType=auth/munge
# a job that is put back into the queue waits for its credential to expire
AuthInfo=socket={folder}/munge/socket,cred_expire=10
CredType=cred/munge
StateSaveLocation={folder}/state/slurmctld
SlurmdSpoolDir={folder}/state/slurmd
SlurmctldPidFile={folder}/state/slurmctld.pid
SlurmdPidFile={folder}/state/slurmd.pid
# neither cgroups nor MPI, which containers may lack
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
# no database: the controller remembers finished jobs for as long as tests last
AccountingStorageType=accounting_storage/none
MinJobAge=7200
ReturnToService=2
KillWait=2
InactiveLimit=0
# a machine that does much else answers late
MessageTimeout=100
SchedulerParameters=batch_sched_delay=0,sched_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
# believe the next line rather than the hardware
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=16 RealMemory=128000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES MaxTime=10-00:00:00 State=UP
PartitionName=gpu Nodes=ALL Default=NO MaxTime=10-00:00:00 State=UP
"""


def missing_programs() -> list[str]:
    """Programs that a node needs and this machine lacks."""
    return [name for name in (*DAEMONS, *CLIENTS, "setpriv") if not find(name)]


def find(program: str) -> str | None:
    """Path of a program; daemons are often outside the user's PATH."""
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def free_ports(number: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@dataclass(frozen=True)
class Job:
    """What Slurm knows about a job of Snakemake's: ``gpus`` is ``gpu:1`` for one GPU and empty for none."""

    number: str
    rule: str
    wildcards: str
    state: str
    partition: str
    account: str
    memory_mb: int
    minutes: int
    gpus: str

    @classmethod
    def read(cls, record: dict[str, str]) -> "Job":
        """From a line of ``scontrol --details show job``."""
        rule, _, wildcards = record["Comment"].removeprefix("rule_").partition("_wildcards_")
        days, _, time_of_day = record["TimeLimit"].rpartition("-")
        hours, minutes, _ = time_of_day.split(":")
        return cls(
            number=record["JobId"],
            rule=rule,
            wildcards=wildcards,
            state=record["JobState"],
            partition=record["Partition"],
            account=record["Account"],
            memory_mb=int(record["Mem"]),
            minutes=(int(days or 0) * 24 + int(hours)) * 60 + int(minutes),
            gpus=record["JOB_GRES"].removeprefix("(null)"),
        )


class SlurmNode:
    """Starts with the context and ends with it, and so do its jobs."""

    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="slurm")
        self.folder = Path(self.temporary.name)
        self.config = self.folder / "etc/slurm.conf"
        self.daemons: list[subprocess.Popen] = []
        # the plugin that starts a job's step clears SLURM_CONF, so that each client must name the configuration itself
        self.environment = os.environ | {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"}

    def __enter__(self) -> "SlurmNode":
        try:
            self.write_files()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def write_files(self) -> None:
        """Write configuration, key and the clients."""
        for name in ("bin", "etc", "log", "munge", "state/slurmctld", "state/slurmd"):
            (self.folder / name).mkdir(parents=True)
        host = socket.gethostname().split(".")[0]
        # Slurm listens on what the host name stands for, here on all interfaces where that is not the loopback
        local = socket.gethostbyname(host).startswith("127.")
        text = CONFIG.format(
            folder=self.folder,
            host=host,
            user=getpass.getuser(),
            ports=free_ports(2),
            bind="CommunicationParameters=NoInAddrAny,NoCtldInAddrAny" if local else "",
            gpus=len(DEVICES),
        )
        self.config.write_text(text)
        gpus = [f"NodeName={host} Name=gpu File={device}" for device in DEVICES]
        (self.folder / "etc/gres.conf").write_text("\n".join(["AutoDetect=off", *gpus, ""]))
        # slurmd loads one although nothing uses it, and this one starts whatever /sys/fs/cgroup holds
        (self.folder / "etc/cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        (self.folder / "etc/plugstack.conf").touch()
        key = self.folder / "munge/key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        scripts = {name: f'SLURM_CONF={self.config} exec {find(name)} "$@"' for name in CLIENTS}
        # Snakemake turns to sacct when the controller is slow to answer, and would wait for ever without a database
        scripts["sacct"] = "for run; do :; done\nexec squeue --states=all --noheader --format='%i|%T' --name=\"$run\""
        for name, script in scripts.items():
            client = self.folder / "bin" / name
            client.write_text(f"#!/bin/sh\n{script}\n")
            client.chmod(0o755)

    def launch(self, name: str, *arguments: str) -> None:
        """Start a daemon; its output goes to ``log/``."""
        with (self.folder / f"log/{name}.out").open("w") as log:
            self.daemons.append(
                subprocess.Popen(
                    # ends with us, however we end
                    [find("setpriv"), "--pdeathsig", "TERM", find(name), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # an interrupt of the tests is theirs alone
                    start_new_session=True,
                )
            )

    def start(self) -> None:
        """Start the daemons and wait until the node is idle.

        Raises:
            RuntimeError: a daemon ended, or the node is not idle in time; the message ends with their output.
        """
        munge, log = self.folder / "munge", self.folder / "log"
        files = {"key": munge / "key", "socket": munge / "socket", "pid": munge / "pid", "seed": munge / "seed"}
        options = [f"--{name}{'' if name == 'socket' else '-file'}={path}" for name, path in files.items()]
        # --force: a folder that others cannot read, such as a temporary one, is enough for the socket of one user
        self.launch("munged", "--foreground", "--force", f"--log-file={log}/munged.log", *options)
        self.wait(files["socket"].exists)
        for name in ("slurmctld", "slurmd"):
            self.launch(name, "-D", "-c", "-f", str(self.config))
        self.wait(lambda: self.ask("sinfo", "--noheader", "--format=%T").strip() == "idle")

    def wait(self, ready) -> None:
        """Wait until ``ready()`` while all daemons live."""
        end = time.monotonic() + WAIT
        while not ready():
            if time.monotonic() > end or any(each.poll() is not None for each in self.daemons):
                logs = "\n".join(path.read_text() for path in sorted((self.folder / "log").iterdir()))
                raise RuntimeError(f"Slurm does not start:\n{logs}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Cancel all jobs and end the daemons, the last first."""
        if len(self.daemons) == len(DAEMONS):
            self.ask("scancel", f"--user={getpass.getuser()}")
            end = time.monotonic() + WAIT
            while self.ask("squeue", "--noheader") and time.monotonic() < end:
                time.sleep(0.1)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
        self.temporary.cleanup()

    def ask(self, client: str, *arguments: str) -> str:
        """Output of a client; empty if it fails."""
        command = [self.folder / "bin" / client, *arguments]
        return subprocess.run(command, text=True, capture_output=True, timeout=WAIT, check=False).stdout

    def jobs(self, folder: Path) -> list[Job]:
        """All jobs submitted from ``folder``, in order."""
        lines = self.ask("scontrol", "--details", "--oneliner", "show", "job").splitlines()
        records = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in lines]
        chosen = [record for record in records if record.get("WorkDir") == str(folder)]
        return [Job.read(record) for record in sorted(chosen, key=lambda record: int(record["JobId"]))]


def main() -> int:
    """Run the command of the arguments on a node; its exit status."""
    if lacking := missing_programs():
        print(f"not installed: {', '.join(lacking)} (Debian packages slurm-wlm, munge)", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # an exit ends the node, too
    with SlurmNode() as node:
        print(f"Slurm is up below {node.folder}: {shlex.join(sys.argv[1:])}", file=sys.stderr)
        path = f"{Path(sys.executable).parent}:{node.environment['PATH']}"
        return subprocess.run(sys.argv[1:], env=node.environment | {"PATH": path}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
