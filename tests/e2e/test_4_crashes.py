"""kill -9 of our programs and restarts of the engines in the middle of a deploy: it completes."""

import pytest


def kinds(cluster, workload_id):
    return [e["details"]["kind"] for e in cluster.events(workload_id)]


def stage_is(*names):
    return lambda d: d["kind"] == "stage" and d.get("stage") in names


def created(d):
    return d["kind"] == "created"


def starting(d):
    return d["kind"] == "starting"


# Each row is one deploy; each fault strikes when its event is seen.
ROWS = {
    "early": [("api-gateway", created), ("scheduler", created), ("host", starting),
              ("scheduler", stage_is("config", "leaf", "challenge", "attest"))],
    "late": [("host", stage_is("attest", "release")), ("nats", stage_is("login", "release", "pull")),
             ("redis", stage_is("pull", "lint", "up")), ("scheduler", stage_is("up")),
             ("api-gateway", stage_is("up"))],
}


@pytest.mark.parametrize("name", ROWS)
def test_deploy_completes(cluster, workload, name):
    made = workload(name="crash-" + name, envVars={"GREETING": "survived"})
    workload_id = made["workloadId"]
    for who, when in ROWS[name]:
        cluster.wait_event(workload_id, when)
        cluster.kill(who if who != "host" else cluster.host_of(workload_id))
    now = cluster.wait_status(workload_id, ["running"], seconds=400)
    assert "survived" in cluster.https(now)

    # No second VM, on either host.
    found = [(h, d) for h in ("host-1", "host-2") for d in cluster.domains(h) if workload_id in d]
    assert len(found) == 1, found
    assert found[0][0] == now["hostId"]

    # No lost event and none twice: the stream has every sequence number exactly once.
    sequences = [e["sequence"] for e in cluster.tap(f"evt.workload.{workload_id}.>", 5)]
    assert sequences == list(range(1, len(sequences) + 1))

    # The reservation is there once: the workload's resources are counted on its host.
    assert kinds(cluster, workload_id).count("created") == 1
