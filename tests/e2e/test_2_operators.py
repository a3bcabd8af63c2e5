"""What an operator offers and who may use it: hosts, images, tiers, accounts, keys, the audit trail."""

import contextlib
import uuid

import pytest

from conftest import ApiError, DEV


@contextlib.contextmanager
def caller(cluster, key):
    """The same cluster, called with another key."""
    own, cluster.key = cluster.key, key
    try:
        yield
    finally:
        cluster.key = own


@pytest.fixture
def admin(cluster):
    return (DEV / "cli" / ".config" / "coffer" / "admin-key").read_text().strip()


def refused(cluster, method, path, body=None):
    with pytest.raises(ApiError) as problem:
        cluster.call(method, path, body)
    return problem.value.status, problem.value.body["kind"]


def test_hosts_are_shown_without_a_token_and_stay_while_they_speak(cluster, admin):
    with caller(cluster, admin):
        hosts = cluster.call("GET", "/api/v1/metal-instances/list")
        assert sorted(host["metalInstanceId"] for host in hosts) == ["host-1", "host-2"]
        assert not any("token" in name.lower() for host in hosts for name in host)
        status, _ = refused(cluster, "POST", "/api/v1/metal-instances/delete", {"metalInstanceId": "host-1"})
        assert status == 412
    assert refused(cluster, "GET", "/api/v1/metal-instances/list") == (401, "ACCESS_DENIED")


def test_a_disabled_image_takes_no_new_workloads(cluster, admin):
    version = cluster.image_version()
    body = cluster.create_body()
    with caller(cluster, admin):
        cluster.call("POST", "/api/v1/artifacts/disable", {"version": version})
    try:
        assert refused(cluster, "POST", "/api/v1/workloads/create", body) == \
            (400, "ARTIFACT_VERSION_DOES_NOT_EXIST")
    finally:
        with caller(cluster, admin):
            assert cluster.call("POST", "/api/v1/artifacts/enable", {"version": version})["version"] == version
    assert version in [a["version"] for a in cluster.call("GET", "/api/v1/artifacts/list")]
    with caller(cluster, admin):
        trail = cluster.call("GET", "/api/v1/audit?limit=2")["entries"]
    assert [(entry["action"], entry["object"]) for entry in trail] == \
        [("artifacts/enable", version), ("artifacts/disable", version)]


def test_where_there_are_tiers_a_workload_has_the_size_of_one(cluster, admin):
    tier = {"name": "other", "cpus": 3, "gpus": 0, "memoryMb": 2048, "diskGb": 7, "cost": 0.25}
    with caller(cluster, admin):
        made = cluster.call("POST", "/api/v1/workload-tiers/create", tier)
    try:
        assert {**tier, "tierId": made["tierId"]} in cluster.call("GET", "/api/v1/workload-tiers/list")
        assert refused(cluster, "POST", "/api/v1/workloads/create", cluster.create_body()) == \
            (400, "INVALID_WORKLOAD_TIER")
    finally:
        with caller(cluster, admin):
            cluster.call("POST", "/api/v1/workload-tiers/delete", {"tierId": made["tierId"]})


def test_a_new_account_sees_its_own_things_and_a_switched_off_key_nothing(cluster, admin):
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    with caller(cluster, admin):
        account = cluster.call("POST", "/api/v1/accounts/create", {"name": name, "balance": 1.5})
        key = cluster.call("POST", "/api/v1/api-keys/create",
                           {"accountId": account["accountId"], "type": "account-admin"})
    ours = cluster.call("GET", "/api/v1/workloads/list")
    with caller(cluster, key["id"]):
        assert cluster.call("GET", "/api/v1/workloads/list") == []
        assert cluster.call("GET", "/api/v1/accounts/me")["balance"] == 1.5
        assert refused(cluster, "POST", "/api/v1/accounts/add-balance",
                       {"accountId": account["accountId"], "balance": 100}) == (401, "ACCESS_DENIED")
        for workload in ours[:1]:
            assert refused(cluster, "GET", f"/api/v1/workloads/{workload['workloadId']}")[0] == 404
        listed = cluster.call("GET", f"/api/v1/api-keys/account/{account['accountId']}")
        assert key["id"] not in str(listed)
    with caller(cluster, admin):
        cluster.call("PUT", "/api/v1/api-keys/update", {"id": key["keyId"], "active": False})
    with caller(cluster, key["id"]):
        assert refused(cluster, "GET", "/api/v1/workloads/list") == (401, "UNAUTHORIZED")
