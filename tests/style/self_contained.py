#!/usr/bin/env python3
"""Every header compiles on its own, and twice in a row.
usage: self_contained.py ROOT COMPILER...

A header compiles on its own if it compiles with nothing in front of it. So the compiler runs over
those headers only that no other file includes before everything else: the sources of the library,
which the build compiles, prove their own headers, each header proves the one that it includes
first, and so on down the chain. What is included a second time is empty: each header begins with
#pragma once.
"""

import re
import sys

import headers
import source_tree

WARNINGS = ('-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Werror')
DIRECTIVE = re.compile(r'^[ \t]*#[ \t]*(\w+)[ \t]*(.*?)[ \t]*$', re.MULTILINE)
OURS = re.compile(r'<weft/([^>]+)>')


def first_include(source):
    """The header of ours that the file includes before everything else, or None."""
    for match in DIRECTIVE.finditer(source.code):
        if match.group(1) == 'pragma':
            continue
        # The code has blanked what stands between quotation marks, and brackets are none.
        ours = OURS.fullmatch(match.group(2))
        return ours.group(1) if match.group(1) == 'include' and ours else None
    return None


def to_compile(root):
    """The headers that nobody includes first."""
    sources = source_tree.sources(root, source_tree.LIBRARY)
    in_front = {first_include(source) for source in sources}
    return [path for path in headers.headers(root) if path not in in_front]


def once(header):
    return f'#include <weft/{header}>\n'


def judge(report, header, result):
    if result.returncode != 0:
        report.add(header, 1, 'does not compile on its own:\n' + result.stderr)


def check(root, compiler):
    arguments = ['-fsyntax-only', *WARNINGS]
    report = headers.for_each(root, to_compile(root), compiler, arguments, once, judge)
    for source in source_tree.sources(root, source_tree.LIBRARY):
        opening = DIRECTIVE.search(source.code)
        if source.path.endswith('.hpp') and (opening is None or
                                             opening.group(1, 2) != ('pragma', 'once')):
            report.add(source.path, 1, 'does not begin with #pragma once')
    return report


if __name__ == '__main__':
    sys.exit(check(source_tree.root_argument(), sys.argv[2:] or ['c++']).finish())
