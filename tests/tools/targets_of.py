#!/usr/bin/env python3
"""What tests are made of: one Ninja target a line. usage: targets_of.py BUILD

Standard input lists the tests, as `meson test --list` prints them.
"""

import json
import pathlib
import sys

build = pathlib.Path(sys.argv[1]).resolve()
wanted = {line.strip().rpartition(" / ")[2] for line in sys.stdin}
tests, targets = (json.loads((build / "meson-info" / f"intro-{each}.json").read_text())
                  for each in ("tests", "targets"))
needed = {each for test in tests if test["name"] in wanted for each in test["depends"]}
for target in targets:
    if target["id"] in needed:
        print(*(pathlib.Path(each).relative_to(build) for each in target["filename"]), sep="\n")
