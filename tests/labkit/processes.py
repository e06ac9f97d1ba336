"""Processes of the lab: they never outlive it, and what they cost is read from /proc."""

import os
import subprocess
import time

# "What the scheduler counted", in the kernel's numbers of clocks.
CPUCLOCK_SCHED = 2
STOP_SECONDS = 5


def mortal(command):
    """The kernel kills such a process, also a frozen one, as soon as the lab is gone."""
    return ["setpriv", "--pdeathsig", "KILL", "--", *command]


class Process:
    """A running program with its output in a file."""

    def __init__(self, name, command, log):
        self.name, self.log = name, log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(mortal(command), stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def cpu_seconds(self):
        """Processor time of all its threads, those that have ended included, to the nanosecond: its CPU clock, whose number
        the kernel makes of its id (clock_getcpuclockid(3))."""
        return time.clock_gettime((~self.child.pid << 3) | CPUCLOCK_SCHED)

    def rss_mb(self):
        """Its resident memory now, in 10⁶ bytes."""
        return self._status_mb("VmRSS:")

    def peak_rss_mb(self):
        """The largest resident memory so far, in 10⁶ bytes."""
        return self._status_mb("VmHWM:")

    def _status_mb(self, name):
        with open(f"/proc/{self.child.pid}/status") as status:
            line = next(line for line in status if line.startswith(name))
        return int(line.split()[1]) * 1024 / 1e6

    def switches(self):
        """How often its threads were put to sleep or pushed aside: what wakes up was asleep."""
        count = 0
        for task in os.listdir(f"/proc/{self.child.pid}/task"):
            with open(f"/proc/{self.child.pid}/task/{task}/status") as status:
                count += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
        return count

    def check(self):
        """Raises when it has ended by itself."""
        if self.child.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.child.returncode}:\n{self.tail()}")

    def tail(self):
        with open(self.log, errors="replace") as log:
            return "".join(log.readlines()[-30:])

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def wait_for(what, seconds, probe):
    """Asks until the answer is not None."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = probe()
        if answer is not None:
            return answer
        time.sleep(0.1)
    raise RuntimeError(f"{what}: not within {seconds} s")


def note(text):
    """Progress, beside the report."""
    os.write(2, f"==> {text}\n".encode())
