/**
 * What authors of plugins import: types only. A plugin is an ES module that exports functions named like hooks;
 * see sr_config(7).
 *
 *     import type { HookContext, HookEvent } from 'sarracenia';
 *     export async function on_file(event: HookEvent, context: HookContext): Promise<void> { ... }
 */
export type { Logger } from './logger.js';
export type { Announcement, Change, Envelope } from './message/announcement.js';
export type { Parts } from './message/parts.js';
export type { Report } from './message/report.js';
export type { Sum } from './message/sum.js';
export type {
  HeartbeatEvent,
  HookAnswer,
  HookChanges,
  HookContext,
  HookEvent,
  Plugin,
  Rejecting,
} from './plugin/plugin.js';
