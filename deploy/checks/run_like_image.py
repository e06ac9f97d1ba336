"""Runs the binary as the image would: as uid 65532, on a read-only root that holds what distroless holds and no more, and asks it for its metrics.

    run_like_image.py PROGRAM

Exits 77 where this machine allows no mount namespaces, so that nothing could be run.

There is no engine and no base image here. Its stand-in is a directory with the libraries that the binary names (from this machine), the bundle of certificate authorities, and the
files that distroless has in /etc; the binary is started in it with chroot, in a mount namespace of its own where the root is mounted read-only.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

USER = 65532
SOON = 30
# As automake's tests say that they were left out.
NOT_HERE = 77
STATE = "var/lib/kafkascope"
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
# It is ready after the first pass or its first failure, which comes when a request has timed out.
CONFIG = """
polling: {request_timeout: 1s}
clusters:
  - bootstrap_servers: ['127.0.0.1:1']
    tls: true
"""


def fail(message):
    sys.exit(f"run_like_image: {message}")


def fill(root, program):
    """The root of the image, and the binary in it."""
    for name in ("usr/bin", "etc/ssl/certs", "etc/kafkascope", STATE, "tmp", "proc"):
        (root / name).mkdir(parents=True)
    shutil.copy(program, root / "usr/bin/kafkascope")
    for line in subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.splitlines():
        found = re.search(r"(/\S+) \(0x", line)
        if found:
            target = root / found[1].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(found[1], target)
    if pathlib.Path("/", CERTIFICATES).exists():
        shutil.copy(f"/{CERTIFICATES}", root / CERTIFICATES)
    (root / "etc/passwd").write_text(f"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:{USER}:{USER}:nonroot:/home/nonroot:/sbin/nologin\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (root / "etc/kafkascope/kafkascope.yml").write_text(CONFIG)


def command(root, arguments):
    """Mounts the root read-only, proves it, and starts the binary there without any privilege."""
    inside = (
        'mount --bind "$1" "$1" && mount -t tmpfs -o mode=0777 tmpfs "$1/tmp" && mount -t tmpfs -o mode=0777 tmpfs "$1/%s"'
        ' && mount --rbind /proc "$1/proc" && mount -o remount,bind,ro "$1" && ! touch "$1/etc/written" 2>/dev/null && root=$1 && shift' % STATE
    )
    if os.geteuid() == 0:
        start = f'exec setpriv --no-new-privs chroot --userspec={USER}:{USER} --groups= "$root" "$@"'
        return ["unshare", "--mount", "sh", "-c", f"{inside} && {start}", "sh", root, *arguments]
    start = f'exec unshare --user --map-user={USER} --map-group={USER} --root="$root" --wd=/ "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f"{inside} && {start}", "sh", root, *arguments]


def may_mount():
    """Whether namespaces can be made here at all: containers often forbid it."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return subprocess.run(["unshare", *user, "--mount", "mount", "-t", "tmpfs", "tmpfs", "/tmp"], capture_output=True, check=False).returncode == 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


def eventually(process, port, path):
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        if process.poll() is not None:
            fail(f"it ended with {process.returncode}: {process.stderr.read()}")
        try:
            return ask(port, path)
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    fail(f"{path} did not answer with 200 within {SOON} s")


def child_of(pid):
    """The process that the shells have become: namespaces are entered by exec, so it is this one or its only child."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return child_of(int(children[0])) if children else pid


def checked(process, port):
    for path in ("/-/healthy", "/-/ready"):
        eventually(process, port, path)
    metrics = ask(port, "/metrics")
    if not re.search(r"^kafka_up 0$", metrics, re.M):
        fail(f"no `kafka_up 0` in\n{metrics}")
    status = pathlib.Path(f"/proc/{child_of(process.pid)}/status").read_text()
    uid = re.search(r"^Uid:\s+(\d+)", status, re.M)[1]
    effective = re.search(r"^CapEff:\s+(\w+)", status, re.M)[1]
    if os.geteuid() == 0 and int(uid) != USER:
        fail(f"it runs as uid {uid}, not {USER}")
    if int(effective, 16) != 0:
        fail(f"it has capabilities: {effective}")
    process.send_signal(signal.SIGTERM)
    if process.wait(SOON) != 0:
        fail(f"it ended with {process.returncode} when asked to stop: {process.stderr.read()}")


def main():
    program = pathlib.Path(sys.argv[1])
    if not may_mount():
        sys.exit(NOT_HERE)
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch, "root")
        root.mkdir()
        fill(root, program)
        os.chmod(scratch, 0o755)
        arguments = ["/usr/bin/kafkascope", "--config", "/etc/kafkascope/kafkascope.yml", "--listen", f"127.0.0.1:{port}", "--state-file", f"/{STATE}/state"]
        with subprocess.Popen(command(root, arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]}) as process:
            try:
                checked(process, port)
            finally:
                if process.poll() is None:
                    process.kill()
    print(f"    ran as uid {USER} on a read-only root without a shell, was scraped, and stopped when asked to")


if __name__ == "__main__":
    main()
