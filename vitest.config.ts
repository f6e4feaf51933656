import { defineConfig } from 'vitest/config';

/** Unit tests need no network and no server; every other project starts real servers on loopback. */
const integration = {
  testTimeout: 120_000,
  hookTimeout: 120_000,
  pool: 'forks' as const,
};

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/contract/**', 'test/flows/**', 'test/faults/**', 'test/bench/**'],
        },
      },
      { test: { name: 'contract', include: ['test/contract/**/*.test.ts'], ...integration } },
      { test: { name: 'flows', include: ['test/flows/**/*.test.ts'], ...integration } },
      { test: { name: 'faults', include: ['test/faults/**/*.test.ts'], ...integration } },
    ],
  },
});
