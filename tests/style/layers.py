#!/usr/bin/env python3
"""Includes go one way only. usage: layers.py [ROOT]"""

import re
import sys

import source_tree

# Folder -> layer. A file includes its own layer and lower ones; the longest matching folder counts.
LAYERS = {
    'runtime/base': 0,
    'runtime/core': 1,
    'runtime': 2,
    'sync': 3,
    'io': 3,
    '': 4,  # the umbrella header
    'examples': 5,
    'tests': 5,
    'bench': 5,
}

# Neither may include the other, though they share a layer.
SIBLINGS = [('sync', 'io'), ('examples', 'tests'), ('examples', 'bench'), ('bench', 'tests')]

# File -> folders and files it is confined to, where that is less than its layer allows.
CONFINED = {
    'runtime/awaitable.hpp': ('runtime/base/',),
    'runtime/driver.hpp': ('runtime/base/', 'runtime/core/'),
    'runtime/base/config.hpp': (),
    'runtime/base/assert.hpp': ('runtime/base/config.hpp',),
    'runtime/base/atomic.hpp': ('runtime/base/config.hpp',),
    'runtime/base/tsan.hpp': ('runtime/base/config.hpp',),
}

# Folder -> standard headers its files do without, and why.
BANNED_STANDARD = {
    'runtime/base': ({'thread', 'coroutine'}, 'the base knows neither threads nor coroutines'),
    'runtime/core': ({'thread', 'coroutine'}, 'the core knows neither threads nor coroutines'),
}

# What costs too much in a header, or leaks the system into one.
BANNED_IN_HEADERS = {
    'functional': 'use function_ref or a template',
    'memory': 'hide the owner behind a .cpp',
    'thread': 'belongs in a .cpp',
    'mutex': 'use detail::mutex from runtime/base/mutex.hpp',
    'condition_variable': 'belongs in a .cpp',
    'stop_token': 'use runtime/core/stop_token.hpp',
    'iostream': 'belongs in a .cpp',
}

# Files that see liburing; every .cpp of io may as well.
SEES_LIBURING = ('io/ring.hpp',)
PRIVATE = ('io/direct_call.hpp', 'io/epoll_driver.hpp', 'io/ring.hpp', 'io/uring_abi.hpp',
           'io/uring_driver.hpp', 'io/uring_options.hpp', 'io/wait_errors.hpp',
           'sync/select_start.hpp')
# Reached from no public header: what a program includes that brings its own pool, or a test.
NOT_IN_UMBRELLA = ('runtime/std_stop.hpp', 'runtime/test_runtime.hpp', 'runtime/thread_driver.hpp',
                   'runtime/virtual_time.hpp')

# Header -> the one heavy standard header that it is about.
ABOUT_STANDARD_HEADER = {'runtime/std_stop.hpp': 'stop_token'}

# Header of the runtime -> system headers it may show, and why.
SYSTEM_IN_HEADER = {
    'runtime/base/mutex.hpp': (
        {'pthread.h'}, 'wraps the mutex, so that <mutex> stays out of the public headers'),
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]*)>|"([^"\n]*)")', re.MULTILINE)


def folder_of(path):
    folder = path.rpartition('/')[0]
    while folder not in LAYERS:
        folder = folder.rpartition('/')[0]
    return folder


def includes_of(source):
    for match in INCLUDE.finditer(source.text):
        yield source.line_of(match.start()), match.group(1), match.group(2)


def check_ours(source, line, target, files, report):
    if target not in files:
        report.add(source.path, line, f'<weft/{target}> does not exist')
        return
    own, other = folder_of(source.path), folder_of(target)
    if LAYERS[other] > LAYERS[own]:
        report.add(source.path, line,
                   f'{own or "weft.hpp"} lies below {other or "weft.hpp"}: <weft/{target}>')
    top, other_top = own.partition('/')[0], other.partition('/')[0]
    if (top, other_top) in SIBLINGS or (other_top, top) in SIBLINGS:
        report.add(source.path, line,
                   f'{top} and {other_top} never include each other: <weft/{target}>')
    allowed = CONFINED.get(source.path)
    if allowed is not None and not target.startswith(allowed or ('//',)):
        report.add(source.path, line,
                   f'may include only {", ".join(allowed) or "the standard library"}')
    if top == 'examples' and (target in PRIVATE or target.startswith('runtime/core/')):
        report.add(source.path, line,
                   f'an example includes public headers only: <weft/{target}>')


