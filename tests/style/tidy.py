#!/usr/bin/env python3
"""Layout, sizes, names and words that every file keeps to. usage: tidy.py [ROOT]"""

import re
import sys

import source_tree

COLUMNS = 100
FUNCTION_LINES = 70

# Path, folder or ending -> lines; the first that fits counts.
FILE_LINES = (
    ('meson.build', lambda path: path == 'meson.build', 120),
    ('an example', lambda path: path.startswith('examples/') and path.endswith('.cpp'), 120),
    ('a README of a folder', lambda path: path.endswith('/README.md'), 100),
    ('a header', lambda path: path.endswith('.hpp'), 400),
    ('a source', lambda path: path.endswith(('.cpp', '.py')), 600),
)

CPP = ('.hpp', '.cpp')
SCRIPTS = ('.py', '.build', '.txt')
ROOT_FILES = ('dev', 'meson.build', 'meson_options.txt', 'README.md', 'CHANGELOG.md', '.clang-tidy',
              '.clang-format', '.ci/run')

# Spelling in code -> where it counts, and what to write instead.
LIBRARY = source_tree.LIBRARY
EVERYWHERE = source_tree.FOLDERS
BANNED = (
    (r'\bstd::function\b', LIBRARY, 'use function_ref or a template'),
    (r'\bstd::(?:stop_token|stop_source|stop_callback)\b', LIBRARY,
     'use runtime/stop/stop_token.hpp'),
    (r'\bstd::(?:shared_ptr|make_shared)\b', LIBRARY, 'name one owner'),
    (r'(?<![\w.>])assert\s*\(', EVERYWHERE, 'use WEFT_ASSERT, WEFT_CHECK, or CHECK in a test'),
    (r'\bstd::(?:abort|terminate)\b', LIBRARY, 'use detail::panic, which says what happened'),
    (r'\bstd::endl\b', EVERYWHERE, r"write '\n'"),
    (r'\bNULL\b', EVERYWHERE, 'write nullptr'),
    (r'\btypedef\b', EVERYWHERE, 'write using'),
    (r'\bconst\s+(?:auto|char|void|int|std::\w+)\b', EVERYWHERE, 'write the const behind the type'),
    (r'\bsleep_for\s*\(|\busleep\s*\(|\bsleep\s*\(\s*\d', ('tests',),
     'wait for what is awaited, with weft::sleep_for or a fake clock where time itself is tested'),
    (r'\b(?:s?rand)\s*\(', EVERYWHERE, 'use a seeded std::mt19937_64 and print the seed'),
    (r'\busing\s+namespace\s+weft\s*;', ('examples',), 'write weft:: so that a reader sees it'),
    (r'\bget_(?!return_object\b|sqe\b)\w+\s*\([^()]*\)\s*(?:const|noexcept|\{)', LIBRARY,
     'name it after what it gives, without get_'),
)
# Of those, the forms that the library's own coroutine functions take.
PERMITTED = re.compile(r'weft::sleep_for\s*\($|co_await\s+(?:\w+::)*sleep_for\s*\($')

# Words in any text -> what is wrong with them.
BANNED_WORDS = (
    (r'\b(?:FIXME|TODO|XXX|HACK)\b(?!\(#\d+\))', 'open work names its issue: TODO(#12)'),
    (r'(?<![\w.~/])/(?:work|home|root|check|Users)/\w', 'no path of one machine'),
    (r'(?<![\w.$}/])/tmp/\w', 'no path of one machine: make a temporary folder'),
    (r'\b(?:previously|formerly|as of now|was changed)\b',
     'comments say what is true now; the commits tell history'),
)
NOLINT = re.compile(r'NOLINT(?:NEXTLINE|BEGIN|END)?\b(?P<rest>.*)')
NOLINT_FORM = re.compile(r'\([\w.-]+(?:,\s*[\w.-]+)*\)(?::\s*\S.*|\s*)$')

TEMPLATE_HEAD = re.compile(r'\btemplate\s*<[^{}]*?>\s*')
# A brace behind these opens no function, though there are parentheses: `struct alignas(64) slot {`.
SCOPE = re.compile(
    r'\b(?:namespace|class|struct|union|enum|TEST_SUITE)\b[^()]*(?:\([^()]*\)[^()]*)*$')
# `name(int a) : first_{a}`: a brace right behind a member's name.
MEMBER_INITIALIZER = re.compile(r'\)\s*(?:noexcept\s*)?:(?!:)(?:[^:]|::)*\w$')
TEST_CASE = re.compile(
    r'\bTEST_CASE(?:_TEMPLATE|_FIXTURE)?\s*\(\s*(?:\w+\s*,\s*)?"((?:\\.|[^"\\])*)"')
EMPTY_TEST_WORDS = re.compile(r'\b(?:tests?|works|basics?|misc|stuff)\b', re.IGNORECASE)


def files_of(root):
    paths = set(source_tree.find(root, EVERYWHERE, CPP))
    paths.update(source_tree.find(root, EVERYWHERE, SCRIPTS + ('.md',)))
    paths.update(path for path in ROOT_FILES if (root / path).is_file())
    return sorted(paths)


def in_folders(path, folders):
    return path.partition('/')[0] in folders or ('/' not in path and path.endswith('.hpp'))


