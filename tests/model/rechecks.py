#!/usr/bin/env python3
"""Drops checks that the protocols make a second time, and makes faults of other kinds: a wake-up
less, or something told before it is there. One at a time; a model has to notice each.

usage: rechecks.py ROOT COMPILER...

Each change is made in a copy of the sources; what depends on it is compiled anew and linked with
the model that should fail. WEFT_MODEL_ONLY=<pattern> selects the changes in whose file,
model or description it is found.
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
# Models of what is in headers, or a source of its own.
ALONE = ('frame_pool', 'ready_queue', 'remote_queue', 'work_deque')
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
    ('a stop before the registration', 'runtime/stop/stop_token.cpp',
     'if ((word_.load(relaxed) & requested_bit) != 0) {\n        return false;',
     'if (false) {\n        return false;', 'stop_token'),
    ('another request under way', 'runtime/stop/stop_token.cpp',
     'if ((word_.load(relaxed) & requested_bit) != 0) {\n        unlock();',
     'if (false) {\n        unlock();', 'stop_token'),
    ('a callback that runs during its deregistration', 'runtime/stop/stop_token.cpp',
     'while (is_running(node)) {', 'while (false) {', 'stop_token'),
    ('oneself in the callback that runs', 'runtime/stop/stop_token.cpp',
     'callback->node == &node && callback->thread != this_thread_mark();',
     'callback->node == &node;', 'stop_token'),
    ('a parent that stopped before the link', 'runtime/stop/stop_token.cpp',
     'if (!added) {', 'if (false) {', 'stop_token'),
    ('a link by somebody else', 'runtime/stop/stop_token.cpp',
     'if ((state->word_.fetch_or(linked_bit, acq_rel) & linked_bit) != 0) {',
     'if ((state->word_.fetch_or(linked_bit, acq_rel) & 0) != 0) {', 'stop_token'),
    ('the other side of a record', 'runtime/core/handle_cell.hpp',
     'return (before & (child_bit | handle_bit)) == share;', 'return share == handle_bit;',
     'join_handle'),
    ('a child that ends during the wait for it', 'runtime/core/handle_cell.hpp',
     'if (expected == ended) {\n            return wait_status::ended;',
     'if (false) {\n            return wait_status::ended;', 'join_handle'),
    ('a stop state that is closed', 'runtime/core/handle_cell.hpp',
     'if ((before & closed_bit) != 0) {', 'if (false) {', 'join_handle'),
    ('work that appears before the sleep', 'runtime/sched/worker.cpp',
     'if (work || !scheduler_->injected_.looks_empty()) {', 'if (false) {', 'park'),
    ('stealable work that appears before the sleep', 'runtime/sched/worker.cpp',
     'if (work || !scheduler_->injected_.looks_empty()) {',
     'if (!scheduler_->injected_.looks_empty()) {', 'park'),
    ('injected work that appears before the sleep', 'runtime/sched/worker.cpp',
     'if (work || !scheduler_->injected_.looks_empty()) {', 'if (work) {', 'park'),
    ('a single coroutine before the sleep', 'runtime/sched/worker.cpp',
     'rose_for_one_ = others == supply::one && !watches && !idle.is_watched();',
     'rose_for_one_ = false;', 'park'),
    ('a wake-up before the block', 'runtime/sched/worker.cpp',
     'if (parker_.compare_exchange_strong(expected, parker_state::parked, relaxed, relaxed)) {',
     'if (parker_.compare_exchange_strong(expected, parker_state::parked, relaxed, relaxed) ||\n'
     '        true) {', 'park'),
    ('more work than the last searcher found', 'runtime/core/idle_set.hpp',
     'if (!end_search()) {', 'if (!end_search() || true) {', 'idle_set'),
    ('work that appears at the end of the last search', 'runtime/core/idle_set.hpp',
     'keeps I3: what was published while this worker searched woke nobody\n        return look();',
     '\n        return supply::none;', 'idle_set'),
    ('threads on their way out of a pool', 'runtime/sched/scheduler.cpp',
     'while (visitors_.load(acquire) != 0) {', 'while (visitors_.load(acquire) > 9) {', 'park'),
    ('a single coroutine from time to time in a nap', 'runtime/sched/worker.cpp',
     'deadline = std::min(deadline, driver_->now() + nap_);', '', 'nap'),
    ('single coroutines that came during the watch', 'runtime/sched/worker.cpp',
     'if (watches && !searching_) {', 'if (false) {', 'nap'),
    ('single items at the end of the watch', 'runtime/core/idle_set.hpp',
     'if (!wanted_for_one()) {', 'if (true) {', 'idle_set'),
    ('a coroutine left behind', 'runtime/sched/worker.cpp',
     'if (victim != index_ && other.is_left_behind()) {', 'if (false) {', 'nap'),
    ('a posted request that still travels', 'runtime/sched/pinned_operation.cpp',
     'if (!posted_ || arrived_) [[likely]] {', 'if (true) {', 'pinned'),
    ('the end of an operation before its request', 'runtime/sched/pinned_operation.cpp',
     'if (self.is_complete_) {', 'if (false) {', 'pinned'),
    ('a posted request that still travels to a shield', 'runtime/scope/shielded.cpp',
     'if (posted_ && !arrived_) {', 'if (false) {', 'shielded'),
    ('the end of a shielded body before the request', 'runtime/scope/shielded.cpp',
     'if (self.child_ended_) {', 'if (false) {', 'shielded'),
    (STOP_CAME + ' for a thread', 'runtime/pool/blocking.cpp',
     'if (enrolled && stage_ == stage::idle) {', 'if (enrolled) {', 'shielded'),
    ('a visit that has begun', 'runtime/pool/blocking.cpp',
     'if (self.stage_ != stage::queued) {', 'if (self.stage_ == stage::idle) {', 'shielded'),
    ('an outcome before the taker waits', 'runtime/join/detail/completed_queue.cpp',
     'if (queue.has_outcome()) {', 'if (false) {', 'completed'),
    ('the end of the group before a child', 'runtime/scope/detail/task_group.cpp',
     'while (pending != 0) {', 'while (true) {', 'group'),
    ('the period of grace at the end', 'runtime/scope/detail/task_group.cpp',
     'return !period->is_last();', 'return !period->is_last() && false;', 'group'),
    ('an earlier period of grace', 'runtime/scope/detail/task_group.cpp',
     'if (!grace_.compare_exchange_strong(none, period, release, relaxed)) {',
     'if (!grace_.compare_exchange_strong(none, period, release, relaxed) && false) {', 'group'),
    ('requests on their way through the group', 'runtime/scope/remote_nursery.cpp',
     'while (requesters_ != 0) {', 'while (false) {', 'group'),
    ('a permit before the queue', 'runtime/resilience/detail/permit_queue.cpp',
     'if (counters.taken < queue.permits_) {', 'if (counters.taken == 99) {', 'flight'),
    ('a landing before the wait', 'runtime/resilience/detail/flight.cpp',
     'if (target.done_) {\n            return false;', 'if (false) {\n            return false;',
     'flight'),
    (STOP_CAME + ' for a landing', 'runtime/resilience/detail/flight.cpp',
     'if (!may_go_on || stop_came_) {', 'if (!may_go_on) {', 'flight'),
    (STOP_CAME + ' for a lock', 'runtime/wait/wait_list.cpp',
     'stopped = stage_ == stage::stopped;', 'stopped = false;', 'mutex'),
    ('a grant before the stop', 'runtime/wait/wait_list.cpp',
     'if (self.stage_ != stage::listed) {', 'if (false) {', 'mutex'),
    ('a callback that runs while its waiter is woken', 'runtime/wait/wait_list.cpp',
     'each->withdraw();  // keeps I4', '', 'event'),
    ('a waiter that came during the unlock', 'sync/locks/mutex.cpp',
     'if (word_.compare_exchange_strong(expected, unlocked, release, relaxed)) {',
     'if (word_.exchange(unlocked, release) != expected || true) {', 'mutex'),
    (STOP_CAME + ' in a channel', 'sync/wait/channel_core.cpp',
     'if (stop_arrived_) {', 'if (false) {', 'channel'),
    ('a value that came before the wait in a channel', 'sync/wait/channel_core.cpp',
     'if (attempt_(*this, woken)) {', 'if (false) {', 'channel'),
    ('the completion before the stop in a channel', 'sync/wait/channel_core.cpp',
     'if (!self.is_linked()) {', 'if (false) {', 'channel'),
)

# Faults that a hand might make: what, file, text, what stands there instead, model.
FAULTS = (
    ('a receiver is not woken by the close', 'sync/wait/channel_core.cpp',
     'close_list(receivers_, woken);  // keeps I1: nothing is buffered where they wait', '',
     'channel'),
    ('a woken waiter is looked at afterwards', 'sync/wait/channel_core.cpp',
     'channel_waiter& each = *std::exchange(first_, first_->next_woken_);\n        each.wake();',
     'channel_waiter& each = *first_;\n        each.wake();\n        first_ = each.next_woken_;',
     'channel'),
    ('a waiter joins the queue after the lock', 'sync/wait/channel_core.cpp',
     'enlist();\n    core_->lock_.unlock();  // the last access',
     'core_->lock_.unlock();\n    enlist();  // the last access', 'channel'),
    ('a sender that waits is not moved up into the free slot', 'sync/wait/channel_state.hpp',
     'if (!senders_.empty()) [[unlikely]] {\n                refill(woken);\n            }', '',
     'channel'),
    ('a receiver is completed before it has the value', 'sync/wait/channel_state.hpp',
     'roll_back_guard undo(*receiver);\n        value.give([receiver](auto&& each) {\n'
     '            receiver->value.emplace(static_cast<decltype(each)>(each));\n        });\n'
     '        undo.dismiss();\n        receiver->commit(hand_over::done, woken);',
     'receiver->commit(hand_over::done, woken);\n        woken.wake_all();\n'
     '        value.give([receiver](auto&& each) {\n'
     '            receiver->value.emplace(static_cast<decltype(each)>(each));\n        });',
     'channel'),
    ('a oneshot is dropped in silence', 'sync/channels/oneshot.hpp',
     'shared->channel.close();\n            detail::leave_side(*shared);',
     'detail::leave_side(*shared);', 'channel'),
    ('a select does not try again under the locks', 'sync/wait/select_site.cpp',
     'if (try_in_order(start, [&woken](select_place const& each) '
     '{ return each.attempt(woken); })) {',
     'if (false) {', 'select'),
    ('a select is enlisted after it is open to stops', 'sync/wait/select_site.cpp',
     'enlisted_ = true;  // keeps I5\n    if (!open()) {', 'if (!open()) {', 'select'),
    ('a select that is over stays in the other channels', 'sync/wait/select_site.cpp',
     '} else if (channel_->is_linked()) {\n        channel_->unlink();\n    }', '}', 'select'),
    ('the losers of a select are not stopped', 'sync/wait/select_site.cpp',
     'foreign_context_.own_stop.request_stop();  // keeps I4\n    if (leave(1)) {',
     'if (leave(1)) {', 'select'),
    ('a select looks for the winner in its queue', 'sync/wait/select_site.cpp',
     'continue;  // keeps I6', '', 'select'),
    ('a select waits for a loser behind it', 'sync/wait/select_site.cpp',
     'unlist();\n    foreign_context_.own_stop.request_stop();  // keeps I4\n    if (leave(1)) {',
     'foreign_context_.own_stop.request_stop();  // keeps I4\n    if (leave(1)) {',
     'select_primitives'),
    ('a select that a task decides waits for a loser behind it', 'sync/wait/select_site.cpp',
     'unlist();\n        foreign_context_.own_stop.request_stop();  // keeps I4\n'
     '        ++leaving;',
     'foreign_context_.own_stop.request_stop();  // keeps I4\n        ++leaving;',
     'select_primitives'),
    ('a select that has a branch at once stays in other queues', 'sync/wait/select_site.cpp',
     'take_back(i, others);', '', 'select_primitives'),
    ('a select that is stopped before it waits stays in its queues', 'sync/wait/select_site.cpp',
     'take_back(plan_.count, others);\n        return registration::stopped;',
     'return registration::stopped;', 'select_primitives'),
    ('a select that was passed by does not look again', 'sync/wait/select_site.cpp',
     'look_again();\n    }\n}', 'roll_back();\n    }\n}', 'select'),
    ('a select that looks again forgets where it stands', 'sync/wait/select_site.cpp',
     'take_back(plan_.count, others);\n        complete =', 'complete =', 'select'),
    ('the frame of a branch outlives the news of its end', 'sync/wait/select_branch.hpp',
     'self.coroutine_ = {};  // keeps select_site I4', '', 'select_primitives'),
    ('a select that is stopped is not woken', 'sync/wait/select_site.cpp',
     'self.winner_ = nobody;\n        self.wake();', 'self.winner_ = nobody;', 'select'),
    ('who leaves a queue passes nothing on', 'runtime/wait/wait_list.cpp',
     'self.rules_->leave(self, woken);', '', 'semaphore'),
    ('a locker does not mark the mutex', 'sync/locks/mutex.cpp',
     'word_.compare_exchange_weak(word, contended, relaxed, relaxed)) {', 'word == locked) {',
     'mutex'),
    ('permits that are left over vanish', 'sync/locks/semaphore.cpp',
     'count = free;  // keeps I3: to be published without lock_', 'count = 0;', 'semaphore'),
    ('a latch opens for those who wait, and nobody else', 'sync/locks/latch.cpp',
     'word_.exchange(0, acq_rel);', '', 'latch'),
    ('a signal wakes one of two', 'sync/locks/event.cpp', 'if (!to_all) {', 'if (true) {', 'event'),
    ('a phase begins when the last one has been let go', 'sync/locks/barrier.cpp',
     'missing_ = participants_;\n        woken.splice_back(released_);\n    }\n'
     '    wake_all(woken);  // keeps I3',
     'woken.splice_back(released_);\n    }\n    wake_all(woken);\n'
     '    wait_guard const guard(lock_);\n    missing_ = participants_;', 'barrier'),
    ('an item is pushed before it is there', 'runtime/core/work_deque.hpp',
     'slots_[b & mask_].store(item, relaxed);\n'
     '        // release: publish the slot and what the item refers to; '
     'pairs with steal():observe-bottom\n'
     '        bottom_.store(b + 1, release);',
     'bottom_.store(b + 1, release);\n        slots_[b & mask_].store(item, relaxed);',
     'work_deque'),
    ('a thief reads behind its claim', 'runtime/core/work_deque.hpp',
     '        return {steal_status::ok, item};',
     '        return {steal_status::ok, current->slot(t).load(relaxed)};', 'work_deque'),
    ('a grown buffer is told before it is filled', 'runtime/core/work_deque.hpp',
     'buffer::create(doubled, current);',
     'buffer::create(doubled, current);\n        buffer_.store(bigger, release);', 'work_deque'),
    ('a taker reads behind its claim', 'runtime/core/ready_queue.hpp',
     'if (head_.compare_exchange_weak(h, h + count, acq_rel, acquire)) {',
     'if (head_.compare_exchange_weak(h, h + count, acq_rel, acquire)) {\n'
     '                for (std::size_t i = 0; i < count; ++i) {\n'
     '                    items[i] = slots_[(h + i) % Capacity].load(relaxed);\n'
     '                }', 'ready_queue'),
    ('a pusher that lost keeps its old successor', 'runtime/core/remote_queue.hpp',
     'do {\n            node.*Next = head;', 'node.*Next = head;\n        do {', 'remote_queue'),
    ('a queue is taken in two steps', 'runtime/core/remote_queue.hpp',
     'head_.exchange(nullptr, acquire);',
     'head_.load(acquire);\n        head_.store(nullptr, relaxed);', 'remote_queue'),
    ('a stop is seen before its reason', 'runtime/stop/stop_token.cpp',
     'reason_.value = reason;', 'word_.fetch_or(requested_bit, release);\n'
     '    (void)word_.load(relaxed);\n    reason_.value = reason;', 'stop_token'),
    ('a callback leaves the list after the lock', 'runtime/stop/stop_token.cpp',
     'detach(node);\n'
     '        if (node.notice == &parent_link::is_link) {\n'
     '            state = &state->go_down(node, now);\n'
     '            continue;\n'
     '        }\n'
     '        now.node = &node;\n'
     '        state->unlock();\n',
     'if (node.notice == &parent_link::is_link) {\n'
     '            detach(node);\n'
     '            state = &state->go_down(node, now);\n'
     '            continue;\n'
     '        }\n'
     '        now.node = &node;\n'
     '        state->unlock();\n'
     '        detach(node);\n', 'stop_token'),
    ('the end does not wait for who requested it', 'runtime/stop/stop_token.cpp',
     'while (firing_.is_set()) {', 'while (false) {', 'stop_token'),
    ('a state ends while who requested its stop is not through', 'runtime/stop/stop_token.hpp',
     '(linked_bit | firing_bit)) != 0', 'linked_bit) != 0', 'stop_token'),
    ('nobody is told which callback runs', 'runtime/stop/stop_token.cpp',
     'now.node = &node;', '', 'stop_token'),
    ('a depot is filled without its lock', 'runtime/core/frame_pool.cpp',
     'std::scoped_lock const lock(shared.mutex);\n'
     '        free_list& target = shared.room_for(', 'free_list& target = shared.room_for(',
     'frame_pool'),
    ('work is announced before it is there', 'runtime/sched/scheduler.cpp',
     'injected_.push(promise);\n    fence_seq_cst();',
     'notify();\n    injected_.push(promise);\n    fence_seq_cst();\n'
     '    visitors_.fetch_sub(1, release);\n    return;', 'park'),
    ('a second wake-up leaves the first one as it is', 'runtime/sched/worker.cpp',
     'if (parker_.exchange(parker_state::notified, release) == parker_state::parked) {',
     'if (parker_.load(relaxed) == parker_state::notified) {\n        return;\n    }\n'
     '    if (parker_.exchange(parker_state::notified, release) == parker_state::parked) {',
     'park'),
    ('workers are woken before the end is announced', 'runtime/sched/scheduler.cpp',
     'stopping_.store(true, relaxed);\n    for (unsigned i = 0; i < worker_count_; ++i) {\n'
     '        slots_[i].runs->wake();\n    }',
     'for (unsigned i = 0; i < worker_count_; ++i) {\n        slots_[i].runs->wake();\n    }\n'
     '    stopping_.store(true, relaxed);', 'runtime'),
    ('a child is counted before its failure is noted', 'runtime/join/detail/fork_join.cpp',
     'if (ended != outcome::value) [[unlikely]] {\n        note_unhappy(ended);\n    } else if',
     'if (ended != outcome::value) [[unlikely]] {\n'
     '        bool const last = (state_.fetch_sub(1, acq_rel) & count_mask) == 1;\n'
     '        note_unhappy(ended);\n'
     '        return !last         ? std::noop_coroutine()\n'
     '               : passes_stop() ? pass_stop(*parent_)\n'
     '                               : parent_->handle();\n    } else if', 'join'),
    ('a child is counted while nobody else knows of it', 'runtime/join/detail/fork_join.hpp',
     'children.ended(index);\n        return true;',
     'children.ended(index);\n        children.join().state_.fetch_add(0, relaxed);\n'
     '        return true;', 'join'),
    ('a child of a join that fails stops nobody', 'runtime/join/detail/fork_join.cpp',
     'context_.value.own_stop.request_stop(failed ? stop_kind::sibling_failed\n'
     '                                                : stop_kind::requested);  // keeps I4', '',
     'join'),
    ('the losers of a race are not stopped', 'runtime/join/detail/start_all_join.cpp',
     'self.context_.own_stop.request_stop(reason);', '', 'when_any'),
    ('two errors are kept at the same time', 'runtime/join/detail/fork_join.cpp',
     'while ((before & error_lock_bit) != 0) {', 'while (false) {', 'join'),
    ('a child arrives before its frame is freed', 'runtime/scope/detail/task_group.cpp',
     'promise.handle().destroy();\n    if (error != nullptr) [[unlikely]] {\n'
     '        self.fail_plain(std::move(error));\n    }\n    return self.arrive();',
     'auto const next = self.arrive();\n    promise.handle().destroy();\n    return next;',
     'scope'),
    ('a child with a record that fails stops nobody', 'runtime/scope/detail/task_group.cpp',
     'record.dispose();\n    }\n    if (policy_ == on_error::stop_siblings) {',
     'record.dispose();\n    }\n    if (false) {', 'scope'),
    ('a child that fails stops nobody', 'runtime/scope/detail/task_group.cpp',
     'unlisted_error_ = std::move(error);\n    }\n'
     '    if (policy_ == on_error::stop_siblings) {',
     'unlisted_error_ = std::move(error);\n    }\n    if (false) {', 'scope'),
    ('an outcome is told before it is there', 'runtime/scope/detail/child_record.cpp',
     'outcome_ = how;\n        tell_waiter();', 'tell_waiter();\n        outcome_ = how;',
     'join_handle'),
    ('an operation ends while a stop may find it', 'runtime/sched/pinned_operation.cpp',
     'withdraw();\n    if (!posted_', 'if (!posted_', 'pinned'),
    ('a sleep that is stopped stays among the timers', 'runtime/time/sleep.cpp',
     'self.home().cancel_timer(self);', 'true;', 'pinned'),
)


class Workshop:
    """A copy of the sources, and what was compiled of it."""

    def __init__(self, root, folder, compiler):
        self.tree = pathlib.Path(folder)
        self.complaint = ''
        self.compiler = compiler
        for name in ('runtime', 'sync', 'io', 'tests/model', 'tests/support'):
            shutil.copytree(root / name, self.tree / 'weft' / name)
        meson = (root / 'tests/model/meson.build').read_text()
        common = self.names(meson, 'modelled_by_all = files')
        self.pool = common + self.names(meson, 'modelled_runtime = static_library')
        self.crew = common + self.names(meson, 'modelled_coroutines = static_library')
        sync = (root / 'sync/meson.build').read_text()
        self.crew += [f'sync/{each}' for each in re.findall(r"'([\w/]+\.cpp)'", sync)]
        text = re.search(r'^coroutine_models = \[(.*?)\]', meson, re.DOTALL | re.MULTILINE)[1]
        self.with_crew = set(re.findall(r"'(\w+)'", text))

    @staticmethod
    def names(meson, target):
        """The library's sources in a list of meson.build."""
        text = re.search(rf'^{re.escape(target)}\((.*?)^\)', meson, re.DOTALL | re.MULTILINE)[1]
        return re.findall(r"'\.\./\.\./([\w/]+\.cpp)'", text)

    def sources(self, model):
        """(source, whether the library's plain data is watched in it)"""
        crew = model in self.with_crew
        yield f'weft/tests/model/{model}_model.cpp', False
        yield 'weft/tests/support/main.cpp', False
        for name in CHECKER + (('coroutines',) if crew else ()):
            yield f'weft/tests/model/{name}.cpp', False
        if model == 'frame_pool':
            yield 'weft/runtime/core/frame_pool.cpp', False
        else:
            yield 'weft/tests/model/heap_frames.cpp', False
        library = self.crew if crew else [] if model in ALONE else self.pool
        for each in library:
            yield f'weft/{each}', crew

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
            self.complaint = ended.stderr[:600]
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
        """'dies', as it should, 'survives', 'hangs' or 'does not compile'."""
        program = self.build(model)
        if program is None:
            print(self.complaint, flush=True)
            return 'does not compile'
        try:
            ended = subprocess.run([program, '--abort-after=1'], timeout=3600, check=False,
                                   env=os.environ | {'WEFT_MODEL_QUIET': '1'} | environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return 'hangs'
        return 'survives' if ended.returncode == 0 else 'dies'


def main():
    root, compiler = pathlib.Path(sys.argv[1]), sys.argv[2:]
    chosen = os.environ.get('WEFT_MODEL_ONLY', '')
    changes = ([('without looking for ' + each[0], *each[1:]) for each in CHANGES] +
               [('when ' + each[0], *each[1:]) for each in FAULTS])
    wanted = [each for each in changes if any(re.search(chosen, each[i]) for i in (0, 1, 4))]
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
            print(f'{result:8} {what} ({path}, model {model})', flush=True)
    print(f'{len(wanted) - failures} of {len(wanted)} die')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
