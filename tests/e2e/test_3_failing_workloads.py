"""Workloads that cannot run: the owner learns Docker's own words within a minute, and restart works."""

import time

from conftest import REGISTRY

MISSING = f"services:\n  web:\n    image: {REGISTRY}/no-such-image:1\n"
EXITS = f"services:\n  web:\n    image: {REGISTRY}/exits:1\n"


def failure(cluster, workload_id, code, seconds_after_boot=60):
    """The error or degraded event, and how long it came after the guest was released."""
    event = cluster.wait_event(workload_id, lambda d: d["kind"] in ("error", "degraded"))
    details = event["details"]
    assert details.get("code") == code, cluster.story(workload_id)
    return (details.get("error") or "") + (details.get("message") or "")


def test_image_that_does_not_exist(cluster, workload):
    made = workload(MISSING)
    text = failure(cluster, made["workloadId"], "pull_failed")
    assert "no-such-image" in text and ("manifest unknown" in text or "not found" in text)
    assert cluster.get(made["workloadId"])["status"] == "error"


def test_wrong_registry_password_then_restart_with_the_right_one(cluster, workload):
    wrong = [{"server": REGISTRY, "username": "coffer", "password": "wrong-" + "x" * 20}]
    made = workload(dockerCredentials=wrong)
    text = failure(cluster, made["workloadId"], "login_failed")
    assert "unauthorized" in text.lower() or "authentication required" in text.lower()
    assert "wrong-x" not in text
    right = [{"server": REGISTRY, "username": "coffer", "password": cluster.registry_password}]
    cluster.post("restart", made["workloadId"], dockerCredentials=right, envVars={"GREETING": "again"})
    deadline = time.monotonic() + 30
    while cluster.get(made["workloadId"])["status"] == "error":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    now = cluster.wait_status(made["workloadId"], ["running"])
    assert "again" in cluster.https(now)


def test_container_that_exits_at_once(cluster, workload):
    made = workload(EXITS, publicContainerPort=8080)
    event = cluster.wait_event(
        made["workloadId"], lambda d: d["kind"] in ("error", "degraded"))["details"]
    text = str(event)
    assert "web" in text and "exit" in text, text
