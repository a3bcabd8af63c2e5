"""A host that changes the config disk between the launch and the guest's first look at it.

libvirt itself runs the tampering, as a hook that an operator of the host could install; nothing in
our programs helps.
"""

import contextlib

import pytest

HOOK = """#!/bin/sh
# {0} prepare begin: the disks exist and QEMU has not opened them.
[ "$2" = prepare ] || exit 0
disk=/var/lib/coffer/host-agent/vms/${{1#coffer-}}/config.img
sed -i 's/{1}/{2}/' "$disk"
"""

# What is changed on the disk (same length), and the check that must refuse it.
TAMPERING = {
    "compose file": ("environment:", "environmenT:", "config_hash_mismatch"),
    "manifest": ('"image_version":"0', '"image_version":"9', "host_data_mismatch"),
}


def see_hooks(cluster, host):
    """libvirtd looks for hooks when it starts (told to reload, 11.3 hangs); VMs go on meanwhile."""
    cluster.run_in(host, "sv", "-w", "30", "restart", "/opt/coffer/host/service/libvirtd")


@contextlib.contextmanager
def hook(cluster, old, new):
    script = HOOK.format("domain", old, new)
    for host in ("host-1", "host-2"):
        cluster.run_in(host, "sh", "-c", "mkdir -p /etc/libvirt/hooks; cat > /etc/libvirt/hooks/qemu; "
                       "chmod 755 /etc/libvirt/hooks/qemu", stdin=script)
        see_hooks(cluster, host)
    try:
        yield
    finally:
        for host in ("host-1", "host-2"):
            cluster.run_in(host, "rm", "-f", "/etc/libvirt/hooks/qemu")
            see_hooks(cluster, host)


@pytest.mark.parametrize("what", TAMPERING)
def test_guest_refuses_a_changed_config_disk(cluster, workload, what):
    old, new, code = TAMPERING[what]
    with hook(cluster, old, new):
        made = workload(name="tampered")
        # A VM that dies of something else is started again by itself, and must refuse then.
        event = cluster.wait_event(
            made["workloadId"],
            lambda d: d["kind"] == "error" and d["code"] != "vm_failed", seconds=400)
    assert event["details"]["code"] == code, cluster.story(made["workloadId"])

    # No secret left the scheduler for it.
    stages = [e["details"].get("stage") for e in cluster.events(made["workloadId"])]
    assert "verified" not in stages
    released = [line for line in cluster.logs("scheduler").splitlines()
                if "secrets released" in line and made["workloadId"] in line]
    assert released == []
