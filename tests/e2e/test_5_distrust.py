"""What a host, a guest or a thief of one may try, on the running cluster."""

import json
import time

from conftest import CANARY, DEV, PROBES


def refused(cluster, workload_id):
    """The scheduler's refusals that name the workload: each log line carries the running count."""
    lines = [json.loads(line) for line in cluster.logs("scheduler").splitlines()
             if '"msg":"refused"' in line and workload_id in line]
    return [(line["what"], int(line["total"])) for line in lines]


def test_forged_guest_claim_of_the_hosts_own_guest_is_refused_and_counted(cluster, hello):
    """The host may publish on its guest's subject; it does not have the guest's key."""
    before = refused(cluster, hello["workloadId"])
    subject = f"src.guest.{hello['hostId']}.{hello['workloadId']}.health"
    with cluster.thief_leaf(hello["hostId"]) as url:
        done = cluster.tap_publish(None, url, subject, b"\x08\x01")
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + 15
    while refused(cluster, hello["workloadId"]) == before:
        assert time.monotonic() < deadline, "the forged claim was not counted"
        time.sleep(0.3)
    what, total = refused(cluster, hello["workloadId"])[-1]
    assert "claim" in what and total >= 1
    assert cluster.get(hello["workloadId"])["status"] == "running"


def test_one_hosts_credentials_do_not_speak_for_another(cluster, hello):
    other = {"host-1": "host-2", "host-2": "host-1"}[hello["hostId"]]
    for subject in (f"hb.host.{other}", f"src.host.{other}.vm",
                    f"src.guest.{other}.{hello['workloadId']}.health", "evt.workload.x.running",
                    "svc.scheduler.workload.delete"):
        done = cluster.publish_as_agent(hello["hostId"], subject, b"x")
        assert done.returncode == 2 and "permissions violation" in done.stderr.lower(), (
            subject, done.stderr)


def test_canary_is_nowhere_outside_the_vm(cluster, hello):
    """hello's environment value: not in Redis, not in a stream, no file, no log."""
    password = (DEV / "secrets" / "redis" / "password").read_text().strip()
    cluster.run_in("redis", "redis-cli", "--no-auth-warning", "-a", password, "bgrewriteaof")
    places = {
        "redis": ["/data"], "nats": ["/data"], "scheduler": ["/var/lib/coffer", "/tmp"],
        "api-gateway": ["/var/lib/coffer", "/tmp"],
        "host-1": ["/var/lib/coffer", "/var/log", "/run", "/tmp", "/etc/libvirt"],
        "host-2": ["/var/lib/coffer", "/var/log", "/run", "/tmp", "/etc/libvirt"],
    }
    found = []
    for service, folders in places.items():
        # The VM's encrypted disk is read too: it must not hold the value in the clear either.
        done = cluster.run_in(service, "grep", "-rlaF", "--devices=skip", CANARY, *folders,
                              check=False)
        found += [f"{service}:{line}" for line in done.stdout.splitlines()]
        if CANARY in cluster.logs(service):
            found.append(service + ": log")
    assert found == []
    keys = cluster.run_in("redis", "redis-cli", "--no-auth-warning", "-a", password, "--scan").stdout
    assert keys.strip(), "the dump that was searched is empty"


def test_the_search_for_the_canary_can_find_it(cluster):
    """The search itself: a value that is really there is found."""
    done = cluster.run_in("redis", "grep", "-rlaF", "--devices=skip", "coffer:workload", "/data",
                          check=False)
    assert done.stdout.strip()


def test_guests_reach_the_world_and_not_the_control_plane(cluster, hello):
    """Tried from a container of the tenant, which may be anyone."""
    deadline = time.monotonic() + 60
    while True:
        lines = cluster.call("POST", "/api/v1/workload-containers/logs",
                             {"workloadId": hello["workloadId"], "container": "probe"})["lines"]
        found = dict(line.removeprefix("probe ").split(": ") for line in lines
                     if line.startswith("probe "))
        if len(found) == len(PROBES) or time.monotonic() > deadline:
            break
        time.sleep(2)
    assert found == {name: "open" if name == "registry" else "closed" for name in PROBES}