def check_layout(source, allowed, report):
    for number, line in enumerate(source.text.split('\n'), 1):
        if '\t' in line:
            report.add(source.path, number, 'a tab; write spaces')
        if line != line.rstrip():
            report.add(source.path, number, 'blanks at the end of the line')
        if len(line) > COLUMNS and not source.path.endswith('.md') and \
                not allowed.excuses('columns', source.path, number):
            report.add(source.path, number, f'{len(line)} columns, the limit is {COLUMNS}')
    last = source.text.count('\n') + 1
    if source.text and not source.text.endswith('\n'):
        report.add(source.path, last, 'the file does not end in a newline')
    if source.text.endswith('\n\n'):
        report.add(source.path, last - 1, 'an empty line ends the file')


def check_file_length(source, allowed, report):
    lines = source.text.count('\n')
    for name, fits, default in FILE_LINES:
        if fits(source.path):
            limit = allowed.limit('file-length', source.path, lines, default)
            if lines > limit:
                report.add(source.path, lines, f'{lines} lines, the limit for {name} is {limit}')
            return


def opens_function(head):
    """Whether the brace behind this text, which began a statement, opens a function's body."""
    head = TEMPLATE_HEAD.sub('', head)
    return '(' in head and not head.endswith('=') and not SCOPE.search(head) and \
        not MEMBER_INITIALIZER.search(head)


def functions(code):
    """(first line, last line) of every outermost function body of blanked C++ code."""
    code = source_tree.DIRECTIVE.sub(lambda match: re.sub(r'[^\n]', ' ', match.group()), code)
    stack, start, line, opened = [], 0, 1, None
    for position, character in enumerate(code):
        if character == '\n':
            line += 1
        elif character == ';':
            start = position + 1
        elif character == '{':
            head = code[start:position].rstrip()
            is_body = not any(stack) and opens_function(head)
            stack.append(is_body)
            if is_body:
                opened = line
            if not MEMBER_INITIALIZER.search(head):
                start = position + 1
        elif character == '}' and stack:
            was_body = stack.pop()
            if was_body:
                yield opened, line
            # Behind a member initializer come the next one, or the body.
            if was_body or code[position + 1:position + 200].lstrip()[:1] not in (',', '{'):
                start = position + 1


def check_functions(source, allowed, report):
    lengths = [(last - first + 1, first) for first, last in functions(source.code)]
    longest = max(lengths, default=(0, 0))[0]
    limit = allowed.limit('function-length', source.path, longest, FUNCTION_LINES)
    for length, first in lengths:
        if length > limit:
            report.add(source.path, first, f'a function of {length} lines, the limit is {limit}')


def check_code(source, allowed, report):
    for spelling, folders, instead in BANNED:
        if not in_folders(source.path, folders):
            continue
        for match in re.finditer(spelling, source.code):
            word = re.sub(r'\s*\(.*', '', match.group(), flags=re.DOTALL)
            start = max(0, match.start() - 40)
            if PERMITTED.search(source.code[start:match.end()]):
                continue
            if not allowed.excuses('banned', source.path, word.replace(' ', '_')):
                report.add(source.path, source.line_of(match.start()), f'no {word}: {instead}')
    if source.path.endswith('.hpp') and not re.search(r'^#pragma once$', source.code, re.MULTILINE):
        report.add(source.path, 1, 'a header without #pragma once')


def check_words(source, allowed, report):
    for number, line in enumerate(source.text.split('\n'), 1):
        for spelling, what in BANNED_WORDS:
            match = re.search(spelling, line)
            if match and not allowed.excuses('banned', source.path, match.group().strip()):
                report.add(source.path, number, f'"{match.group()}": {what}')
        match = NOLINT.search(line)
        if match and source.path.endswith(CPP) and not NOLINT_FORM.match(match.group('rest')) and \
                not allowed.excuses('nolint', source.path, number):
            report.add(source.path, number, 'a NOLINT names its check and says why: '
                                            'NOLINT(check-name): reason')


def check_test_names(source, report):
    seen = {}
    for match in TEST_CASE.finditer(source.text):
        name, line = match.group(1), source.line_of(match.start())
        word = EMPTY_TEST_WORDS.search(name)
        if word:
            report.add(source.path, line, f'the name of a case says what holds, without '
                                          f'"{word.group()}": {name}')
        elif len(name.split()) < 3:
            report.add(source.path, line, f'the name of a case is a sentence: {name}')
        if name in seen:
            report.add(source.path, line,
                       f'the case of line {seen[name]} has the same name: {name}')
        seen[name] = line


def check(root):
    report = source_tree.Report()
    allowed = source_tree.Allowed(
        root, ('columns', 'file-length', 'function-length', 'banned', 'nolint'))
    for path in files_of(root):
        source = source_tree.Source(root, path)
        check_layout(source, allowed, report)
        check_file_length(source, allowed, report)
        # The checks quote what they forbid.
        if not path.startswith('tests/style/'):
            check_words(source, allowed, report)
        if path.endswith(CPP):
            check_functions(source, allowed, report)
            check_code(source, allowed, report)
            if path.startswith('tests/'):
                check_test_names(source, report)
    allowed.finish(report)
    return report


if __name__ == '__main__':
    sys.exit(check(source_tree.root_argument()).finish())
