import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { CountReporter } from './test/count-reporter.js';

/** Unit tests start no server but what they write themselves; every other project uses real ones on loopback. */
const integration = {
  // For what hangs; well above the patience of a single wait (test/servers/rabbitmq.ts), which tells what it waited for.
  testTimeout: 300_000,
  hookTimeout: 300_000,
  pool: 'forks' as const,
};

export default defineConfig({
  test: {
    // Most tests wait for programs, not for a processor: two at a time even where there are only two.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    reporters: ['default', new CountReporter()],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/contract/**', 'test/flows/**', 'test/faults/**', 'test/bench/**'],
          // For what hangs. The usual 5 s would be a limit on speed, which a busy machine breaks.
          testTimeout: 120_000,
          hookTimeout: 120_000,
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
