#!/usr/bin/env python3
"""What came out of a test run. usage: tally.py LOG

LOG is Meson's, one JSON object a line. Prints the failed tests with the heads of the first reports
in what they printed, and its end, and closes with how many passed, failed and were skipped.
"""

import json
import os
import re
import sys

report = re.compile(r'\b(WARNING|ERROR|FAILED): |: runtime error: |^weft: ')
head, heads, end = 40, 3, 20


def show(lines):
    shown, starts = set(range(len(lines) - end, len(lines))), []
    for i, line in enumerate(lines):
        if len(starts) < heads and report.search(line) and (not starts or i >= starts[-1] + head):
            starts.append(i)
            shown.update(range(i, i + head))
    before = None
    for i in sorted(shown & set(range(len(lines)))):
        if before is not None and i != before + 1:
            print('    ...')
        print(f'    {lines[i][:200]}')
        before = i


passed = failed = skipped = 0
lines = open(sys.argv[1], encoding='utf-8') if os.path.exists(sys.argv[1]) else []
for line in lines:
    test = json.loads(line)
    result = test['result']
    if result in ('OK', 'EXPECTEDFAIL'):
        passed += 1
    elif result == 'SKIP':
        skipped += 1
    else:
        failed += 1
        print(f"failed: {test['name']} ({result})")
        show((test.get('stdout', '') + test.get('stderr', '')).splitlines())
if skipped:
    print(f'{skipped} skipped')
print(f'{passed} passed, {failed} failed')
