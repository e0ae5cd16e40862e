"""A SLURM of one node on this machine, without systemd, cgroups or accounting; needs Linux and root.

`python -m tests.workflow.one_node_slurm up` starts it, prints what to export and leaves it running; `down` stops it.
Everything is below one folder, but for a link at /etc/slurm/slurm.conf: the executor's job step takes SLURM_CONF from
its inner srun, which then looks only there.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PACKAGES = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"}
FOLDER = Path("/run/swagv-one-node-slurm")
_LINK = Path("/etc/slurm/slurm.conf")
_PORTS = 16827, 16828


class Unavailable(Exception):
    """SLURM cannot run here; the message says why."""


class OneNodeSlurm:
    """Its daemons, by their pid files below `folder`.

    Two partitions on the same node, ``cpu`` (the default) and ``gpu``, with a GPU that is a plain file. A job that has
    more memory than it asked for is killed within some seconds, one over its time within half a minute.
    """

    def __init__(self, folder: Path = FOLDER):
        self.folder = folder
        self.config = folder / "slurm.conf"
        # The daemons are where only root's PATH looks, and not everywhere.
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
        self.environment = {"SLURM_CONF": str(self.config), "PATH": path}

    def up(self) -> None:
        """Install what is missing, start what does not run, wait for the node."""
        self._install()
        if _LINK.exists() and _LINK.resolve() != self.config.resolve():
            raise Unavailable(f"{_LINK} exists: this machine has a SLURM already")
        self._configure()
        _LINK.parent.mkdir(exist_ok=True)
        _LINK.unlink(missing_ok=True)
        _LINK.symlink_to(self.config)
        host = socket.gethostname().split(".")[0]
        munge = self.folder / "munge"
        # Forced, as munged dislikes sockets in folders that others can write to.
        self._start(
            *("munged", "--force", "--num-threads=1", f"--key-file={munge / 'key'}"),
            *(f"--socket={self.folder / 'munge.socket'}", f"--pid-file={self._pid_file('munged')}"),
            *(f"--log-file={self.folder / 'munged.log'}", f"--seed-file={munge / 'seed'}"),
        )
        self._start("slurmctld", "-i", "-f", str(self.config))
        self._start("slurmd", "-f", str(self.config), "-N", host)
        for _ in range(120):
            state = self.ask("sinfo", "--noheader", "--partition=cpu", "--format=%t", check=False)
            if state == "idle":
                return
            if state.startswith(("down", "drain")):
                self.set_node("resume")
            time.sleep(0.5)
        logs = "\n".join(path.read_text()[-1000:] for path in self.folder.glob("*.log"))
        raise Unavailable(f"the node is {state or 'unknown'} after a minute:\n{logs}")

    def down(self) -> None:
        """Stop exactly what `up` started, and leave nothing behind."""
        for name in ("slurmd", "slurmctld", "munged"):
            pid = self._pid(name)
            if pid is None:
                continue
            os.kill(pid, signal.SIGTERM)
            for _ in range(80):
                if self._pid(name) is None:
                    break
                time.sleep(0.25)
            else:
                os.kill(pid, signal.SIGKILL)
        if _LINK.is_symlink() and _LINK.readlink() == self.config:
            _LINK.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, *command: str, check: bool = True) -> str:
        """What a command of SLURM prints."""
        done = subprocess.run(command, env=os.environ | self.environment, text=True, capture_output=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def set_node(self, state: str) -> None:
        """``"drain"``: no new job starts; ``"resume"``."""
        host = socket.gethostname().split(".")[0]
        self.ask("scontrol", "update", f"nodename={host}", f"state={state}", "reason=test")

    def jobs(self) -> dict[str, tuple[str, str]]:
        """Id -> state and comment (rule and wildcards) of every job that is remembered, finished ones too."""
        lines = self.ask("squeue", "--noheader", "--states=all", "--format=%i|%T|%k").splitlines()
        return {line.split("|")[0]: tuple(line.split("|")[1:]) for line in lines}

    def _install(self) -> None:
        missing = [
            package
            for program, package in PACKAGES.items()
            if shutil.which(program, path=self.environment["PATH"]) is None
        ]
        if os.getuid() != 0:
            raise Unavailable("a SLURM of one node needs root")
        if not missing:
            return
        if shutil.which("apt-get") is None:
            raise Unavailable(f"no {', '.join(missing)} here, and no apt-get to install it")
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
            done = subprocess.run(["apt-get", "-qq", *command], env=quiet, text=True, capture_output=True, check=False)
            if done.returncode:
                raise Unavailable(f"apt-get {' '.join(command)}: {done.stderr.strip()[-300:]}")

    def _configure(self) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        munge = self.folder / "munge"
        munge.mkdir(mode=0o700, exist_ok=True)
        if not (munge / "key").exists():
            descriptor = os.open(munge / "key", os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(descriptor, os.urandom(1024))
            os.close(descriptor)
        host, cores = socket.gethostname().split(".")[0], os.cpu_count()
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20 * 9 // 10
        # Of a GPU without a file the controller hears nothing and drains the node.
        (self.folder / "gpu").touch()
        (self.folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File={self.folder / 'gpu'}\n")
        self.config.write_text(f"""\
ClusterName=onenode
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={_PORTS[0]}
SlurmdPort={_PORTS[1]}
AuthType=auth/munge
AuthInfo=socket={self.folder / "munge.socket"}
CredType=cred/munge
SlurmctldPidFile={self._pid_file("slurmctld")}
SlurmdPidFile={self._pid_file("slurmd")}
StateSaveLocation={self.folder / "state"}
SlurmdSpoolDir={self.folder / "spool"}
SlurmctldLogFile={self.folder / "slurmctld.log"}
SlurmdLogFile={self.folder / "slurmd.log"}
# With cgroups, which a container does not delegate, jobs would be reported as done without having run.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MinJobAge=300
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0,bf_interval=5
MpiDefault=none
ReturnToService=2
KillWait=5
InactiveLimit=0
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE DefMemPerCPU=500 State=UP
PartitionName=gpu Nodes={host} MaxTime=INFINITE DefMemPerCPU=500 State=UP
""")

    def _start(self, *command: str) -> None:
        if self._pid(command[0]) is not None:
            return
        done = subprocess.run(command, env=os.environ | self.environment, text=True, capture_output=True, check=False)
        if done.returncode:
            raise Unavailable(f"{command[0]} does not start: {done.stderr.strip()[-300:]}")

    def _pid_file(self, name: str) -> Path:
        return self.folder / f"{name}.pid"

    def _pid(self, name: str) -> int | None:
        """Of a daemon that runs."""
        file = self._pid_file(name)
        pid = int(file.read_text()) if file.exists() and file.read_text().strip() else None
        # Not only a number: after a restart of the machine it may be another's.
        running = pid is not None and Path(f"/proc/{pid}/comm").exists()
        return pid if running and Path(f"/proc/{pid}/comm").read_text().strip() == name else None


if __name__ == "__main__":
    cluster = OneNodeSlurm()
    if sys.argv[1:] == ["up"]:
        cluster.up()
        print(f"export SLURM_CONF={cluster.config}")
    elif sys.argv[1:] == ["down"]:
        cluster.down()
    else:
        sys.exit(__doc__)
