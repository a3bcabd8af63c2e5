"""Programs that go on beside a test, in a container on the control network."""

import os
import subprocess
import threading
import time

from conftest import DEV, NET, ROOT

HUB = f"nats://{NET}.0.4:4222"


class Background:
    """A program whose lines are gathered as they come; it ends when its input does."""

    def __init__(self, name, program, *args, files=(), stdin=""):
        project = os.environ.get("COMPOSE_PROJECT_NAME", "coffer")
        self.name = f"{project}-{name}"
        self.lines = []
        self._more = threading.Condition()
        mounts = [f"{ROOT}/build/trixie/bin:/opt/coffer/bin:ro"]
        mounts += [f"{path}:{inside}:ro" for path, inside in files]
        subprocess.run(["docker", "rm", "-f", self.name], capture_output=True, check=False)
        self._process = subprocess.Popen(
            ["docker", "run", "--rm", "-i", "--name", self.name, "--network", project + "_control",
             *[word for mount in mounts for word in ("-v", mount)], "coffer-control",
             "/opt/coffer/bin/" + program, *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._process.stdin.write(stdin)
        self._process.stdin.flush()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()

    def wait_for(self, holds, seconds):
        """Until holds(), which looks at the lines, is true; returns what it returned."""
        deadline = time.monotonic() + seconds
        with self._more:
            while not (found := holds()):
                left = deadline - time.monotonic()
                assert left > 0, f"{self.name} said only:\n" + "\n".join(self.lines[-20:])
                self._more.wait(min(left, 1))
        return found

    def __enter__(self):
        try:
            self.wait_for(lambda: "ready" in self.lines, 30)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        finally:
            subprocess.run(["docker", "rm", "-f", self.name], capture_output=True, check=False)
            self._process.wait(timeout=10)


def listen(name, *subjects):
    """What is published, seen by the operator: lines of subject, hex of the body, type."""
    return Background(name, "coffer-e2e-tap", HUB, "/creds", "listen", *subjects,
                      files=[(DEV / "fleet" / "nats" / "ops.creds", "/creds")])


def liar(host, workload_id, *how, files=(), stdin=""):
    """Somebody with the scheduler's bus credentials who answers this guest; see liar.c."""
    creds = (DEV / "fleet" / "nats" / "scheduler.creds", "/creds")
    return Background("liar", "coffer-e2e-liar", HUB, "/creds", host, workload_id, *how,
                      files=[creds, *files], stdin=stdin)
