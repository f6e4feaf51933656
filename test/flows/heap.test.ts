import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';

const heap = pathToFileURL(join(import.meta.dirname, '../../dist/process/daemon/heap.js')).href;

/** Bytes of the heap at most while many objects live for a while and die. */
function peakOf(begin: string): number {
  const program = `
    ${begin}
    const waiting = [];
    let peak = 0;
    for (let round = 0; round < 400; round += 1) {
      for (let nth = 0; nth < 3000; nth += 1) waiting[(round * 3000 + nth) % 100_000] = { nth, text: ['x', round, nth] };
      peak = Math.max(peak, process.memoryUsage().heapTotal);
      await new Promise(setImmediate);
    }
    console.log(peak);`;
  return Number(execFileSync(process.execPath, ['--input-type=module', '--eval', program], { env: {} }));
}

it('the heap grows less than it would', () => {
  const plain = peakOf('');
  const small = peakOf(`(await import(${JSON.stringify(heap)})).keepHeapSmall();`);
  expect(small).toBeLessThan(plain * 0.85);
});
