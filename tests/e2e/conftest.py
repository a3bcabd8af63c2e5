"""What the end-to-end tests share: the running dev cluster as a person and an operator see it.

The cluster is started by ./dev before these tests; they use real VMs, so workloads are shared
where a test does not change them.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import time
import urllib.error
import urllib.request
import uuid

import pytest

import evidence

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEV = ROOT / "build" / "dev"
REGISTRY = "registry.coffer.test:5000"
NET = os.environ.get("COFFER_NET", "10.77")
API = "http://127.0.0.1:" + os.environ.get("COFFER_GATEWAY_PORT", "8080")

HELLO = f"""services:
  web:
    image: {REGISTRY}/hello:1
    environment:
      GREETING: ${{GREETING}}
"""

# A neighbour in the same project that tries to reach what a tenant must not.
PROBES = {
    "registry": (f"{NET}.1.10", 5000),
    "hub": (f"{NET}.0.4", 4222),
    "redis": (f"{NET}.0.5", 6379),
    "scheduler metrics": (f"{NET}.0.6", 9091),
    "leaf of the other host": (f"{NET}.0.12", 4222),
    "guest network of the other host": (f"{NET}.12.1", 4222),
    "monitoring of the own host": (f"{NET}.11.1", 8222),
}
PROBE = "; ".join(
    f"echo | nc -w 3 {address} {port} >/dev/null 2>&1 && echo 'probe {name}: open' "
    f"|| echo 'probe {name}: closed'" for name, (address, port) in PROBES.items())
HELLO_WITH_PROBE = HELLO + f"""  probe:
    image: {REGISTRY}/hello:1
    entrypoint: ["/bin/busybox", "sh", "-c"]
    command:
      - |
        /bin/busybox mkdir -p /bin && /bin/busybox --install -s /bin
        {PROBE}
        exec /bin/busybox sleep 100000
