import { expect, expectTypeOf, it } from 'vitest';
import type { Announcement, HookAnswer, HookContext, HookEvent, Plugin } from '../src/index.js';

it('a plugin can be written with the types of the package alone', async () => {
  const plugin: Plugin = {
    on_message: (event: HookEvent, context: HookContext): HookAnswer => {
      context.logger.info(event.announcement.relPath);
      return event.repeated ? true : { target: { name: 'other' } };
    },
    on_report: (report) => report.code >= 400,
  };
  expectTypeOf<HookEvent['announcement']>().toEqualTypeOf<Announcement>();
  const report = { about: {} as Announcement, code: 499, text: '', host: '', user: '', elapsed: 0 };
  expect(await plugin.on_report?.(report, {} as HookContext)).toBe(true);
});
