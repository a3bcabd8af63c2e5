"""What a failing test shows of the machines: the ends of logs. None of them holds a secret."""

import subprocess

HOSTS = ("host-1", "host-2")
END = 4000  # bytes of each file
LINES = 60  # of each host's log: its agent's, libvirtd's and the leaf's

# The VM's console, and QEMU's own words without its command line.
FILES = """
for file in /var/lib/coffer/host-agent/vms/$1/console.log.1 \\
    /var/lib/coffer/host-agent/vms/$1/console.log /var/log/libvirt/qemu/coffer-$1.log; do
    [ ! -s "$file" ] || { echo "-- $file"; grep -av ' \\\\$' "$file" | tail -c "$2"; }
done
"""


def of_vm(cluster, host, workload):
    done = cluster.run_in(host, "sh", "-c", FILES, "sh", workload, str(END), check=False,
                          text=False)
    return done.stdout.decode(errors="replace")


def of_host(cluster, host):
    done = subprocess.run(["docker", "logs", "--tail", str(10 * LINES), cluster.container(host)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    lines = done.stdout.decode(errors="replace").splitlines()
    return "\n".join([line for line in lines if not line.startswith("[")][-LINES:])  # [haproxy]


def gather(cluster):
    """Sections of a report: title and text. What was shown before is not shown again: one VM that
    does not come up fails every test that looks at it."""
    sections = []
    for workload in cluster.alive:
        sections.append((f"events of {workload}", cluster.story(workload)))
        sections += [(f"VM {workload} on {host}", of_vm(cluster, host, workload)) for host in HOSTS]
    if cluster.alive:
        sections += [(f"log of {host}", of_host(cluster, host)) for host in HOSTS]
    fresh = [(title, text) for title, text in sections if text and text not in cluster.shown]
    cluster.shown.update(text for _, text in fresh)
    return fresh
