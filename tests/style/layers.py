#!/usr/bin/env python3
"""Includes go one way only. usage: layers.py [ROOT]"""

import re
import sys

import source_tree

# The rooms, lowest first. A file includes its own room and those before it; the longest matching
# folder counts, so that a room's detail/ belongs to it.
ROOMS = (
    'runtime/base',
    'runtime/core',
    'runtime/values',
    'runtime/stop',
    'runtime/coro',
    'runtime/sched',
    'runtime/wait',
    'runtime/task',
    'runtime/time',
    'runtime/scope',
    'runtime/join',
    'runtime/ranges',
    'runtime/pool',
    'runtime/fiber',
    'runtime/testing',
    'runtime/resilience',
    'sync/wait',
    'sync/locks',
    'sync/channels',
    'sync',
    'io/sys',
    'io/base',
    'io/ring',
    'io/op',
    'io/driver',
    'io/net',
    'io',
    '',  # the umbrella header
    'examples',
    'bench',
    'tests',
)

# Neither may include the other, whichever comes first.
SIBLINGS = (
    ('runtime/scope', 'runtime/join'),
    ('sync/locks', 'sync/channels'),
    ('sync', 'io'),
    ('examples', 'tests'),
    ('examples', 'bench'),
    ('bench', 'tests'),
)

# Rooms whose headers are all private. In the others those in detail/ are.
PRIVATE_ROOMS = ('runtime/base', 'runtime/core', 'runtime/coro', 'runtime/sched',
                 'runtime/wait', 'sync/wait',
                 'io/sys', 'io/ring', 'io/op', 'io/driver')

# File -> folders and files it is confined to, where that is less than its layer allows.
CONFINED = {
    'runtime/coro/awaitable.hpp': ('runtime/base/',),
    'runtime/sched/driver.hpp': ('runtime/base/', 'runtime/core/'),
    'runtime/base/config.hpp': (),
    'runtime/base/assert.hpp': ('runtime/base/config.hpp',),
    'runtime/base/atomic.hpp': ('runtime/base/config.hpp',),
    'runtime/base/tsan.hpp': ('runtime/base/config.hpp',),
}

# Folder -> standard headers its files do without, and why.
BANNED_STANDARD = {
    'runtime/base': ({'thread', 'coroutine'}, 'the base knows neither threads nor coroutines'),
    'runtime/core': ({'thread', 'coroutine'}, 'the core knows neither threads nor coroutines'),
    'runtime/values': ({'thread', 'coroutine'}, 'values know neither threads nor coroutines'),
}

# What costs too much in a header, or leaks the system into one.
BANNED_IN_HEADERS = {
    'functional': 'use function_ref or a template',
    'memory': 'hide the owner behind a .cpp',
    'thread': 'belongs in a .cpp',
    'mutex': 'use detail::mutex from runtime/base/mutex.hpp',
    'condition_variable': 'belongs in a .cpp',
    'stop_token': 'use runtime/stop/stop_token.hpp',
    'iostream': 'belongs in a .cpp',
}

# Files that see liburing; every .cpp of io may as well.
SEES_LIBURING = ('io/ring/ring.hpp', 'io/ring/ring_entry.hpp', 'io/sys/sys.hpp')
# Private headers that are not even installed.
NOT_INSTALLED = ('io/driver/epoll_driver.hpp', 'io/driver/uring_driver.hpp',
                 'io/driver/wait_errors.hpp', 'io/net/detail/stream_end.hpp', 'io/ring/ring.hpp',
                 'io/ring/ring_entry.hpp', 'io/ring/uring_abi.hpp', 'io/ring/uring_options.hpp',
                 'io/sys/sys.hpp', 'runtime/base/sys.hpp', 'sync/wait/select_start.hpp')
# Public, and in no other public header: what a program includes that brings its own pool, or a
# test.
NOT_IN_UMBRELLA = ('runtime/stop/std_stop.hpp', 'runtime/testing/test_runtime.hpp',
                   'runtime/pool/thread_driver.hpp', 'runtime/testing/virtual_time.hpp')

# Header -> the one heavy standard header that it is about.
ABOUT_STANDARD_HEADER = {'runtime/stop/std_stop.hpp': 'stop_token'}

# Header of the runtime -> system headers it may show, and why.
SYSTEM_IN_HEADER = {
    'runtime/base/mutex.hpp': (
        {'pthread.h'}, 'wraps the mutex, so that <mutex> stays out of the public headers'),
    'runtime/base/sys.hpp': (
        {'fcntl.h', 'sys/random.h', 'sys/types.h', 'unistd.h'}, 'makes the system calls'),
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]*)>|"([^"\n]*)")', re.MULTILINE)


def room_of(path):
    folder = path.rpartition('/')[0]
    while folder not in ROOMS and folder:
        folder = folder.rpartition('/')[0]
    return folder


def is_public(path):
    """Users may include the header."""
    return room_of(path) not in PRIVATE_ROOMS and '/detail/' not in path


def lies_in(room, folder):
    return room == folder or room.startswith(folder + '/')


def are_siblings(one, other):
    return any(lies_in(one, left) and lies_in(other, right) or
               lies_in(one, right) and lies_in(other, left) for left, right in SIBLINGS)


def includes_of(source):
    for match in INCLUDE.finditer(source.text):
        yield source.line_of(match.start()), match.group(1), match.group(2)


def check_ours(source, line, target, files, report):
    if target not in files:
        report.add(source.path, line, f'<weft/{target}> does not exist')
        return
    own, other = room_of(source.path), room_of(target)
    if ROOMS.index(other) > ROOMS.index(own):
        report.add(source.path, line,
                   f'{own or "weft.hpp"} lies below {other or "weft.hpp"}: <weft/{target}>')
    if are_siblings(own, other):
        report.add(source.path, line,
                   f'{own} and {other} never include each other: <weft/{target}>')
    allowed = CONFINED.get(source.path)
    if allowed is not None and not target.startswith(allowed or ('//',)):
        report.add(source.path, line,
                   f'may include only {", ".join(allowed) or "the standard library"}')
    if own in ('', 'examples') and target.endswith('.hpp') and not is_public(target):
        report.add(source.path, line,
                   f'{own or "weft.hpp"} includes public headers only: <weft/{target}>')


def check_foreign(source, line, target, report):
    own = room_of(source.path)
    top = own.partition('/')[0]
    in_library_header = top in source_tree.LIBRARY and source.path.endswith('.hpp')
    if target == 'liburing.h' and top not in ('tests', 'bench'):
        if source.path not in SEES_LIBURING and (top != 'io' or in_library_header):
            report.add(source.path, line, '<liburing.h> is for io/*.cpp, io/ring/ and io/sys/')
    if (in_library_header and source.path not in NOT_INSTALLED and target in BANNED_IN_HEADERS and
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
    folder, _, name = stem.rpartition('/')
    subject = next((path for path in (f'{stem}.hpp', f'{folder}/detail/{name}.hpp')
                    if path in files), None)
    if not source.path.endswith('.cpp') or subject is None:
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
        if path.endswith('.hpp') and path.partition('/')[0] in source_tree.LIBRARY and \
                is_public(path) and path not in NOT_IN_UMBRELLA:
            report.add(path, 1, 'public, but <weft/weft.hpp> does not include it')


def check(root):
    report = source_tree.Report()
    all_sources = source_tree.sources(root)
    files = {source.path for source in all_sources}
    graph = {}
    for source in all_sources:
        graph[source.path] = {}
        if source.path.partition('/')[0] in source_tree.LIBRARY and room_of(source.path) == '':
            report.add(source.path, 1, 'lies in no room')
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
