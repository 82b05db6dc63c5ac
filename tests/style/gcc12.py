#!/usr/bin/env python3
"""Forms of co_await that g++ 12 accepts and miscompiles stay out of the library, of the examples
and of the documentation, which people copy. usage: gcc12.py [ROOT]

G1  a condition that awaits and declares nothing, in a coroutine whose outermost scope declares no
    local: the body is skipped, and the coroutine lost.
G2  a lambda that captures by value, as a temporary of an expression that awaits: what it captured
    is destroyed twice.
G3  a temporary aggregate there, `job{name, 1}`, `job(name, 1)` or `{.name = name}`: its members are
    destroyed twice.

Types are not known here. So every lambda that captures by value counts, and every temporary with
braces but numbers, and but those that name only members that are numbers in every set of options,
`{.limit = 8}`; with parentheses those of structs that the file itself defines without a
constructor.
"""

import re
import sys

import source_tree

FOLDERS = source_tree.LIBRARY + ('examples',)
CPP = ('.hpp', '.cpp')

CONTROL = re.compile(r'(?:else\s+)?(?:if|for|while|switch|catch)\b|(?:else|do|try)$')
NAMED_SCOPE = re.compile(r'(?:inline\s+)?namespace\b|(?:typedef\s+)?(?:struct|class|union|enum)\b'
                         r'|extern\b|template\s*<.*>\s*(?:struct|class|union)\b', re.DOTALL)
LAMBDA_HEAD = re.compile(
    r'\[[^\[\]]*\]\s*(?:<[^<>]*>\s*)?(?:\((?:[^()]|\([^()]*\))*\)\s*)?'
    r'(?:(?:mutable|noexcept|static|constexpr)\s*)*(?:->\s*[\w:<>,&*\s]+)?$')
LAMBDA = re.compile(r'(?<![\w)\]\[])\[(?P<captures>[^\[\]]*)\]\s*(?=[({<]|mutable\b|noexcept\b|->)')
CONDITION = re.compile(r'\b(?P<word>if|while|switch|for)\s*(?:constexpr\s*)?\(')
AWAIT = re.compile(r'\bco_await\b')
DECLARATION = re.compile(
    r'(?:\[\[[^\]]*\]\]\s*)*'
    r'(?!(?:co_\w+|return|throw|delete|goto|using|else|case|break|continue)\b)'
    r'(?:(?:static|constexpr|const)\s+)*[A-Za-z_][\w:]*(?:<[^;=]*>)?(?:::\w+)*'
    r'(?:\s+const\b)?[\s&*]+(?:const\s+)?(?:\[[^\]]*\]|[A-Za-z_]\w*)\s*(?:[=({\[].*)?$', re.DOTALL)
NUMBER = re.compile(r'\b(?:bool|char|int|unsigned|long|double|std::(?:byte|size_t|u?int\w+_t))$')
NUMBERS = re.compile(r'\s*\.(?:limit|size)\s*=[^,{}]*$')
STRUCT = re.compile(r'\bstruct\s+(?P<name>\w+)\s*(?:final\s*)?(?::[^{;]*)?\{')
LABEL = re.compile(r'^(?:(?:public|protected|private)\s*:\s*)+')
SNIPPET = re.compile(r'^```(?:cpp|c\+\+)\n(.*?)^```', re.MULTILINE | re.DOTALL)
COMMENTED = re.compile(r'^[ \t]*///     (?P<code>.*)$', re.MULTILINE)


class Block:
    """What stands between two braces: `kind` is function, control, scope or expression."""

    def __init__(self, kind, begin, parent):
        self.kind, self.begin, self.end, self.parent = kind, begin, None, parent


def kind_of(head, parent):
    head = LABEL.sub('', head.strip())
    if LAMBDA_HEAD.search(head):
        return 'function'
    if head.count('(') != head.count(')') or head.endswith(('=', ',', 'return')):
        return 'expression'
    if CONTROL.match(head) or (head == '' and parent is not None and parent.kind != 'scope'):
        return 'control'
    if NAMED_SCOPE.match(head) or head == '':
        return 'scope'
    if '(' in head and (parent is None or parent.kind == 'scope'):
        return 'function'
    return 'expression'


def blocks_of(code):
    blocks, stack, start = [], [], [0]
    for position, character in enumerate(code):
        if character == '{':
            parent = stack[-1] if stack else None
            block = Block(kind_of(code[start[-1]:position], parent), position + 1, parent)
            blocks.append(block)
            stack.append(block)
            start.append(position + 1)
        elif character == '}' and stack:
            block = stack.pop()
            block.end = position
            start.pop()
            if block.kind != 'expression' and not closes_lambda(code, position):
                start[-1] = position + 1
        elif character == ';' and (not stack or stack[-1].kind != 'expression'):
            start[-1] = position + 1
    for block in stack:
        block.end = len(code)
    return blocks


def closes_lambda(code, position):
    """Whether an expression goes on behind the brace."""
    return code[position + 1:position + 80].lstrip()[:1] in (')', ',', ';', '(')


def enclosing(blocks, position, kinds):
    """The innermost block of these kinds around a position, or None."""
    inside = [block for block in blocks
              if block.kind in kinds and block.begin <= position <= block.end]
    return max(inside, key=lambda block: block.begin, default=None)