def check_foreign(source, line, target, report):
    own = folder_of(source.path)
    top = own.partition('/')[0]
    in_library_header = top in source_tree.LIBRARY and source.path.endswith('.hpp')
    if target == 'liburing.h' and top not in ('tests', 'bench'):
        if source.path not in SEES_LIBURING and (top != 'io' or in_library_header):
            report.add(source.path, line, '<liburing.h> is for io/*.cpp and io/ring.hpp')
    if (in_library_header and source.path not in PRIVATE and target in BANNED_IN_HEADERS and
            ABOUT_STANDARD_HEADER.get(source.path) != target):
        report.add(source.path, line,
                   f'no <{target}> in a header: {BANNED_IN_HEADERS[target]}')
    if top == 'runtime' and in_library_header and '.' in target:
        if target not in SYSTEM_IN_HEADER.get(source.path, ((), ''))[0]:
            report.add(source.path, line,
                       f'system header <{target}> in the runtime: only in a .cpp')
    banned, reason = BANNED_STANDARD.get(own, ((), ''))
    if target in banned:
        report.add(source.path, line, f'no <{target}>: {reason}')


def check_first(source, files, report):
    """A .cpp of the library includes its own header first, and so does the test of a header."""
    stem = source.path[:-len('.cpp')]
    if source.path.startswith('tests/'):
        stem = re.sub(r'(_cancel)?_test$', '', stem[len('tests/'):])
    subject = stem + '.hpp'
    if not source.path.endswith('.cpp') or subject not in files:
        return
    first = next(includes_of(source), (1, None, None))
    if first[1] != f'weft/{subject}':
        report.add(source.path, first[0], f'the first include is <weft/{subject}>')


def check_cycles(graph, report):
    done, active = set(), []

    def visit(path):
        if path in active:
            ring = active[active.index(path):] + [path]
            report.add(path, graph[path][ring[1]], 'include cycle: ' + ' -> '.join(ring))
            return
        if path in done:
            return
        active.append(path)
        for target in graph.get(path, ()):
            visit(target)
        done.add(active.pop())

    for path in sorted(graph):
        visit(path)


def check_umbrella(graph, report):
    """Whoever includes <weft/weft.hpp> has every public header."""
    if source_tree.UMBRELLA not in graph:
        return
    reached, waiting = set(), [source_tree.UMBRELLA]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting.extend(graph.get(path, ()))
    for path in sorted(graph.keys() - reached):
        if path.endswith('.hpp') and path.rpartition('/')[0] in source_tree.LIBRARY and \
                path not in PRIVATE + NOT_IN_UMBRELLA:
            report.add(path, 1, 'public, but <weft/weft.hpp> does not include it')


def check(root):
    report = source_tree.Report()
    all_sources = source_tree.sources(root)
    files = {source.path for source in all_sources}
    graph = {}
    for source in all_sources:
        graph[source.path] = {}
        for line, system, quoted in includes_of(source):
            if quoted is not None:
                report.add(source.path, line, f'write #include <weft/...>, not "{quoted}"')
            elif system.startswith('weft/'):
                target = system[len('weft/'):]
                check_ours(source, line, target, files, report)
                if target in files:
                    graph[source.path][target] = line
            else:
                check_foreign(source, line, system, report)
        check_first(source, files, report)
    check_cycles(graph, report)
    check_umbrella(graph, report)
    return report


if __name__ == '__main__':
    sys.exit(check(source_tree.root_argument()).finish())
