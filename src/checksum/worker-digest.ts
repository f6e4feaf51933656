import { Worker } from 'node:worker_threads';
import { RetryableError, messageOf } from '../errors.js';
import { algorithms, type ContentAlgorithm, type StreamDigest } from './algorithms.js';

/** Buffers that may lie between the two threads; the sender waits when all are full. */
const buffersInFlight = 4;

/** Bytes gathered before they are handed over. */
const bufferSize = 1024 * 1024;

/** The other thread: takes buffers, gives each back when it is digested, and answers `null` with the value. */
const program = `
const { parentPort, workerData } = require('node:worker_threads');
const state = require('node:crypto').createHash(workerData);
parentPort.on('message', (message) => {
  if (message === null) {
    parentPort.postMessage(state.digest('hex'));
    parentPort.close();
    return;
  }
  state.update(new Uint8Array(message.data, 0, message.length));
  parentPort.postMessage(message.data, [message.data]);
});
`;

/** A digest computed by a thread of its own. Bytes are copied: the caller's buffer is free again at once. */
export function startWorkerDigest(algorithm: ContentAlgorithm): StreamDigest {
  const worker = new Worker(program, {
    eval: true,
    workerData: algorithms[algorithm].hash,
    env: {},
    execArgv: [],
  });
  const free: ArrayBuffer[] = Array.from({ length: buffersInFlight }, () => new ArrayBuffer(bufferSize));
  let filling: ArrayBuffer | undefined;
  let filled = 0;
  let failure: unknown;
  let value: string | undefined;
  let wake: (() => void) | undefined;

  const news = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  worker.on('message', (message: ArrayBuffer | string) => {
    if (typeof message === 'string') value = message;
    else free.push(message);
    wake?.();
  });
  worker.on('error', (error) => {
    failure = error;
    wake?.();
  });
  worker.on('exit', () => {
    if (value === undefined) failure ??= new Error('its thread ended');
    wake?.();
  });
  const check = (): void => {
    if (failure === undefined) return;
    throw new RetryableError(`cannot compute a checksum: ${messageOf(failure)}`, { cause: failure });
  };
  const handOver = (): void => {
    if (filling !== undefined && filled > 0) worker.postMessage({ data: filling, length: filled }, [filling]);
    filling = undefined;
    filled = 0;
  };

  return {
    update: async (data) => {
      let taken = 0;
      while (taken < data.byteLength) {
        check();
        filling ??= free.pop();
        if (filling === undefined) {
          await news();
          continue;
        }
        const part = data.subarray(taken, taken + bufferSize - filled);
        new Uint8Array(filling).set(part, filled);
        filled += part.byteLength;
        taken += part.byteLength;
        if (filled === bufferSize) handOver();
      }
    },
    value: async () => {
      handOver();
      worker.postMessage(null);
      while (value === undefined) {
        check();
        await news();
      }
      return value;
    },
    abandon: () => {
      void worker.terminate();
    },
  };
}