"""


class ApiError(Exception):
    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {json.dumps(body)}")
        self.status = status
        self.body = body


class Cluster:
    """The dev cluster."""

    def __init__(self):
        self.key = (DEV / "cli" / ".config" / "coffer" / "api-key").read_text().strip()
        self.registry_password = (DEV / "secrets" / "registry" / "password").read_text().strip()
        self.alive = []  # workloads made and not deleted
        self.shown = set()  # texts that evidence.py has shown

    # -- as a user -----------------------------------------------------------------------------

    def call(self, method, path, body=None, raw=None, timeout=60):
        data = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        request = urllib.request.Request(
            API + path, data=data, method=method,
            headers={"Authorization": "Bearer " + self.key, "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as problem:
            text = problem.read()
            raise ApiError(problem.code, json.loads(text) if text else None) from None
        return json.loads(text) if text else None

    def image_version(self, seconds=60):
        """The newest that a host has; a host-agent that just started still checks its files."""
        deadline = time.monotonic() + seconds
        while True:
            images = self.call("GET", "/api/v1/fleet")["images"]
            if images:
                return images[0]
            if time.monotonic() > deadline:
                pytest.fail(f"no host has a guest image ready within {seconds} s")
            time.sleep(0.5)

    def create_body(self, compose=HELLO, **changes):
        body = {
            "workloadId": str(uuid.uuid4()),
            "name": "e2e",
            "artifactsVersion": self.image_version(),
            "dockerCompose": compose,
            "envVars": {"GREETING": "hi"},
            "dockerCredentials": [{"server": REGISTRY, "username": "coffer",
                                   "password": self.registry_password}],
            "publicContainerName": "web", "publicContainerPort": 8080,
            "memory": 1536, "cpus": 2, "disk": 5, "gpus": 0,
        }
        body.update(changes)
        return body

    def create(self, compose=HELLO, **changes):
        made = self.call("POST", "/api/v1/workloads/create", self.create_body(compose, **changes))
        self.alive.append(made["workloadId"])
        return made

    def get(self, workload):
        return self.call("GET", f"/api/v1/workloads/{workload}")

    def post(self, verb, workload, **more):
        return self.call("POST", f"/api/v1/workloads/{verb}", {"workloadId": workload, **more})

    def events(self, workload):
        return self.call("POST", "/api/v1/workload-events/list", {"workloadId": workload})["events"]

    def wait_status(self, workload, statuses, seconds=480):
        """Polls until the status is one of statuses; 'error' always ends the wait."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                now = self.get(workload)
            except (ApiError, OSError):  # a fault test may have the gateway down
                now = {"status": "(gateway away)"}
            if now["status"] in statuses:
                return now
            if now["status"] == "error" or time.monotonic() > deadline:
                pytest.fail(f"workload {workload} is {now['status']} ({now.get('statusReason')}), "
                            f"wanted {statuses}; events:\n" + self.story(workload))
            time.sleep(0.5)

    def wait_event(self, workload, matches, seconds=300):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                for event in self.events(workload):
                    if matches(event["details"]):
                        return event
            except (ApiError, OSError):
                pass
            time.sleep(0.3)
        pytest.fail(f"no such event within {seconds} s; events:\n" + self.story(workload))

    def story(self, workload):
        try:
            return "\n".join(json.dumps(e["details"]) for e in self.events(workload))
        except (ApiError, OSError) as problem:
            return str(problem)

    def delete(self, workload):
        if workload in self.alive:
            self.alive.remove(workload)
        try:
            self.post("delete", workload)
        except ApiError as problem:
            if problem.status != 404:
                raise

    def coffer(self, *args, ok=True, stdin=None, timeout=400):
        """The command line tool as somebody on the internet."""
        done = subprocess.run([str(ROOT / "dev"), "coffer", *args], cwd=ROOT, timeout=timeout,
                              input=stdin, capture_output=True, text=not isinstance(stdin, bytes),
                              check=False)
        if ok and done.returncode:
            pytest.fail(f"coffer {' '.join(args)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def https(self, workload, path="/"):
        """One request through the host's ingress, with the ACME authority's root."""
        host = workload["hostId"]
        address = {"host-1": "127.0.0.11", "host-2": "127.0.0.12"}[host]
        return subprocess.run(
            ["curl", "-sS", "--max-time", "20", "--cacert", str(DEV / "pebble-root.pem"),
             "--resolve", f"{workload['domain']}:443:{address}",
             f"https://{workload['domain']}{path}"],
            capture_output=True, text=True, check=True).stdout

    # -- as an operator ------------------------------------------------------------------------

    def container(self, service):
        name = os.environ.get("COMPOSE_PROJECT_NAME", "coffer")
        out = subprocess.run(
            ["docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={name}",
             "--filter", f"label=com.docker.compose.service={service}"],
            capture_output=True, text=True, check=True).stdout.split()
        assert len(out) == 1, f"one container of {service}, found {out}"
        return out[0]

    def run_in(self, service, *command, check=True, text=True, stdin=None):
        return subprocess.run(["docker", "exec", "-i", self.container(service), *command],
                              capture_output=True, text=text, check=check, input=stdin)

    def domains(self, host):
        out = self.run_in(host, "virsh", "-q", "list", "--name").stdout
        return [line.strip() for line in out.splitlines() if line.strip()]

    def kill(self, service):
        """kill -9 of the program itself; whatever supervises it starts it again."""
        program = {"scheduler": "coffer-scheduler", "api-gateway": "coffer-api-gateway",
                   "host-1": "coffer-host-agent", "host-2": "coffer-host-agent",
                   "nats": "nats-server", "redis": "redis-server"}[service]
        self.run_in(service, "pkill", "-9", "-f", program, check=False)

    def host_of(self, workload):
        host = self.get(workload).get("hostId")
        assert host, "the workload has no host yet"
        return host

    # -- as a plain NATS client ----------------------------------------------------------------

    def _tap(self, creds, url, *args, stdin=None):
        project = os.environ.get("COMPOSE_PROJECT_NAME", "coffer")
        return subprocess.run(
            ["docker", "run", "--rm", "-i", "--network", project + "_control",
             "-v", f"{ROOT}/build/trixie/bin:/opt/coffer/bin:ro",
             *(["-v", f"{creds}:/creds:ro"] if creds else []), "coffer-control",
             "/opt/coffer/bin/coffer-e2e-tap", url, "/creds" if creds else "none", *args],
            capture_output=True, input=stdin, check=False)

    def tap(self, subject, quiet_seconds):
        """Every message of the stream, decoded as the NATS CLI's translator would: subject on the
        command line, body on stdin."""
        done = self._tap(DEV / "fleet" / "nats" / "ops.creds", f"nats://{NET}.0.4:4222", "read",
                         subject, str(quiet_seconds * 1000))
        assert done.returncode == 0, done.stderr.decode()
        events = []
        for line in done.stdout.decode().splitlines():
            name, body = line.split("\t")
            events.append(self.decode(name, bytes.fromhex(body)))
        return events

    def decode(self, subject, body):
        """As the NATS CLI's translator does; where the program runs does not matter."""
        return json.loads(self.run_in("api-gateway", "/opt/coffer/bin/coffer", "bus", "decode",
                                      "--subject", subject, text=False, stdin=body).stdout)

    def tap_publish(self, creds, url, subject, body):
        done = self._tap(creds, url, "publish", subject, stdin=body)
        done.stderr = done.stderr.decode()
        return done

    def publish_as_agent(self, host, subject, body):
        """With the credentials of a host's agent, straight at the hub."""
        return self.tap_publish(DEV / "fleet" / "hosts" / host / "host-agent.creds",
                                f"nats://{NET}.0.4:4222", subject, body)

    @contextlib.contextmanager
    def thief_leaf(self, host):
        """A NATS server of a thief who has all of a host's files: it asks nobody for credentials
        and links to the hub with the host's own. Yields its address."""
        project = os.environ.get("COMPOSE_PROJECT_NAME", "coffer")
        config = (f'port: 4333\nleafnodes {{ remotes: [{{ url: "nats-leaf://{NET}.0.4:7422", '
                  f'credentials: "/creds" }}] }}\n')
        name = f"{project}-thief"
        subprocess.run(["docker", "rm", "-f", name], capture_output=True, check=False)
        subprocess.run(
            ["docker", "run", "-d", "--name", name, "--network", project + "_control",
             "--ip", f"{NET}.0.66", "-v",
             f"{DEV}/fleet/hosts/{host}/leaf.creds:/creds:ro", "coffer-thirdparty", "sh", "-c",
             f"printf '%s' '{config}' > /tmp/leaf.conf; exec nats-server -c /tmp/leaf.conf"],
            capture_output=True, check=True)
        try:
            deadline = time.monotonic() + 20
            while "Leafnode connection created" not in self.container_log(name):
                assert time.monotonic() < deadline, self.container_log(name)
                time.sleep(0.3)
            yield f"nats://{NET}.0.66:4333"
        finally:
            subprocess.run(["docker", "rm", "-f", name], capture_output=True, check=False)

    @staticmethod
    def container_log(name):
        done = subprocess.run(["docker", "logs", name], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def verify_options(self, trust_root=True):
        """What a relying party of the dev cluster is given. The CLI runs beside the sources."""
        fleet = DEV / "fleet"
        facts = json.loads((fleet / "fleet.json").read_text())
        version = self.call("GET", "/api/v1/fleet")["images"][0]
        options = ["--ca", str(DEV / "pebble-root.pem"), "--release-key",
                   facts["image_release_public"], "--image",
                   str(ROOT / "build" / "image" / version / "image.json")]
        return options + (["--trust-root", str(fleet / "tee-root")] if trust_root else [])

    def logs(self, service):
        done = subprocess.run(["docker", "logs", self.container(service)], capture_output=True,
                              text=True, check=True)
        return done.stdout + done.stderr


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failing test shows what the machines say, before its workloads are deleted."""
    report = (yield).get_result()
    cluster = item.funcargs.get("cluster")
    if report.failed and cluster:
        try:
            report.sections += evidence.gather(cluster)
        except (OSError, AssertionError, subprocess.SubprocessError) as problem:
            report.sections.append(("no logs of the machines", str(problem)))


@pytest.fixture(scope="session")
def cluster():
    made = Cluster()
    # Left by a run that was killed, it would change other tests' disks.
    for host in ("host-1", "host-2"):
        made.run_in(host, "rm", "-f", "/etc/libvirt/hooks/qemu")
    return made


@pytest.fixture
def workload(cluster):
    """Makes workloads and deletes them at the end of the test."""
    made = []

    def make(*args, **changes):
        answer = cluster.create(*args, **changes)
        made.append(answer["workloadId"])
        return answer

    yield make
    for one in made:
        cluster.delete(one)


CANARY = "canary-" + uuid.uuid4().hex


@pytest.fixture(scope="session")
def hello(cluster, request):
    """One running workload that tests only look at; its secret value is CANARY."""
    made = cluster.create(HELLO_WITH_PROBE, name="hello", envVars={"GREETING": CANARY})
    # not a finally: when it does not come up, the report still finds its VM
    request.addfinalizer(lambda: cluster.delete(made["workloadId"]))
    return cluster.wait_status(made["workloadId"], ["running"])
