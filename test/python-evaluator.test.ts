/**
 * The small Python evaluator against what Python prints: each program is a few lines, with its output as CPython 3 gives it.
 */
import { describe, expect, test } from 'vitest';
import { PythonError, Unsupported } from './support/python/errors.js';
import { Evaluator, type Host } from './support/python/evaluate.js';
import { Deferred, PyFloat, settled, type Value } from './support/python/values.js';

const bareHost = (globals: [string, Value][] = []): Host => ({
  globals: new Map(globals),
  behaviours: [],
  importModule: path => {
    throw new Unsupported(`import ${path.join('.')}`);
  },
  classOfError: () => null,
});

function run(source: string, globals: [string, Value][] = []): string {
  const python = new Evaluator(bareHost(globals));
  python.run(source);
  return python.output.map(text => settled(text)).join('');
}

/** Name, program, output. */
const programs: readonly (readonly [string, string, string])[] = [
  [
    'ints and floats stay different',
    'print(2, 2.0, 4 / 2, 7 // 2, -7 // 2, -7 % 3, 7.5 // 2, 2 ** 10, 2 ** -1, 2. * 3, 1.e2)',
    '2 2.0 2.0 3 -4 2 3.0 1024 0.5 6.0 100.0\n',
  ],
  [
    'ints are exact',
    'print(2**64, 2**31 - 1, 10**20 // 3, -(2**63), 1_000 + 0x1f + 0b11)',
    '18446744073709551616 2147483647 33333333333333333333 -9223372036854775808 1034\n',
  ],
  [
    'bit operators',
    'print(6 & 3, 6 | 3, 6 ^ 3, ~6, 1 << 4, 256 >> 2, True & False, 1 | 2 == 2)',
    '2 7 5 -7 16 64 False False\n',
  ],
  [
    'float text',
    'print(1e-05, 1e16, 123456789.0, 1e-4, 0.1 + 0.2, -0.0, 1e22, 5e-324, 1.5e300)',
    '1e-05 1e+16 123456789.0 0.0001 0.30000000000000004 -0.0 1e+22 5e-324 1.5e+300\n',
  ],
  ['special floats', "print(float('nan'), float('-inf'), float('1e3'), float('inf') > 1)", 'nan -inf 1000.0 True\n'],
  [
    'precedence of not, and, or',
    'a, b, c = False, False, True\nprint(not a and b or c, a and not b or c, not a == b, not not c)',
    'True True False True\n',
  ],
  [
    'chained comparisons',
    'x = 3\nprint(1 < x < 5, 1 < x > 5, 1 <= x == 3, x not in [1, 2], x is not None, None is None)',
    'True False True True True True\n',
  ],
  ['logic gives operands', "print(0 or 'a', 1 and [], None or 0, '' and 1)", 'a [] 0 \n'],
  ['conditional and walrus', 'print(1 if 0 else 2 if 1 else 3, (y := 5) + y, y)', '2 10 5\n'],
  [
    'unpacking',
    'a, (b, *c), d = 1, (2, 3, 4), 5\n[e, f] = [6, 7]\nx = y = 8\ng, = [9]\nprint(a, b, c, d, e, f, x, y, g)',
    '1 2 [3, 4] 5 6 7 8 8 9\n',
  ],
  [
    'augmented targets',
    "d = {'a': 1}\nl = [1, 2]\nd['a'] += 4; l[0] *= 3; l += [9]\nn = 7; n //= 2; n **= 2\nprint(d, l, n)",
    "{'a': 5} [3, 2, 9] 9\n",
  ],
  [
    'slices',
    "l = list(range(6))\nprint(l[1:4], l[::-1], l[-2:], l[::2], l[4:1:-1], 'abcdef'[1:-1], (1, 2, 3)[:2])\nl[1:3] = [10]\nprint(l)",
    '[1, 2, 3] [5, 4, 3, 2, 1, 0] [4, 5] [0, 2, 4] [4, 3, 2] bcde (1, 2)\n[0, 10, 3, 4, 5]\n',
  ],
  [
    'comprehensions',
    "print([i * j for i in range(3) for j in range(i) if i != j], {k: v for k, v in zip('ab', [1, 2])}, sorted({i % 3 for i in range(9)}), sum(i for i in range(4)))",
    "[0, 0, 2] {'a': 1, 'b': 2} [0, 1, 2] 6\n",
  ],
  ['a comprehension has its own scope', 'i = 7\n_ = [i for i in range(3)]\nprint(i)', '7\n'],
  [
    'loops with else, break and continue',
    "for i in range(5):\n    if i == 1: continue\n    if i == 3: break\n    print(i, end=' ')\nelse:\n    print('never')\nn = 3\nwhile n:\n    n -= 1\nelse:\n    print('done', n)",
    '0 2 done 0\n',
  ],
  [
    'functions',
    "def f(a, b=2, *args, c, d=4, **kw):\n    return a, b, args, c, d, kw\nprint(f(1, c=3), f(1, 5, 6, 7, c=8, z=9), f(*[1], **{'c': 2}))",
    "(1, 2, (), 3, 4, {}) (1, 5, (6, 7), 8, 4, {'z': 9}) (1, 2, (), 2, 4, {})\n",
  ],
  [
    'defaults are evaluated once',
    'def f(x, acc=[]):\n    acc.append(x)\n    return acc\nf(1)\nprint(f(2))',
    '[1, 2]\n',
  ],
  [
    'closures',
    'def counter():\n    n = 0\n    def step():\n        nonlocal n\n        n += 1\n        return n\n    return step\ns = counter(); s()\nprint(s(), (lambda x, y=2: x * y)(4), [f(1) for f in [lambda a: a + 1, lambda a: -a]])',
    '2 8 [2, -1]\n',
  ],
  ['globals', 'total = 0\ndef add(n):\n    global total\n    total += n\nadd(3); add(4)\nprint(total)', '7\n'],
  [
    'classes',
    "class A:\n    kind = 'a'\n    def __init__(self, n): self.n = n\n    def double(self): return self.n * 2\n    @staticmethod\n    def s(x): return x + 1\n    @classmethod\n    def make(cls, n): return cls(n)\n    @property\n    def half(self): return self.n / 2\n    def __repr__(self): return f'{type(self).__name__}({self.n})'\nclass B(A):\n    def __init__(self, n):\n        super().__init__(n + 1)\n    def double(self): return super(B, self).double() + 1\nb = B.make(4)\nprint(b, b.double(), b.half, A.s(1), b.kind, isinstance(b, A), isinstance(A(1), B), hasattr(b, 'zz'), getattr(b, 'n'))",
    'B(5) 11 2.5 2 a True False False 5\n',
  ],
  [
    'special methods',
    'class V:\n    def __init__(self, *x): self.x = x\n    def __len__(self): return len(self.x)\n    def __getitem__(self, i): return self.x[i]\n    def __add__(self, o): return V(*[a + b for a, b in zip(self.x, o.x)])\n    def __call__(self, k): return k * self.x[0]\n    def __eq__(self, o): return self.x == o.x\nv = V(1, 2) + V(3, 4)\nprint(len(v), v[1], v(10), v == V(4, 6), list(v))',
    '2 6 40 True [4, 6]\n',
  ],
  [
    'exceptions',
    "def f(x):\n    try:\n        if x == 0: raise ValueError('zero')\n        return [1][x]\n    except ValueError as e:\n        return 'V ' + str(e)\n    except (KeyError, IndexError):\n        return 'I'\n    finally:\n        print('f', end=' ')\nprint(f(0), f(5))\ntry:\n    {}['k']\nexcept Exception as e:\n    print(type(e).__name__, e)\ntry:\n    assert 1 == 2, 'no'\nexcept AssertionError as e:\n    print(repr(e))",
    "f f V zero I\nKeyError 'k'\nAssertionError('no')\n",
  ],
  [
    'format strings',
    'x, w, n = 3.14159, 10, 1234567\nprint(f\'{x:.2f}|{x:>{w}.3f}|{n:,}|{"s"!r:>5}|{{}}|{x=:.1f}|{5:03d}|{-2:+d}|{0.5:%}|{1e10:.3g}|{255:#x}\')',
    "3.14|     3.142|1,234,567|  's'|{}|x=3.1|005|-2|50.000000%|1e+10|0xff\n",
  ],
  [
    'percent formatting',
    "print('%d %5.1f|%-5s|%05d|%r %s %% %x %g %e' % (3.7, 2.25, 'ab', 42, 'q', [1], 255, 1e-5, 12345.678), '%s' % 1, '%(a)d' % {'a': 2})",
    "3   2.2|ab   |00042|'q' [1] % ff 1e-05 1.234568e+04 1 2\n",
  ],
  [
    'format method',
    "print('{0:.1f} {1} {name!r} {l[1]} {{}}'.format(1.25, 2, name='n', l=[3, 4]), '{} {}'.format('a', 1))",
    "1.2 2 'n' 4 {} a 1\n",
  ],
  [
    'string literals',
    "print('a' \"b\" '''c''', r'\\n', 'x\\ty', '\\x41', repr('it\\'s'), repr(\"a\\n\"))",
    "abc \\n x\ty A \"it's\" 'a\\n'\n",
  ],
  [
    'string methods',
    "print('a,b,c'.split(','), '-'.join(['x', 'y']), ' s '.strip(), 'abc'.startswith('ab'), 'abc'.upper(), 'a.b'.replace('.', '_'), 'p.w'[2:], 'ab' * 2, 'b' in 'abc')",
    "['a', 'b', 'c'] x-y s True ABC a_b w abab True\n",
  ],
  [
    'container text',
    "print([1, 2.0, 'a', None, True], (1,), (), {1: (2, 3)}, {'k': [1.5]}, {1}, set())",
    "[1, 2.0, 'a', None, True] (1,) () {1: (2, 3)} {'k': [1.5]} {1} set()\n",
  ],
  [
    'list methods',
    'l = [3, 1, 2]\nl.append(5); l.extend([4]); l.sort(); l.insert(0, 9); p = l.pop(); l.remove(3); l.reverse()\nprint(l, p, l.index(2), l.count(9), len(l), [1, 2] + [3], [0] * 3, [1, [2]] == [1, [2]])',
    '[4, 2, 1, 9] 5 1 1 4 [1, 2, 3] [0, 0, 0] True\n',
  ],
  [
    'dict methods',
    "d = dict(a=1, b=2)\nd.update({'c': 3}); d.setdefault('d', []).append(4); p = d.pop('a')\nprint(d, p, d.get('z', 0), list(d.items()), 'b' in d, list(d), {**d, 'e': 1}['e'])\ndel d['b']\nprint(len(d), d.get('b'))",
    "{'b': 2, 'c': 3, 'd': [4]} 1 0 [('b', 2), ('c', 3), ('d', [4])] True ['b', 'c', 'd'] 1\n2 None\n",
  ],
  [
    'dict keys compare as numbers',
    "d = {1: 'a', 1.0: 'b', True: 'c', (1, 2): 'd'}\nprint(d, d[(1, 2)])",
    "{1: 'c', (1, 2): 'd'} d\n",
  ],
  [
    'sets',
    'a = {1, 2, 3}; b = {2, 3, 4}\na.add(9)\nprint(sorted(a | b), sorted(a & b), sorted(a - b), 9 in a)',
    '[1, 2, 3, 4, 9] [2, 3] [1, 9] True\n',
  ],
  [
    'builtins',
    "print(max(3, 1, 2), min([4, 2]), sum([1, 2.5]), abs(-3), abs(-2.5), round(2.5), round(3.5), round(2.675, 2), round(1234.5678, 1), int(3.9), int('12'), bool([]), divmod(7, 2), list(map(lambda x: x + 1, [1, 2])), list(filter(None, [0, 1])), any([0, 1]), all([]))",
    '3 2 3.5 3 2.5 2 4 2.67 1234.6 3 12 False (3, 1) [2, 3] [1] True True\n',
  ],
  [
    'sorting',
    "print(sorted([3, 1, 2], reverse=True), sorted('bca'), sorted([(1, 'b'), (0, 'z')], key=lambda t: t[1]), max([1, 5, 3], key=lambda x: -x), list(enumerate('ab', 1)), list(reversed([1, 2])))",
    "[3, 2, 1] ['a', 'b', 'c'] [(1, 'b'), (0, 'z')] 1 [(1, 'a'), (2, 'b')] [2, 1]\n",
  ],
  ['print options', "print('a', 'b', sep='-', end='!\\n')\nprint()\nprint(*[1, 2])", 'a-b!\n\n1 2\n'],
  [
    'types',
    "print(type(1).__name__, type(1.0).__name__, (1).__class__.__name__, isinstance(True, int), isinstance(1.0, (int, float)), isinstance([], list), type(1) == int, type('a').__name__)",
    'int float int True True True True str\n',
  ],
  ['iterators', 'it = iter([1, 2])\nprint(next(it), next(it), next(it, None))', '1 2 None\n'],
  [
    'semicolons, comments and doc strings',
    '"""doc"""\nx = 1; y = 2  # both\n# nothing\nif x: y += 1; x = 0\nprint(x, y)',
    '0 3\n',
  ],
];

