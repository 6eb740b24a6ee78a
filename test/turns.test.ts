/** Turns of divided loops (`backends/wasm/turns.ts`), taken by threads that come and go in any order. */
import binaryen from 'binaryen';
import { describe, expect, test } from 'vitest';
import { BEGIN_TURNS, TAKE_TURN, THREAD, THREADS } from '../backends/wasm/globals.js';
import { addTurns, MOST_TURNS } from '../backends/wasm/turns.js';
import { Random } from './support/random-programs/growth.js';

interface Taker {
  begin(turns: number): void;
  take(turns: number): number;
}

const { i32 } = binaryen;

/** Instances over one memory, as the threads of a team have them. */
function takers(threads: number): Taker[] {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  return Array.from({ length: threads }, (_, thread) => {
    const env = { memory, [THREAD]: thread, [THREADS]: threads };
    const { exports } = new WebAssembly.Instance(compiled, { env });
    return exports as unknown as Taker;
  });
}

const compiled = (() => {
  const module = new binaryen.Module();
  module.setFeatures(binaryen.Features.Atomics);
  module.setMemory(1, 1, null, [], true);
  module.addMemoryImport('0', 'env', 'memory', true);
  for (const name of [THREAD, THREADS]) module.addGlobalImport(name, 'env', name, i32);
  addTurns(module, { base: 64, distance: 128 });
  module.addFunctionExport(BEGIN_TURNS, 'begin');
  module.addFunctionExport(TAKE_TURN, 'take');
  expect(module.validate()).toBe(1);
  return new WebAssembly.Module(module.emitBinary() as BufferSource);
})();

const takeAll = (taker: Taker, turns: number): number[] => {
  const taken: number[] = [];
  for (let turn = taker.take(turns); turn >= 0; turn = taker.take(turns)) taken.push(turn);
  return taken;
};

test('each takes its own part first, then helps the others', () => {
  const [first, second] = takers(2);
  first.begin(7);
  second.begin(7);
  expect([second.take(7), second.take(7)]).toEqual([3, 4]);
  expect(takeAll(first, 7)).toEqual([0, 1, 2, 5, 6]);
  expect(second.take(7)).toBe(-1);
});

test('the part of a thread that has not come is left to it', () => {
  const [first, second] = takers(2);
  first.begin(4);
  expect(takeAll(first, 4)).toEqual([0, 1]);
  second.begin(4);
  expect(takeAll(second, 4)).toEqual([2, 3]);
});

test('nothing is taken from a thread that is in another loop', () => {
  const [first, second] = takers(2);
  for (const taker of [first, second]) taker.begin(4);
  expect(takeAll(second, 4)).toEqual([2, 3, 0, 1]);
  second.begin(6);
  expect(takeAll(first, 4)).toEqual([]);
  first.begin(6);
  expect(takeAll(first, 6)).toEqual([0, 1, 2, 3, 4, 5]);
});

describe('every turn is taken exactly once', () => {
  test('in any order of threads, without barriers between loops', () => {
    const random = new Random('turns');
    for (let run = 0; run < 300; run++) {
      const turns = Array.from({ length: 1 + random.below(6) }, () => 1 + random.below(40));
      const taken = turns.map(count => new Array<number>(count).fill(0));
      const running = takers(1 + random.below(5)).map(taker => ({ taker, loop: -1 }));
      while (running.length > 0) {
        const at = random.below(running.length);
        const member = running[at];
        const turn = member.loop < 0 ? -1 : member.taker.take(turns[member.loop]);
        if (turn >= 0) taken[member.loop][turn]++;
        else if (++member.loop < turns.length) member.taker.begin(turns[member.loop]);
        else running.splice(at, 1);
      }
      expect(taken).toEqual(turns.map(count => new Array<number>(count).fill(1)));
    }
  });

  test('up to the most turns of a loop, and over more loops than a word counts', () => {
    const team = takers(3);
    for (const taker of team) taker.begin(MOST_TURNS);
    expect(takeAll(team[1], MOST_TURNS).sort((a, b) => a - b)).toEqual(Array.from({ length: MOST_TURNS }, (_, i) => i));
    for (let loop = 0; loop < 70_000; loop++) {
      for (const taker of team) taker.begin(3);
      const taken = [team[loop % 3].take(3), ...team.flatMap(taker => takeAll(taker, 3))];
      if (taken.length !== 3 || taken.reduce((a, b) => a + b) !== 3) expect.fail(`loop ${loop}: ${taken}`);
    }
  });
});
