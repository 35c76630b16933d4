"""What a bench prints: the figures of those who compete, and how ocm stands to each goal.

Not here: how figures are taken (`lab`).
"""

import os
import platform

from lab import MIB


def title(text):
    print(f"\n{text}", flush=True)


def contest(text, figures, note=None):
    """The figures of one contest; `note` says more of a contestant, by its name."""
    print(f"  {text:<34}{'wall':>10}{'CPU':>11}{'memory':>12}{'on disk':>11}   ocm takes")
    ocm = figures.get("ocm")
    for name, taken in figures.items():
        ratio = f"{ocm.wall / taken.wall:.2f} of its time" if ocm and name != "ocm" else ""
        more = f"  {note[name]}" if note and name in note else ""
        print(f"    {name:<32}{taken.as_text()} {taken.durable:8.2f} s   {ratio}{more}", flush=True)


def rate(text, rates):
    """MB/s of each; the first is that of ocm."""
    ours = next(iter(rates.values()))
    print(f"  {text}")
    for number, (name, (byte_count, figures)) in enumerate(rates.items()):
        per_second = byte_count / figures.wall / 1e6
        mine = rates[next(iter(rates))]
        ratio = "" if number == 0 else f"ocm: {(mine[0] / ours[1].wall) / (byte_count / figures.wall):.2f} of its rate"
        print(f"    {name:<32}{per_second:8.0f} MB/s{figures.cpu:9.2f} s CPU{figures.memory / MIB:7.0f} MiB   {ratio}", flush=True)


class Goals:
    """What was aimed at, and what came of it."""

    def __init__(self):
        self.lines = []

    def at_most(self, what, value, limit, unit=""):
        self._add(what, value, limit, unit, "<=", value <= limit)

    def at_least(self, what, value, limit, unit=""):
        self._add(what, value, limit, unit, ">=", value >= limit)

    def _add(self, what, value, limit, unit, sign, met):
        self.lines.append(f"  {what:<58}{value:9.4g}{unit}   goal {sign} {limit:g}{unit}   {'met' if met else 'MISSED'}")

    def show(self):
        title("Goals")
        print("\n".join(self.lines))


def machine():
    """The machine in a few words, without names."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} CPUs ({platform.machine()}), {memory:.0f} GiB of memory, load {load:.1f} at the start"
