#!/usr/bin/env python3
"""Every use of an atomic names its memory order and says why. usage: atomics.py [ROOT]

The comment stands in the four lines above the use, or behind it:

    // <order>: <verb> …; pairs with <partner>

It may go on over several lines, and one comment may serve neighbouring uses of the same order.
"""

import re
import sys

import source_tree

ORDERS = ('relaxed', 'acquire', 'release', 'acq_rel', 'seq_cst')
VERBS = ('publish', 'observe', 'claim', 'hand back', 'Dekker', 'count', 'hint', 'own')
# An order that means something only together with its partner's.
PAIRED = ('acquire', 'release', 'acq_rel')
LINES_ABOVE = 4

USE = re.compile(
    r'(?:\.|->)\s*(load|store|exchange|compare_exchange_weak|compare_exchange_strong'
    r'|fetch_(?:add|sub|and|or|xor))\s*\(')
ORDER = re.compile(r'\b(?:memory_order(?:_|::))?(' + '|'.join(ORDERS) + r')\b')
FORM = re.compile(r'//[/!<]*\s*(' + '|'.join(ORDERS) + r')\b[^:]*:\s')
VERB = re.compile(
    r'\b(?:' + '|'.join(verb.replace(' ', r'(?:s|ed|ing)?\s+') for verb in VERBS) + r')')
DECLARATION = re.compile(
    r'\batomic(?:<[^;{}()]*>|_flag|_bool|_int)\s+(\w+)\s*(?:[;={\[(]|$)', re.MULTILINE)

# Spelling → what to write instead.
BANNED = {
    r'\bstd::atomic\b': 'use detail::atomic from runtime/base/atomic.hpp',
    r'\bstd::atomic_flag\b': 'use detail::atomic<bool>',
    r'\batomic_thread_fence\b': 'use fence_seq_cst(), fence_light() or fence_heavy()',
    r'\bmemory_order(?:_|::)consume\b': 'use acquire',
    r'\bvolatile\b': 'use detail::atomic',
    r'\bstd::memory_order_\w+': 'use the short names: relaxed, acquire, release, acq_rel, seq_cst',
}
# Where the names used everywhere else are made.
SWITCH_POINTS = ('runtime/base/atomic.hpp',)


def arguments_at(code, opening):
    depth = 0
    for position in range(opening, len(code)):
        depth += {'(': 1, ')': -1}.get(code[position], 0)
        if depth == 0:
            return code[opening + 1:position]
    return code[opening + 1:]


def comment_at(lines, number):
    """The whole comment of which a line is part, as one text; empty where the line has none."""
    if number < 0 or number >= len(lines) or '//' not in lines[number]:
        return ''
    first = last = number
    while first > 0 and lines[first].lstrip().startswith('//') and \
            lines[first - 1].lstrip().startswith('//'):
        first -= 1
    while last + 1 < len(lines) and lines[last + 1].lstrip().startswith('//'):
        last += 1
    return '\n'.join(line[line.index('//'):] for line in lines[first:last + 1])


def explained(lines, number, order):
    for candidate in range(number, number - LINES_ABOVE - 1, -1):
        comment = comment_at(lines, candidate)
        # A comment block may hold several explanations, each opening with its order.
        pieces = FORM.split(comment)
        for named, text in zip(pieces[1::2], pieces[2::2]):
            text = re.sub(r'\s*\n\s*//\s*', ' ', text)
            paired = order not in PAIRED or 'pairs with' in text
            if named == order and VERB.search(text) and paired:
                return True
    return False


def check_uses(source, report):
    lines = source.text.split('\n')
    for match in USE.finditer(source.code):
        line = source.line_of(match.start(1))
        operation = match.group(1)
        orders = ORDER.findall(arguments_at(source.code, match.end() - 1))
        needed = 2 if operation.startswith('compare_exchange') else 1
        if len(orders) < needed:
            wanted = 'both memory orders' if needed == 2 else 'a memory order'
            report.add(source.path, line, f'{operation} without {wanted}')
        elif not explained(lines, line - 1, orders[0]):
            report.add(source.path, line,
                       f'{operation} without its comment "// {orders[0]}: <verb> …'
                       + ('; pairs with …' if orders[0] in PAIRED else '') + '"; verbs: '
                       + ', '.join(VERBS))


def check_operators(source, names, report):
    """`x = 1`, `x++` and `x += 1` on an atomic are sequentially consistent without saying so."""
    if not names:
        return
    name = r'\b(' + '|'.join(sorted(names)) + r')\b'
    silent = re.compile(rf'(?:\+\+|--)\s*{name}|{name}\s*(?:\+\+|--|[-+|&^]?=(?!=))')
    for match in silent.finditer(source.code):
        start = source.code.rfind('\n', 0, match.start()) + 1
        before = source.code[start:match.start()]
        if 'atomic' not in before and not before.rstrip().endswith(('.', 'auto', '*', '&')):
            report.add(source.path, source.line_of(match.start()),
                       f'an operator on the atomic {match.group(1) or match.group(2)}: call load, '
                       'store or fetch_… with an order')


def check_banned(source, report):
    for spelling, instead in BANNED.items():
        for match in re.finditer(spelling, source.code):
            text = source.code[max(0, match.start() - 4):match.start()]
            if match.group() == 'volatile' and 'asm' in text:
                continue
            report.add(source.path, source.line_of(match.start()), f'no {match.group()}: {instead}')


def check(root):
    report = source_tree.Report()
    library = source_tree.sources(root, source_tree.LIBRARY)
    declared = {}
    for source in library:
        stem = source.path.rpartition('.')[0]
        declared.setdefault(stem, set()).update(DECLARATION.findall(source.code))
    for source in library:
        if source.path not in SWITCH_POINTS:
            check_uses(source, report)
            check_operators(source, declared[source.path.rpartition('.')[0]], report)
            check_banned(source, report)
    return report


if __name__ == '__main__':
    sys.exit(check(source_tree.root_argument()).finish())
