"""The main job: deployed, attested, answering, verified, followed."""

import json
import os
import signal
import subprocess
import threading
import time

from conftest import CANARY, DEV

STAGES = ["config", "leaf", "challenge", "attest", "release", "login", "pull", "lint", "up",
          "certificate", "running"]


def test_answers_through_tls_with_its_secret(cluster, hello):
    assert CANARY in cluster.https(hello)


def test_domain_is_in_the_host(cluster, hello):
    assert any(hello["workloadId"] in name for name in cluster.domains(hello["hostId"]))


def test_events_tell_the_story_in_order(cluster, hello):
    events = cluster.events(hello["workloadId"])
    kinds = [e["details"]["kind"] for e in events]
    wanted = [k for k in ("created", "scheduled", "starting", "awaitingCert", "running")]
    positions = [kinds.index(k) for k in wanted]
    assert positions == sorted(positions), kinds
    # "verified" is the scheduler's own, said when the evidence held; the rest are the guest's.
    stages = [e["details"].get("stage") for e in events if e["details"]["kind"] == "stage"]
    assert stages.count("verified") == 1
    stages.remove("verified")
    known = [s for s in STAGES if s in stages]
    assert [s for i, s in enumerate(stages) if s not in stages[:i]] == known, stages
    assert {"attest", "pull", "up"} <= set(stages)


def test_plain_nats_client_sees_every_event_once_in_order(cluster, hello):
    """A client that shares no code with ours reads the stream with the operator's credentials."""
    out = cluster.tap(f"evt.workload.{hello['workloadId']}.>", 5)
    sequences = [event["sequence"] for event in out]
    assert sequences == list(range(1, len(sequences) + 1))
    assert out[0]["kind"] == "created"
    assert "running" in [event["kind"] for event in out]


def test_show_list_and_stats_have_facts(cluster, hello):
    shown = cluster.coffer("show", hello["workloadId"]).stdout
    assert hello["manifestHash"] in shown and "running" in shown
    assert hello["workloadId"] in cluster.coffer("ls").stdout
    stats = cluster.call("POST", "/api/v1/workloads/stats", {"workloadId": hello["workloadId"]})
    assert stats["memory"]["total"] > 2**30 and 0 < stats["memory"]["used"] < stats["memory"]["total"]
    containers = cluster.call("POST", "/api/v1/workload-containers/list",
                              {"workloadId": hello["workloadId"]})
    assert any("web" in name for c in containers for name in c["names"])


def test_logs_follow_live(cluster, hello):
    """A line that the container prints after we began to follow arrives."""
    follow = subprocess.Popen(
        [str(DEV.parents[1] / "dev"), "coffer", "logs", hello["workloadId"], "-f",
         "--container", "web"], stdout=subprocess.PIPE, text=True, start_new_session=True)

    def end():
        # The whole group, politely: docker passes the signal on, and the container is removed.
        os.killpg(follow.pid, signal.SIGTERM)

    try:
        time.sleep(3)
        marker = f"/marker-{time.time_ns()}"
        cluster.https(hello, marker)
        watchdog = threading.Timer(60, end)
        watchdog.start()
        seen = any(marker in line for line in iter(follow.stdout.readline, ""))
        watchdog.cancel()
        assert seen, "the request's log line did not arrive within a minute"
    finally:
        end()
        follow.wait(timeout=20)


def verify(cluster, hello, *args):
    return cluster.coffer("verify", "https://" + hello["domain"], *args, ok=False)


def test_verify_with_everything(cluster, hello):
    done = verify(cluster, hello, *cluster.verify_options(), "--manifest", hello["manifestHash"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "VERIFIED (development root)" in done.stdout
    assert hello["manifestHash"] in done.stdout


def test_verify_without_the_development_root_fails_at_the_chain(cluster, hello):
    options = cluster.verify_options(trust_root=False)
    done = verify(cluster, hello, *options, "--manifest", hello["manifestHash"], "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    failed = [s["id"] for s in json.loads(done.stdout)["steps"] if s["verdict"] == "fail"]
    assert failed and failed[0] == "chain", failed


def test_verify_with_another_manifest_fails_at_that_step(cluster, hello):
    done = verify(cluster, hello, *cluster.verify_options(), "--manifest", "00" * 32, "--json")
    assert done.returncode == 1
    failed = [s["id"] for s in json.loads(done.stdout)["steps"] if s["verdict"] == "fail"]
    assert failed == ["manifest"], failed


def test_verify_without_any_expectation_cannot_tell(cluster, hello):
    done = verify(cluster, hello, *cluster.verify_options())
    assert done.returncode == 3, done.stdout + done.stderr
    assert "CANNOT TELL" in done.stdout + done.stderr


def test_owner_computes_the_same_manifest_before_deploying(cluster, hello, tmp_path):
    theirs = cluster.coffer("manifest", hello["workloadId"]).stdout
    assert json.loads(theirs)["schema"] == "coffer.manifest/v1"
    import hashlib
    assert hashlib.sha256(theirs.encode()).hexdigest() == hello["manifestHash"]
