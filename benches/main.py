"""Runs the bench: all areas, or those named. See `tools/bench`."""

import argparse
import pathlib
import tempfile

import archive
import between_registries
import configured
import delta
import images
import mounted
import replay
import served
import table
import to_archive
import to_registry
from lab import MIB, Lab

AREAS = ("to_archive", "to_registry", "between_registries", "configured", "archive", "replay", "delta", "mount", "serve")


def arguments():
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--ocm", required=True, help="the program that is measured")
    parser.add_argument("--reader", required=True, help="the program that reads an archive by the library")
    parser.add_argument("--huge", required=True, help="the program that makes an archive of a terabyte of holes")
    parser.add_argument("--images", help="an OCI layout of images with tags; without one, some are made")
    parser.add_argument("--next", help="an OCI layout of the next generation of the same images")
    parser.add_argument("--runs", type=int, default=5, help="how often everything is run, after once unmeasured")
    parser.add_argument("areas", nargs="*", choices=[*AREAS, []], help="what is measured; all, if nothing is named")
    return parser.parse_args()


def measure_delta(lab, layout, following, goals):
    if following is None:
        print("\nA delta: skipped, NEXT names no layout of the next generation")
    else:
        delta.measure(lab, layout, images.Layout.open(pathlib.Path(following).absolute()), goals)


def main():
    asked = arguments()
    with tempfile.TemporaryDirectory(prefix="ocm-bench-") as folder:
        lab = Lab(folder, pathlib.Path(asked.ocm).absolute(), asked.runs)
        print(f"machine: {table.machine()}; medians of {asked.runs} runs after one unmeasured, all in turns")
        layout = images.Layout.open(pathlib.Path(asked.images).absolute()) if asked.images else images.make_some(lab.fresh("images"))
        unique, counted = sum(layout.blobs().values()), layout.counted_by_image()
        kind = "given" if asked.images else "made on the spot"
        print(f"images: {len(layout.images)}, {kind}, {unique / 1e6:.0f} MB of blobs, {counted / 1e6:.0f} MB counted image by image")
        goals = table.Goals()
        measures = {
            "to_archive": lambda: to_archive.measure(lab, layout, goals),
            "to_registry": lambda: to_registry.measure(lab, layout, goals),
            "between_registries": lambda: between_registries.measure(lab, layout, goals),
            "configured": lambda: configured.measure(lab, layout, goals),
            "archive": lambda: archive.measure(lab, layout, asked.reader, goals),
            "replay": lambda: replay.measure(lab, layout, goals),
            "delta": lambda: measure_delta(lab, layout, asked.next, goals),
            "mount": lambda: mounted.measure(lab, layout, asked.huge, goals),
            "serve": lambda: served.measure(lab, layout, goals),
        }
        for area in asked.areas or AREAS:
            measures[area]()
        goals.show()


main()
