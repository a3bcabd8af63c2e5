"""What a failing test shows of the machines: the ends of logs. None of them holds a secret."""

import subprocess

END = 4000  # bytes of each file
LINES = 60  # of each host's log, which is its agent's, libvirtd's, haproxy's and the leaf's

# The VM's console, and QEMU's own words (its command line comes first, and is long).
FILES = """
for file in /var/lib/coffer/host-agent/vms/$1/console.log.1 \\
    /var/lib/coffer/host-agent/vms/$1/console.log /var/log/libvirt/qemu/coffer-$1.log; do
    [ ! -s "$file" ] || { echo "-- $file"; tail -c "$2" "$file"; echo; }
done
"""


def of_vm(cluster, host, workload):
    done = cluster.run_in(host, "sh", "-c", FILES, "sh", workload, str(END), check=False,
                          text=False)
    return done.stdout.decode(errors="replace")


def of_host(cluster, host):
    done = subprocess.run(["docker", "logs", "--tail", str(LINES), cluster.container(host)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.stdout.decode(errors="replace")


def gather(cluster):
    """Sections of a report: title and text."""
    sections = []
    for workload in cluster.alive:
        sections.append((f"events of {workload}", cluster.story(workload)))
        for host in ("host-1", "host-2"):
            text = of_vm(cluster, host, workload)
            if text:
                sections.append((f"VM {workload} on {host}", text))
    if cluster.alive:
        sections += [(f"log of {host}", of_host(cluster, host)) for host in ("host-1", "host-2")]
    return sections