describe('the Python evaluator prints what Python prints', () => {
  for (const [name, source, output] of programs) test(name, () => expect(run(source)).toBe(output));
});

describe('errors', () => {
  const raises = (source: string): string => {
    try {
      run(source);
    } catch (error) {
      if (error instanceof PythonError) return `${error.className}: ${error.message}`;
      throw error;
    }
    return 'nothing';
  };
  test.each([
    ['x', "NameError: name 'x' is not defined"],
    ['1 / 0', 'ZeroDivisionError: division by zero'],
    ["1 + 'a'", "TypeError: unsupported operand type(s) for +: 'int' and 'str'"],
    ['(lambda a: a)()', "TypeError: <lambda>() missing required argument: 'a'"],
    ['(lambda a: a)(1, 2)', 'TypeError: <lambda>() takes 1 positional arguments but 2 were given'],
    ['[1][4]', 'IndexError: list index out of range'],
    ['a, b = [1]', 'ValueError: not enough values to unpack (expected 2, got 1)'],
    ["'a'.nope", "AttributeError: 'str' object has no attribute 'nope'"],
    ["raise RuntimeError('r')", 'RuntimeError: r'],
    ["float('x')", "ValueError: could not convert string to float: 'x'"],
  ])('%s', (source, message) => expect(raises(source)).toBe(message));

  test.each(['async def f(): pass', 'x = 1j', 'import nothing', "b'x'", 'match x:\n  case 1: pass'])(
    'unsupported, by name: %s',
    source => {
      expect(() => run(source)).toThrow(Unsupported);
    },
  );
});

describe('values that are not known yet', () => {
  const later = (): [string, Value][] => [['loss', new Deferred(() => new PyFloat(0.5))]];
  test('are carried through arithmetic, containers and text', () => {
    expect(
      run("losses = [loss, loss * 2]\nprint('%.2f' % loss, losses, f'{loss:.1f}', round(loss + 0.126, 2))", later()),
    ).toBe('0.50 [0.5, 1.0] 0.5 0.63\n');
  });
  test('cannot be decided on', () => {
    expect(() => run('if loss > 0: pass', later())).toThrow(Unsupported);
  });
});
