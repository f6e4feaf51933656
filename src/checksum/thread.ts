import { Worker } from 'node:worker_threads';

/** Starts a thread that runs `program` (CommonJS): as small as one can be, without our environment or flags. */
export const startThread = (program: string, workerData?: unknown): Worker =>
  new Worker(program, {
    eval: true,
    env: {},
    execArgv: [],
    workerData,
    resourceLimits: { maxYoungGenerationSizeMb: 2 },
  });
