import { describe, expect, it } from 'vitest';
import { spend } from '../../../src/transport/http/spent-buffers.js';

const MIB = 1024 * 1024;
const piece = 64 * 1024;

/** The most memory that buffers held while `total` bytes came, beyond what they held before. */
async function peakOf(total: number): Promise<number> {
  const before = process.memoryUsage().arrayBuffers;
  let peak = 0;
  for (let bytes = 0; bytes < total; bytes += piece) {
    new Uint8Array(piece).fill(1);
    spend(piece);
    if (bytes % MIB === 0) {
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
      await new Promise(setImmediate);
    }
  }
  return peak;
}

describe('spent buffers', () => {
  it('do not heap up', async () => {
    expect(await peakOf(256 * MIB)).toBeLessThan(20 * MIB);
  });
});
