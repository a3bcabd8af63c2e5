"""Somebody in the release authority's place who has the scheduler's bus credentials.

The scheduler is killed while the VM of a new boot is on its way up; a liar then answers the guest's
challenge and its attestation. The bus and its permissions are of no help here: what the guest
checks is all that there is.
"""

import contextlib
import subprocess
import time

import pytest

from background import liar, listen
from conftest import DEV

AUTHORITY = DEV / "fleet" / "authority" / "sign.key"
AFTER_RELEASE = {"login", "pull", "lint", "up", "certificate", "running"}


def recorded(tap, workload_id):
    """Challenge and answer of the boot that the tap saw, as lines of hex."""
    def find():
        found = {}
        for line in tap.lines:
            subject, _, rest = line.partition("\t")
            if workload_id in subject and subject.startswith("_INBOX.guest-agent-"):
                body, kind = rest.split("\t")
                if body:  # not a refusal
                    found[kind] = body
        names = ("coffer.v1.ChallengeReply", "coffer.v1.AttestReply")
        return set(names) <= set(found) and [found[name] for name in names]

    return tap.wait_for(find, 300)


@pytest.fixture(scope="module")
def scene(cluster, request):
    """A workload whose guest has taken its bundle, what that guest was answered, and what another
    one was answered."""
    def deploy(name):
        made = cluster.create(name=name)["workloadId"]
        request.addfinalizer(lambda: cluster.delete(made))
        return made, recorded(tap, made)

    with listen("recorder", "_INBOX.>") as tap:
        other, others_answers = deploy("bystander")
        cluster.delete(other)
        victim, answers = deploy("lied-to")
    cluster.wait_event(victim, lambda d: d["kind"] == "stage" and d.get("stage") == "release")
    return {"victim": victim, "own": answers, "other": others_answers,
            # field 1 of the challenge: the liar says the number that is on record, so that nothing
            # but the signature can tell
            "boot_number": str(int(answers[0][2:4], 16))}


@contextlib.contextmanager
def no_scheduler(cluster):
    container = cluster.container("scheduler")
    subprocess.run(["docker", "kill", container], capture_output=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["docker", "start", container], capture_output=True, check=True)


def starting_events(cluster, workload_id):
    return [e for e in cluster.events(workload_id) if e["details"]["kind"] == "starting"]


def errors(cluster, workload_id):
    return [e["details"] for e in cluster.events(workload_id) if e["details"]["kind"] == "error"]


class Boot:
    """What a guest does that meets the liar."""

    def __init__(self, cluster, tap):
        self.cluster = cluster
        self.tap = tap
        self.asked_before = self._asked_registry()

    def said(self):
        """The stages that it told, in its own words."""
        lines = [line.split("\t") for line in self.tap.lines if line.startswith("src.guest.")]
        return [self.cluster.decode(subject, bytes.fromhex(body)) for subject, body, _ in lines]

    def wait_for(self, holds):
        self.tap.wait_for(lambda: any(holds(stage) for stage in self.said()), 120)

    def _asked_registry(self):
        return sum('"GET /v2/' in line and '"docker/' in line
                   for line in self.cluster.logs("registry").splitlines())

    def has_asked_registry(self):
        """Whether a Docker engine has tried to fetch anything since the boot began."""
        return self._asked_registry() > self.asked_before


@contextlib.contextmanager
def boot_under(cluster, workload_id, how, **more):
    """Restarts the workload; its guest meets the liar. Yields the Boot when it is answered."""
    before = len(starting_events(cluster, workload_id))
    cluster.post("restart", workload_id)
    deadline = time.monotonic() + 60
    while len(starting_events(cluster, workload_id)) == before:
        assert time.monotonic() < deadline, cluster.story(workload_id)
        time.sleep(0.2)
    host = cluster.host_of(workload_id)
    # The VM of the boot before is gone, and this guest says nothing before its challenge.
    with no_scheduler(cluster), listen("guest-tap", f"src.guest.*.{workload_id}.stage") as tap:
        boot = Boot(cluster, tap)
        with liar(host, workload_id, *how, **more) as lies:
            lies.wait_for(lambda: {"challenge", "attest"} <= set(lies.lines), 300)
            yield boot


def repeat(challenge, answer):
    return {"how": ["replay"], "stdin": f"{challenge}\n{answer}\n"}


# How each lie is told: the liar's arguments, and what it is given to repeat.
LIES = {
    "sealed for this guest and signed by somebody else":
        lambda scene: {"how": ["sign", "-", scene["boot_number"], "GREETING=lie"]},
    "of an earlier boot": lambda scene: repeat(*scene["own"]),
    "of another guest": lambda scene: repeat(scene["own"][0], scene["other"][1]),
}


@pytest.mark.parametrize("lie", LIES)
def test_guest_refuses_a_bundle(cluster, scene, lie):
    workload_id = scene["victim"]
    known = len(errors(cluster, workload_id))
    with boot_under(cluster, workload_id, **LIES[lie](scene)) as boot:
        boot.wait_for(lambda stage: stage.get("failed"))
        said = boot.said()

    # The guest's own word: which check, and that it went no further.
    failed = [(stage["stage"], stage["code"]) for stage in said if stage.get("failed")]
    assert failed == [("release", "bundle_signature")], said
    assert not AFTER_RELEASE & {stage["stage"] for stage in said}, said
    assert not boot.has_asked_registry()

    # What everybody is told, once the scheduler is back.
    deadline = time.monotonic() + 60
    while len(errors(cluster, workload_id)) == known:
        assert time.monotonic() < deadline, cluster.story(workload_id)
        time.sleep(0.3)
    assert errors(cluster, workload_id)[-1]["code"] == "bundle_signature"
    assert cluster.get(workload_id)["status"] == "error"


def test_guest_takes_the_same_bundle_from_the_authority(cluster, scene):
    """The lies above are refused for the signature: with the authority's key the same program's
    bundle is taken, and the guest goes on to fetch the image."""
    how = ["sign", "/authority.key", scene["boot_number"], "GREETING=truth"]
    with boot_under(cluster, scene["victim"], how, files=[(AUTHORITY, "/authority.key")]) as boot:
        boot.wait_for(lambda stage: stage["stage"] == "login")
        said = boot.said()
        deadline = time.monotonic() + 60
        while not boot.has_asked_registry():
            assert time.monotonic() < deadline, said
            time.sleep(0.5)
    assert [stage.get("failed", False) for stage in said if stage["stage"] == "release"] == [False]
