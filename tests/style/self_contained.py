#!/usr/bin/env python3
"""Every header compiles on its own, and twice in a row.
usage: self_contained.py ROOT COMPILER..."""

import sys

import headers
import source_tree

WARNINGS = ('-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Werror')


def twice(header):
    return f'#include <weft/{header}>\n' * 2


def judge(report, header, result):
    if result.returncode != 0:
        report.add(header, 1, 'does not compile on its own, twice:\n' + result.stderr)


def check(root, compiler):
    arguments = ['-fsyntax-only', *WARNINGS]
    return headers.for_each(root, headers.headers(root), compiler, arguments, twice, judge)


if __name__ == '__main__':
    sys.exit(check(source_tree.root_argument(), sys.argv[2:] or ['c++']).finish())
