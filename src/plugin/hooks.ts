import type { Plugin } from './plugin.js';

/** One hook: its names in configurations, and what an answer of false means. */
export interface HookRow {
  readonly name: keyof Plugin;
  readonly aliases: readonly string[];
  /** Has a file or a message to decide about, so an executable can serve it. */
  readonly about: 'item' | 'report' | 'process';
  readonly onFalse: string;
}

/** The hooks that are called. Options of other names are refused when a program that would need them starts. */
export const hooks: readonly HookRow[] = [
  { name: 'on_message', aliases: ['on_msg'], about: 'item', onFalse: 'the announcement is dropped' },
  {
    name: 'on_part',
    aliases: [],
    about: 'item',
    onFalse: 'the data is removed and the announcement dropped',
  },
  { name: 'on_file', aliases: [], about: 'item', onFalse: 'the file stays and is not announced further' },
  { name: 'on_post', aliases: [], about: 'item', onFalse: 'the post is not sent' },
  { name: 'on_report', aliases: [], about: 'report', onFalse: 'the record is not shown' },
  { name: 'on_heartbeat', aliases: ['on_hb'], about: 'process', onFalse: 'nothing' },
  { name: 'on_start', aliases: [], about: 'process', onFalse: 'nothing' },
  { name: 'on_stop', aliases: [], about: 'process', onFalse: 'nothing' },
];

export const hookNamed = (name: string): HookRow | undefined =>
  hooks.find((row) => row.name === name || row.aliases.includes(name));
