"""kill -9 of gateway, scheduler and host-agents at every step of one deploy.

Each step is seen on the bus, as the guest's own claim or as the canonical event, whichever comes
first; the three programs are killed there and then, one after the other. The test is what starts
gateway and scheduler again, because Docker waits longer after each crash.
"""

import contextlib
import subprocess
import time

from background import listen
from conftest import DEV, ApiError

HOSTS = ("host-1", "host-2")
STEPS = {"created", "scheduled", "starting", "verified", "config", "leaf", "challenge", "attest",
         "release", "login", "pull", "lint", "up", "awaitingCert", "certificate", "running"}


def kill_container(cluster, service):
    """The program is all there is in it. Fails if it was not running."""
    container = cluster.container(service)
    subprocess.run(["docker", "kill", container], capture_output=True, check=True)
    subprocess.run(["docker", "start", container], capture_output=True, check=True)


def kill_agent(cluster, host):
    """runit starts it again a second after its end, so it may not be there yet."""
    deadline = time.monotonic() + 30
    while cluster.run_in(host, "pkill", "-9", "-f", "^/opt/coffer/bin/coffer-host-agent",
                         check=False).returncode:
        assert time.monotonic() < deadline, f"no host-agent runs on {host}"
        time.sleep(0.1)


def kill_all(cluster):
    kill_container(cluster, "api-gateway")
    kill_container(cluster, "scheduler")
    for host in HOSTS:
        kill_agent(cluster, host)


@contextlib.contextmanager
def started_again(cluster):
    """However the test ends, the cluster is whole."""
    try:
        yield
    finally:
        for service in ("api-gateway", "scheduler"):
            subprocess.run(["docker", "start", cluster.container(service)], capture_output=True,
                           check=False)


def step_of(cluster, line):
    """What a line of the tap tells: a step's name."""
    subject, body, _ = line.split("\t")
    told = cluster.decode(subject, bytes.fromhex(body))
    kind = told.get("kind", "stage")  # a guest's claim has none
    return told["stage"] if kind == "stage" else kind


def strike_at_every_step(cluster, tap):
    """Until the workload runs. Returns the steps at which everything was killed, in order."""
    struck = []
    seen = 1  # behind "ready"
    while "running" not in struck:
        tap.wait_for(lambda: len(tap.lines) > seen, 300)
        step = step_of(cluster, tap.lines[seen])
        seen += 1
        if step not in struck:
            struck.append(step)
            kill_all(cluster)
    return struck


def varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data):
    """The fields of a protobuf message, by number; the last of each."""
    found, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        assert key & 7 in (0, 2), "neither a number nor bytes"
        value, at = varint(data, at)
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        found[key >> 3] = value
    return found


def redis(cluster, *command):
    password = (DEV / "secrets" / "redis" / "password").read_text().strip()
    done = cluster.run_in("redis", "redis-cli", "--no-auth-warning", "--raw", "-a", password,
                          *command, text=False)
    return done.stdout.removesuffix(b"\n")


def reservations(cluster):
    """What the records say of each host: used (cpus, MiB, GiB), and the workloads it is used by."""
    found = {}
    for host in HOSTS:
        # First who, then how much: a delete between the two leaves somebody who does not run.
        on = redis(cluster, "smembers", "coffer:workloads-on:" + host).decode().split()
        record = redis(cluster, "hget", "coffer:host:" + host, "d")
        used = fields(fields(record).get(8, b""))  # Host.used, a Resources
        found[host] = (tuple(used.get(i, 0) for i in (1, 2, 3)), set(on))
    return found


def runs(cluster, workload):
    try:
        return cluster.get(workload)["status"] == "running"
    except ApiError:
        return False


def reservations_at_rest(cluster, seconds=120):
    """The same, once nothing of an earlier test is still being deleted."""
    deadline = time.monotonic() + seconds
    while True:
        found = reservations(cluster)
        if all(runs(cluster, w) for _, on in found.values() for w in on):
            return found
        assert time.monotonic() < deadline, f"reservations of workloads that do not run: {found}"
        time.sleep(0.5)


def domains(cluster):
    """Every VM of both hosts, running or not: host and name."""
    found = []
    for host in HOSTS:
        names = cluster.run_in(host, "virsh", "-q", "list", "--all", "--name").stdout.split()
        found += [(host, name) for name in names]
    return found


def launches(cluster, host, workload_id):
    """How often QEMU was started for it."""
    log = f"/var/log/libvirt/qemu/coffer-{workload_id}.log"
    return cluster.run_in(host, "cat", log, check=False).stdout.count("starting up libvirt version")


def test_deploy_completes_whatever_is_killed_at_every_step(cluster, workload):
    before = reservations_at_rest(cluster)
    body = cluster.create_body(name="crash-everywhere", envVars={"GREETING": "survived"})
    workload_id = body["workloadId"]
    with started_again(cluster), listen("steps", f"evt.workload.{workload_id}.>",
                                        f"src.guest.*.{workload_id}.stage") as tap:
        workload(**body)
        struck = strike_at_every_step(cluster, tap)
    assert set(struck) >= STEPS, f"never seen: {STEPS - set(struck)}"

    now = cluster.wait_status(workload_id, ["running"])
    host = now["hostId"]
    assert "survived" in cluster.https(now)

    # One VM, on its host, and never another.
    mine = [(h, name) for h, name in domains(cluster) if workload_id in name]
    assert mine == [(host, f"coffer-{workload_id}")]
    assert [launches(cluster, h, workload_id) for h in HOSTS] == [h == host for h in HOSTS]

    # The reservation is there, once; on the other host nothing has changed.
    after = reservations(cluster)
    used, on = before[host]
    needs = (body["cpus"], body["memory"], body["disk"])
    expected = {**before, host: (tuple(map(sum, zip(used, needs))), on | {workload_id})}
    assert after == expected

    # No event is lost and none is told twice.
    events = cluster.tap(f"evt.workload.{workload_id}.>", 5)
    assert [e["sequence"] for e in events] == list(range(1, len(events) + 1))
    told = [(e["kind"], e.get("stage")) for e in events]
    twice = {stage for i, (kind, stage) in enumerate(told) if (kind, stage) in told[:i]}
    # A guest whose attestation got no answer begins again with a new challenge.
    assert twice <= {"challenge", "attest", "verified"}, told

    cluster.delete(workload_id)
    deadline = time.monotonic() + 60
    while reservations(cluster) != before:
        assert time.monotonic() < deadline, (before, reservations(cluster))
        time.sleep(0.5)
    assert not [name for _, name in domains(cluster) if workload_id in name]