def own_text(code, blocks, begin, end, keep=()):
    """The text with what stands in blocks that begin inside blanked out, but those to keep."""
    text = list(code[begin:end])
    for block in blocks:
        if begin < block.begin <= end and block.kind not in keep:
            for i in range(block.begin - begin, min(block.end, end) - begin):
                text[i] = ' ' if text[i] != '\n' else '\n'
    return ''.join(text)


def statements(code, blocks, block):
    """(offset, text) of each statement of a block, without what stands in inner bodies."""
    text = own_text(code, blocks, block.begin, block.end, keep=('expression',))
    depth, start = 0, 0
    for i, character in enumerate(text):
        if character in '({[':
            depth += 1
        elif character in ')}]':
            depth -= 1
        ends_body = character == '}' and depth == 0 and \
            not closes_lambda(text, i) and not is_expression(blocks, block.begin + i)
        if (character == ';' and depth == 0) or ends_body:
            yield block.begin + start, text[start:i]
            start = i + 1
    yield block.begin + start, text[start:]


def is_expression(blocks, end):
    return any(block.end == end and block.kind == 'expression' for block in blocks)


def matching(text, opening):
    depth = 0
    for i in range(opening, len(text)):
        depth += {'(': 1, ')': -1}.get(text[i], 0)
        if depth == 0:
            return i
    return len(text)


def captures_by_value(captures):
    return any(each.strip() and each.strip()[0] != '&' and each.strip() != 'this'
               for each in captures.split(','))


def aggregates(code):
    for match in STRUCT.finditer(code):
        name = match.group('name')
        depth, end = 1, match.end()
        while depth and end < len(code):
            depth += {'{': 1, '}': -1}.get(code[end], 0)
            end += 1
        if not re.search(rf'(?<!~)\b{name}\s*\(', code[match.end():end]):
            yield name


def judge_condition(code, blocks, offset, statement):
    for match in CONDITION.finditer(statement):
        closing = matching(statement, match.end() - 1)
        condition = statement[match.end():closing]
        if not AWAIT.search(condition):
            continue
        if (';' in condition and condition.partition(';')[0].strip()) or \
                DECLARATION.match(condition.strip()):
            continue  # it declares a local itself
        body = enclosing(blocks, offset + match.start(), ('function',))
        if body is not None and not any(DECLARATION.match(text.strip())
                                        for _, text in statements(code, blocks, body)):
            yield offset + match.start(), ('G1: this condition awaits, and the coroutine declares '
                                           'no local at its top: await into a named value first')


def judge_temporaries(blocks, offset, statement, known_aggregates):
    if not AWAIT.search(statement):
        return
    for match in LAMBDA.finditer(statement):
        if captures_by_value(match.group('captures')):
            yield offset + match.start(), ('G2: a lambda that captures by value in an expression '
                                           'that awaits: name it first')
    for block in blocks:
        if block.kind == 'expression' and offset <= block.begin <= offset + len(statement):
            before = statement[:block.begin - 1 - offset].rstrip()
            inside = statement[block.begin - offset:block.end - offset]
            # `T x{co_await f()}` makes no temporary.
            if not before.endswith('=') and before.count('(') > before.count(')') and \
                    not NUMBER.search(before) and not NUMBERS.match(inside):
                yield block.begin - 1, ('G3: a temporary made with braces in an expression that '
                                        'awaits: name it first')
    for name in known_aggregates:
        for match in re.finditer(rf'(?<![\w.])(?:\w+::)*{name}\(', statement):
            yield offset + match.start(), (f'G3: a temporary of the aggregate {name} in an '
                                           'expression that awaits: name it first')


def judge(code):
    """(offset, message) for each of the forms in blanked C++ code."""
    code = source_tree.DIRECTIVE.sub(lambda match: re.sub(r'[^\n]', ' ', match.group()), code)
    outer = Block('control', 0, None)
    outer.end = len(code)
    blocks = blocks_of(code)
    known = sorted(set(aggregates(code)))
    for block in [outer] + [each for each in blocks if each.kind in ('function', 'control')]:
        for offset, statement in statements(code, blocks, block):
            yield from judge_condition(code, blocks, offset, statement)
            yield from judge_temporaries(blocks, offset, statement, known)


def snippets_of(source):
    """(first line, code) of what a file shows in comments or in fences."""
    if source.path.endswith('.md'):
        for match in SNIPPET.finditer(source.text):
            yield source.line_of(match.start(1)), match.group(1)
        return
    shown = []
    for match in COMMENTED.finditer(source.text):
        line = source.line_of(match.start('code'))
        if shown and line == shown[-1][0] + len(shown[-1][1]):
            shown[-1][1].append(match.group('code'))
        else:
            shown.append((line, [match.group('code')]))
    for line, code in shown:
        if any(AWAIT.search(each) and ';' in each for each in code):
            yield line, '\n'.join(code)


def check(root):
    report = source_tree.Report()
    paths = source_tree.find(root, FOLDERS, CPP + ('.md',))
    paths += [path for path in ('README.md',) if (root / path).is_file()]
    for path in paths:
        source = source_tree.Source(root, path)
        found = []
        if path.endswith(CPP):
            found += [(source.line_of(offset), message) for offset, message in judge(source.code)]
        for line, code in snippets_of(source):
            found += [(line + code.count('\n', 0, offset), message)
                      for offset, message in judge(source_tree.code_of(code))]
        for line, message in sorted(set(found)):
            report.add(path, line, message)
    return report


if __name__ == '__main__':
    sys.exit(check(source_tree.root_argument()).finish())
