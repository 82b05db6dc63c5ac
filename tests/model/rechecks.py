#!/usr/bin/env python3
"""Drops checks that the protocols make a second time, one at a time; a model has to notice each.

usage: rechecks.py ROOT COMPILER...

Each change is made in a copy of the sources; what depends on it is compiled anew and linked with
the model that should fail. WEFT_MODEL_ONLY=<text> selects the changes whose file has it.
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

CHECKER = ('choices', 'fiber', 'machine', 'memory', 'mutation', 'stepper', 'watch', 'pthread')
REPLACED = ('assert.cpp', 'asymmetric_fence.cpp', 'frame_pool.cpp')
FLAGS = ('-std=c++20', '-O1', '-DWEFT_ASSERTS=0', '-include', 'weft/tests/model/atomic.hpp')
WATCHED = ('-fsanitize=thread', '-mllvm', '-tsan-instrument-func-entry-exit=0',
           '-mllvm', '-tsan-instrument-atomics=0')

STOP_CAME = 'a stop that came before the wait'

# What is dropped, file, text, what stands there instead, model.
CHANGES = (
    ('the thief that wins the last item', 'runtime/core/work_deque.hpp',
     't == b && top_.compare_exchange_strong(t, t + 1, seq_cst, relaxed)', 't == b',
     'work_deque'),
    ('room in the ring', 'runtime/core/ready_queue.hpp',
     't - head_.load(acquire) == Capacity', 'false && head_.load(acquire) == t', 'ready_queue'),
    ('a stop before the registration', 'runtime/core/stop_token.cpp',
     'if ((word_.load(relaxed) & requested_bit) != 0) {\n        return false;',
     'if (false) {\n        return false;', 'stop_token'),
    ('another request under way', 'runtime/core/stop_token.cpp',
     'if ((word_.load(relaxed) & requested_bit) != 0) {\n        unlock();',
     'if (false) {\n        unlock();', 'stop_token'),
    ('a callback that runs during its deregistration', 'runtime/core/stop_token.cpp',
     'while (firing_ != nullptr &&', 'while (false && firing_ != nullptr &&', 'stop_token'),
    ('oneself in the callback that runs', 'runtime/core/stop_token.cpp',
     ' && firing_->thread != this_thread_mark()', '', 'stop_token'),
    ('a parent that stopped before the link', 'runtime/core/stop_token.cpp',
     'if (!added) {', 'if (false) {', 'stop_token'),
    ('a link by somebody else', 'runtime/core/stop_token.cpp',
     'if ((state->word_.fetch_or(linked_bit, acq_rel) & linked_bit) != 0) {',
     'if ((state->word_.fetch_or(linked_bit, acq_rel) & 0) != 0) {', 'stop_token'),
    ('the other side of a record', 'runtime/core/join_cell.hpp',
     'return (before & (child_bit | handle_bit)) == share;', 'return share == handle_bit;',
     'join_handle'),
    ('a child that ends during the wait for it', 'runtime/core/join_cell.hpp',
     'if (expected == ended) {\n            return wait_status::ended;',
     'if (false) {\n            return wait_status::ended;', 'join_handle'),
    ('a stop state that is closed', 'runtime/core/join_cell.hpp',
     'if ((before & closed_bit) != 0) {', 'if (false) {', 'join_handle'),
    ('work that appears before the sleep', 'runtime/worker.cpp',
     'if (work || !scheduler_->injected_.looks_empty()) {', 'if (false) {', 'park'),
    ('stealable work that appears before the sleep', 'runtime/worker.cpp',
     'if (work || !scheduler_->injected_.looks_empty()) {',
     'if (!scheduler_->injected_.looks_empty()) {', 'park'),
    ('injected work that appears before the sleep', 'runtime/worker.cpp',
     'if (work || !scheduler_->injected_.looks_empty()) {', 'if (work) {', 'park'),
    ('a single coroutine before the sleep', 'runtime/worker.cpp',
     'rose_for_one_ = others == supply::one && !watches && !idle.is_watched();',
     'rose_for_one_ = false;', 'park'),
    ('a wake-up before the block', 'runtime/worker.cpp',
     'if (parker_.compare_exchange_strong(expected, parker_state::parked, relaxed, relaxed)) {',
     'if (parker_.compare_exchange_strong(expected, parker_state::parked, relaxed, relaxed) ||\n'
     '        true) {', 'park'),
    ('more work than the last searcher found', 'runtime/worker.cpp',
     'if (!scheduler_->idle_.end_search()) {', 'if (!scheduler_->idle_.end_search() || true) {',
     'park'),
    ('threads on their way out of a pool', 'runtime/scheduler.cpp',
     'while (visitors_.load(acquire) != 0) {', 'while (visitors_.load(acquire) > 9) {', 'park'),
    ('a single coroutine from time to time in a nap', 'runtime/worker.cpp',
     'deadline = std::min(deadline, driver_->now() + nap_);', '', 'nap'),
    ('single coroutines that came during the watch', 'runtime/worker.cpp',
     'if (watches && !searching_) {', 'if (false) {', 'nap'),
    ('a coroutine left behind', 'runtime/worker.cpp',
     'if (victim != index_ && other.is_left_behind()) {', 'if (false) {', 'nap'),
    ('a posted request that still travels', 'runtime/pinned_operation.cpp',
     'if (!posted_ || arrived_) [[likely]] {', 'if (true) {', 'pinned'),
    ('the end of an operation before its request', 'runtime/pinned_operation.cpp',
     'if (self.settled_) {', 'if (false) {', 'pinned'),
    ('a posted request that still travels to a shield', 'runtime/shielded.cpp',
     'if (posted_ && !arrived_) {', 'if (false) {', 'shielded'),
    ('the end of a shielded body before the request', 'runtime/shielded.cpp',
     'if (self.child_ended_) {', 'if (false) {', 'shielded'),
    (STOP_CAME + ' for a thread', 'runtime/blocking.cpp',
     'if (enrolled && stage_ == stage::idle) {', 'if (enrolled) {', 'shielded'),
    ('a visit that has begun', 'runtime/blocking.cpp',
     'if (self.stage_ != stage::queued) {', 'if (self.stage_ == stage::idle) {', 'shielded'),
    ('an outcome before the taker waits', 'runtime/completed_queue.cpp',
     'if (queue_->first_ != nullptr) {\n        return entry::ready;',
     'if (false) {\n        return entry::ready;', 'completed'),
    (STOP_CAME + ' for an outcome', 'runtime/completed_queue.cpp',
     'if (stopped_) {', 'if (false) {', 'completed'),
    ('a taker that somebody else has', 'runtime/completed_queue.cpp',
     'if (self.queue_->taker_ != &self) {', 'if (self.queue_->taker_ == nullptr && false) {',
     'completed'),
    ('the end of the group before a child', 'runtime/task_group.cpp',
     'while (pending != 0) {', 'while (true) {', 'group'),
    ('the period of grace at the end', 'runtime/task_group.cpp',
     'return !period->is_last();', 'return !period->is_last() && false;', 'group'),
    ('an earlier period of grace', 'runtime/task_group.cpp',
     'if (!grace_.compare_exchange_strong(none, period, release, relaxed)) {',
     'if (!grace_.compare_exchange_strong(none, period, release, relaxed) && false) {', 'group'),
    (STOP_CAME + ' for a slot', 'runtime/spawn_gate.cpp', 'if (!is_stopped_) {', 'if (true) {',
     'group'),
    ('requests on their way through the group', 'runtime/remote_nursery.cpp',
     'while (requesters_ != 0) {', 'while (false) {', 'group'),
    (STOP_CAME + ' for a permit', 'runtime/resilience/permit_queue.cpp',
     'if (stop_came_) {', 'if (false) {', 'flight'),
    ('a permit before the queue', 'runtime/resilience/permit_queue.cpp',
     '} else if (counters.taken < queue.permits_) {', '} else if (counters.taken == 99) {',
     'flight'),
    ('a landing before the wait', 'runtime/resilience/flight.cpp',
     'if (target.done_) {\n            return false;', 'if (false) {\n            return false;',
     'flight'),
    (STOP_CAME + ' for a landing', 'runtime/resilience/flight.cpp',
     'if (!may_go_on || stop_came_) {', 'if (!may_go_on) {', 'flight'),
    (STOP_CAME + ' for a lock', 'sync/wait_list.cpp',
     'stopped = stage_ == stage::stopped;', 'stopped = false;', 'mutex'),
    ('a grant before the stop', 'sync/wait_list.cpp',
     'if (self.stage_ != stage::listed) {', 'if (false) {', 'mutex'),
    ('a callback that runs while its waiter is woken', 'sync/wait_list.cpp',
     'each->withdraw();  // keeps I4', '', 'event'),
    ('a waiter that came during the unlock', 'sync/mutex.cpp',
     'if (word_.compare_exchange_strong(expected, unlocked, release, relaxed)) {',
     'if (word_.exchange(unlocked, release) != expected || true) {', 'mutex'),
    (STOP_CAME + ' in a channel', 'sync/channel_core.cpp',
     'if (stop_arrived_) {', 'if (false) {', 'channel'),
    ('a value that came before the wait in a channel', 'sync/channel_core.cpp',
     'if (attempt_(*this, woken)) {', 'if (false) {', 'channel'),
    ('the completion before the stop in a channel', 'sync/channel_core.cpp',
     'if (!self.is_linked()) {', 'if (false) {', 'channel'),
)


class Workshop:
    """A copy of the sources, and what was compiled of it."""

    def __init__(self, root, folder, compiler):
        self.tree = pathlib.Path(folder)
        self.compiler = compiler
        for name in ('runtime', 'sync', 'io', 'tests/model', 'tests/support'):
            shutil.copytree(root / name, self.tree / 'weft' / name)
        listed = set()
        for name in ('runtime', 'sync'):
            text = (root / name / 'meson.build').read_text()
            listed |= {f'weft/{name}/{each}' for each in re.findall(r"'([\w/]+\.cpp)'", text)}
        self.library = sorted(each for each in listed
                              if not each.endswith(REPLACED) and (self.tree / each).exists())
        meson = (root / 'tests/model/meson.build').read_text()
        self.with_crew = set(self.names(meson, 'coroutine_models'))
        self.not_with_crew = self.names(meson, 'pool_sources')

    @staticmethod
    def names(meson, variable):
        text = re.search(rf'^{variable} = \[(.*?)\]', meson, re.DOTALL | re.MULTILINE)[1]
        return tuple(re.findall(r"'([\w.]+)'", text))

    def sources(self, model):
        """(source, whether the library's plain data is watched in it)"""
        crew = model in self.with_crew
        yield f'weft/tests/model/{model}_model.cpp', False
        yield 'weft/tests/support/main.cpp', False
        for name in CHECKER + (('coroutines',) if crew else ()):
            yield f'weft/tests/model/{name}.cpp', False
        yield 'weft/tests/model/heap_frames.cpp', False
        for each in self.library:
            if not crew and each.startswith('weft/runtime/'):
                yield each, False
            elif crew and not each.endswith(self.not_with_crew):
                yield each, True
        if crew:
            yield 'weft/io/op.cpp', True
            yield 'weft/io/socket_state.cpp', True

    def compiled(self, source, watched, crew):
        """The object of a source; compiled anew if anything that it includes has changed."""
        made = self.tree / 'objects' / ('crew' if crew else 'pool') / (source.replace('/', '-'))
        made, listed = made.with_suffix('.o'), made.with_suffix('.d')
        if made.exists():
            names = listed.read_text().replace('\\\n', ' ').partition(':')[2].split()
            if all((self.tree / name).stat().st_mtime_ns <= made.stat().st_mtime_ns
                   for name in names if not name.startswith('/')):
                return made
            made.unlink()
        made.parent.mkdir(parents=True, exist_ok=True)
        stand_in = ('-Iweft/tests/model/stand_in',) if crew else ()
        is_clang = any('clang' in word for word in self.compiler)
        watch = WATCHED if watched and is_clang else ()
        command = [*self.compiler, *FLAGS, *stand_in, '-I.', *watch,
                   '-MMD', '-MF', listed, '-c', source, '-o', made]
        ended = subprocess.run(command, cwd=self.tree, stderr=subprocess.PIPE, text=True,
                               check=False)
        if ended.returncode != 0:
            print(ended.stderr[:2000], flush=True)
            return None
        return made

    def build(self, model):
        """The program, or None."""
        crew = model in self.with_crew
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda each: self.compiled(*each, crew), self.sources(model)))
        program = self.tree / 'program'
        if None in objects or subprocess.run(
                [*self.compiler, *objects, '-o', program, '-ldl', '-lpthread'],
                cwd=self.tree, check=False).returncode != 0:
            return None
        return program

    def outcome(self, model, **environment):
        """'dies', as it should, 'survives' or 'does not compile'."""
        program = self.build(model)
        if program is None:
            return 'does not compile'
        try:
            ended = subprocess.run([program], timeout=300, check=False,
                                   env=os.environ | {'WEFT_MODEL_QUIET': '1'} | environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return 'dies'
        return 'survives' if ended.returncode == 0 else 'dies'


def main():
    root, compiler = pathlib.Path(sys.argv[1]), sys.argv[2:]
    wanted = [each for each in CHANGES if os.environ.get('WEFT_MODEL_ONLY', '') in each[1]]
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(root, folder, compiler)
        for model in sorted({each[-1] for each in wanted}):
            plain = workshop.outcome(model, WEFT_MODEL_SECONDS='1', WEFT_MODEL_RANDOM='100')
            if plain != 'survives':
                sys.exit(f'{model} without a change: {plain}')
        for what, path, text, instead, model in wanted:
            target = workshop.tree / 'weft' / path
            original = target.read_text()
            if original.count(text) != 1:
                result = 'is not there'
            else:
                target.write_text(original.replace(text, instead))
                result = workshop.outcome(model)
                target.write_text(original)
            failures += result != 'dies'
            print(f'{result:8} without looking for {what} ({path}, model {model})', flush=True)
    print(f'{len(wanted) - failures} of {len(wanted)} die')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
