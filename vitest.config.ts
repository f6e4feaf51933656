import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { CountReporter } from './test/count-reporter.js';

/** What has not come about by then never will; `eventually` of test/servers/rabbitmq.ts has as much patience. */
const expecting = { poll: { timeout: 90_000 } };

/** Limits are for what hangs, well above the patience of a single wait, which tells what it waited for. */
const hanging = (limit: number) => ({ testTimeout: limit, hookTimeout: limit, expect: expecting });

/** Unit tests start no server but what they write themselves; every other project uses real ones on loopback. */
const integration = {
  // At their full size, tests that let a program die at every step start it some hundred times.
  ...hanging(process.env['SR_LONG'] === undefined ? 300_000 : 1_800_000),
  pool: 'forks' as const,
};

export default defineConfig({
  test: {
    // Most tests wait for programs, not for a processor: four at a time even where there are only two.
    maxWorkers: Math.max(4, availableParallelism() - 1),
    reporters: ['default', new CountReporter()],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/contract/**', 'test/flows/**', 'test/faults/**', 'test/bench/**'],
          ...hanging(process.env['SR_LONG'] === undefined ? 180_000 : 1_800_000),
        },
      },
      {
        test: {
          name: 'contract',
          include: ['test/contract/**/*.test.ts'],
          globalSetup: 'test/setup/broker.ts',
          ...integration,
        },
      },
      {
        test: {
          name: 'flows',
          include: ['test/flows/**/*.test.ts'],
          globalSetup: ['test/setup/programs.ts', 'test/setup/broker.ts'],
          ...integration,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          globalSetup: ['test/setup/programs.ts', 'test/setup/broker.ts'],
          ...integration,
        },
      },
    ],
  },
});
