import type { ComponentName, OptionRow } from '../option.js';
import { downloaders, everywhere, group, movers, option, posters, readers } from '../option.js';
import { pluginNames } from '../special-values.js';

const hook = (
  help: string,
  initial: readonly string[] = [],
  aliases: readonly string[] = [],
  components: readonly ComponentName[] = everywhere,
): OptionRow<readonly string[]> =>
  option({ type: pluginNames, default: initial, components, aliases, repeat: 'accumulate', help });

/** Entry points of plugins; each holds names in the order they run, `None` empties it. */
export const plugins = group({
  plugin: hook('Plugin with several entry points.'),
  on_message: hook('Before any transfer; may change or drop the message.', [], ['on_msg'], readers),
  on_data: hook('Each buffer of a transfer.', [], [], movers),
  on_part: hook('Data on disk under a private name: validation.', [], [], movers),
  on_file: hook('A complete file under its final name.', ['file_log'], [], movers),
  on_post: hook('Before each post.', ['post_log'], [], posters),
  on_report: hook('Before each report is sent, or for each report received.', [], [], readers),
  on_heartbeat: hook('Each round of housekeeping.', ['hb_log', 'hb_memory'], ['on_hb']),
  on_line: hook('Each line of a listing.', ['line_mode', 'line_date'], [], ['poll']),
  on_html_page: hook('Each page of a web server listing.', ['html_page'], [], ['poll']),
  on_watch: hook('Each round of watching.', [], [], ['watch', 'cpost', 'post']),
  on_start: hook('Before the first message.'),
  on_stop: hook('After the last message.'),
  do_download: hook('Instead of the built-in download.', [], ['do_get'], downloaders),
  do_send: hook('Instead of the built-in upload.', [], ['do_put'], ['sender']),
  do_poll: hook('Instead of the built-in listing.', [], [], ['poll']),
  do_task: hook('Instead of the whole transfer.', [], [], movers),
});

/** Entry points of the packaged plugins that `plugin NAME` may name; other names are resolved on loading. */
export const packagedEntries: Readonly<Record<string, readonly (keyof typeof plugins)[]>> = {
  accel_wget: ['on_message', 'do_download'],
  accel_scp: ['on_message', 'do_download', 'do_send'],
  accel_cp: ['on_message', 'do_download', 'do_send'],
};
