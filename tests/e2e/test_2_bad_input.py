"""Bad input: 400 with findings that name every problem, and nothing is created."""

import pytest

from conftest import ApiError, HELLO, REGISTRY

IMAGE = f"image: {REGISTRY}/hello:1"

BAD_COMPOSE = {
    "privileged": f"services:\n  web:\n    {IMAGE}\n    privileged: true\n",
    "host port 80": f"services:\n  web:\n    {IMAGE}\n    ports: ['80:8080']\n",
    "host port 443": f"services:\n  web:\n    {IMAGE}\n    ports: ['443:8080']\n",
    "unknown public service": f"services:\n  other:\n    {IMAGE}\n",
    "interpolated image": "services:\n  web:\n    image: ${X}\n",
    "broken YAML": "services:\n  web: [\n",
    "aliases": "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8))
        + "z: [" + ",".join(["*i"] * 400000) + "]\n",
}


@pytest.mark.parametrize("name", BAD_COMPOSE)
def test_compose_is_refused_with_findings(cluster, name):
    body = cluster.create_body(BAD_COMPOSE[name])
    with pytest.raises(ApiError) as refused:
        cluster.call("POST", "/api/v1/workloads/create", body)
    assert refused.value.status == 400
    findings = refused.value.body["findings"]
    assert findings and all(f["what"] for f in findings)
    assert {"ts", "error", "kind"} <= set(refused.value.body)
    with pytest.raises(ApiError) as missing:
        cluster.get(body["workloadId"])
    assert missing.value.status == 404


def test_every_problem_is_named_not_only_the_first(cluster):
    compose = f"services:\n  web:\n    {IMAGE}\n    privileged: true\n    network_mode: host\n"
    body = cluster.create_body(compose, cpus=0, publicContainerPort=70000)
    with pytest.raises(ApiError) as refused:
        cluster.call("POST", "/api/v1/workloads/create", body)
    text = str(refused.value.body["findings"])
    for word in ("privileged", "network_mode", "cpus", "publicContainerPort"):
        assert word in text


def test_a_workload_that_fits_nowhere_is_refused_with_a_reason_per_dimension(cluster):
    with pytest.raises(ApiError) as refused:
        cluster.create(memory=4 * 2**20, cpus=60)
    assert refused.value.status == 503
    assert "memory" in refused.value.body["error"] and "cpu" in refused.value.body["error"].lower()


def test_a_wrong_key_is_refused(cluster):
    good, cluster.key = cluster.key, "wrong"
    try:
        with pytest.raises(ApiError) as refused:
            cluster.call("GET", "/api/v1/workloads/list")
    finally:
        cluster.key = good
    assert refused.value.status == 401


def test_hello_itself_is_accepted_by_the_linter(cluster):
    """The table above fails for its reason, not because everything is refused."""
    with pytest.raises(ApiError) as refused:
        cluster.create(HELLO, memory=4 * 2**20)
    assert refused.value.status == 503
