"""The tours of docs/api.md and docs/cli.md: what the pages show is what comes out.

A page is run by tests/docs/tour in one bash: that of the API on this machine, that of the command
line in a container of the world network, as somebody on the internet has it. Each makes an account
of its own, so neither sees what other tests do.
"""
import json
import os
import shutil
import subprocess
import uuid

import pytest

from conftest import API, DEV, NET, ROOT

PROJECT = os.environ.get("COMPOSE_PROJECT_NAME", "coffer")
HOOKS = "hooks.coffer.test"
TOUR = [str(ROOT / "tests" / "docs" / "tour"), "--timeout", "420"]


@pytest.fixture(scope="module")
def hook_url():
    """Takes whatever is posted to it, where the gateway can reach it."""
    name = f"{PROJECT}-tour-hooks"
    remove = ["docker", "rm", "-f", name]
    subprocess.run(remove, capture_output=True, check=False)
    subprocess.run(
        ["docker", "run", "-d", "--rm", "--name", name, "--label", f"coffer.cli={PROJECT}",
         "--network", PROJECT + "_world", "--network-alias", HOOKS,
         "-v", f"{ROOT}/tests/e2e/receiver.py:/receiver.py:ro",
         "coffer-build", "python3", "/receiver.py", "8000"], capture_output=True, check=True)
    yield f"http://{HOOKS}:8000/coffer"
    subprocess.run(remove, capture_output=True, check=False)


@pytest.fixture
def folder(cluster):
    """Where a tour begins, with the files that its page says one has. The Docker engine sees it."""
    made = DEV / "tours" / uuid.uuid4().hex[:8]
    made.mkdir(parents=True, mode=0o700)
    shutil.copy(DEV / "cli" / ".config" / "coffer" / "admin-key", made / "admin-key")
    (made / "admin-key").chmod(0o600)
    (made / "registry-password").write_text(cluster.registry_password + "\n")
    yield made
    delete_what_is_left(cluster, made)
    shutil.rmtree(made, ignore_errors=True)


def delete_what_is_left(cluster, made):
    """Of the tour's own account, as its owner; a tour that comes to its end leaves nothing."""
    key = made / "owner-key"
    if not key.exists():
        return
    own, cluster.key = cluster.key, key.read_text().strip()
    try:
        for workload in cluster.call("GET", "/api/v1/workloads/list"):
            cluster.delete(workload["workloadId"])
    finally:
        cluster.key = own


def tour(page, folder, env, shell=()):
    done = subprocess.run([*TOUR, str(ROOT / "docs" / page), *shell], cwd=folder,
                          env={**os.environ, **env}, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    if done.returncode:
        pytest.fail(f"what {page} shows is not what comes out: its output follows", pytrace=False)


def test_the_api_does_what_its_page_says(hook_url, folder):
    tour("api.md", folder, {"COFFER_API_URL": API, "HOOK_URL": hook_url})


def container(folder, env):
    """bash in a container like that of ./dev coffer, with the folder as its home."""
    return ["docker", "run", "--rm", "-i", "--init", "--label", f"coffer.cli={PROJECT}",
            "--network", PROJECT + "_world", "--dns", f"{NET}.1.53",
            "-v", f"{folder}:{folder}", "-w", str(folder),
            "-v", f"{ROOT}/build/trixie/bin:/opt/coffer/bin:ro",
            "-v", f"{ROOT}/build/image:/images:ro", "-v", f"{DEV}/fleet/trust:/trust:ro",
            "-v", f"{DEV}/pebble-root.pem:/ca.pem:ro",
            *(part for name, value in env.items() for part in ("-e", f"{name}={value}")),
            "coffer-control", "bash"]


def test_the_command_line_does_what_its_page_says(hook_url, folder):
    facts = json.loads((DEV / "fleet" / "fleet.json").read_text())
    env = {"HOME": str(folder), "PATH": "/opt/coffer/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8",
           "GATEWAY": "http://api-gateway:8080", "HOOK_URL": hook_url, "IMAGES": "/images",
           "TRUST_ROOT": "/trust", "CA": "/ca.pem", "RELEASE_KEY": facts["image_release_public"]}
    tour("cli.md", folder, {}, container(folder, env))
