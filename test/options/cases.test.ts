import { describe, it } from 'vitest';
import { rowsOf } from '../../src/config/options/index.js';
import { names, openLab, routers } from './lab.js';
import { casesOf } from './coverage.js';

/* What each option does: one case for each option of each program. */

describe.each([...names, ...routers])('%s', (name) => {
  describe.concurrent('honours', () => {
    it.each(Object.entries(casesOf(name)))(
      '%s',
      async (_option, work) => {
        const lab = openLab();
        try {
          await work(lab, name);
        } finally {
          lab.remove();
        }
      },
      30_000,
    );
  });

  it('has no case for what is not its own', ({ expect }) => {
    const rows = rowsOf(name).map((row) => row.name as string);
    expect(Object.keys(casesOf(name)).filter((option) => !rows.includes(option))).toEqual([]);
  });
});
