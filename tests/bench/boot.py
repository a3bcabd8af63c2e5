#!/usr/bin/python3
"""Figures of one deploy on the running dev cluster, printed for people and never asserted.

    ./dev bench        one deploy of the hello example, its stages, and what idles in memory
"""

import pathlib
import statistics
import sys
from datetime import datetime

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from conftest import Cluster  # noqa: E402

PROGRAMS = (("scheduler", "coffer-scheduler"), ("api-gateway", "coffer-api-gateway"),
            ("host-1", "coffer-host-agent"))


def at(event):
    return datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00")).timestamp()


def deploy(cluster):
    made = cluster.create(name="bench")
    try:
        cluster.wait_status(made["workloadId"], ["running"])
        return cluster.events(made["workloadId"])
    finally:
        cluster.delete(made["workloadId"])


def first(events, kind):
    return next(e for e in events if e["details"]["kind"] == kind)


def print_stages(events):
    begin = at(first(events, "starting"))
    for event in events:
        details = event["details"]
        if details["kind"] == "stage":
            print(f"  {details.get('stage', ''):14} {details.get('durationMs', 0) / 1000:7.2f} s"
                  f"   at {at(event) - begin:7.2f} s")


def main():
    cluster = Cluster()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    totals = []
    for _ in range(rounds):
        events = sorted(deploy(cluster), key=at)
        totals.append(at(first(events, "running")) - at(first(events, "starting")))
        print_stages(events)
        print(f"VM start to running: {totals[-1]:.1f} s (budget 60 s on 2 cores, emulated)")
    if rounds > 1:
        print(f"of {rounds}: min {min(totals):.1f}, median {statistics.median(totals):.1f}, "
              f"max {max(totals):.1f} s")
    for service, program in PROGRAMS:
        print(f"  {program:20} {cluster.resident_kib(service, program) / 1024:6.1f} MiB resident "
              "(budget 20)")


if __name__ == "__main__":
    main()
