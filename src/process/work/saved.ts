import { join } from 'node:path';
import type { Consumer } from '../../broker/broker.js';
import type { Config } from '../../config/config.js';
import { sourceOfExchange } from '../../config/source-of-exchange.js';
import type { Kit } from '../../component/component.js';
import type { Logger } from '../../logger.js';
import { type SaveFile, encodeSaved, openSaveFile, savePath, savedFiles } from '../../store/saved.js';
import { restoring } from './restoring.js';

/** Path of the files that messages are saved to, without the number of the instance. */
export const saveStem = (config: Config, state: string): string =>
  config.queue.saveFile ?? join(state, `sr_${config.component}_${config.stateName}`);

/**
 * The files that one process restores: all, when it is the only one. Of several instances, each takes those of its own
 * number, and of the numbers that there are no instances of now.
 */
export const filesToRestore = (config: Config, state: string, instance: number): readonly string[] =>
  savedFiles(saveStem(config, state))
    .filter(
      (file) =>
        instance === 0 || (Math.max(1, file.instance) - 1) % config.running.instances === instance - 1,
    )
    .map(({ path }) => path);

/** The process that saves, or restores. */
export interface Saver {
  /** State directory of the configuration. */
  readonly state: string;
  /** 0 in the foreground, from 1 for the instances of a configuration. */
  readonly instance: number;
  readonly logger: Logger;
  readonly write: (line: string) => Promise<void>;
}

export interface Saved {
  readonly file: Kit['saveFile'];
  /** The queue, after what was saved where that is to be restored. */
  readonly first: (consumer: Consumer) => Consumer;
}

/** What one process saves, and restores. A rehearsal does neither, and says what would be saved. */
export function openSaved(
  config: Config,
  { state, instance, logger, write }: Saver,
  rehearsal: boolean,
): Saved {
  const path = savePath(saveStem(config, state), instance);
  return {
    file: () => (rehearsal ? pretended(path, write) : openSaveFile(path)),
    first: (consumer) =>
      !config.queue.restore || rehearsal
        ? consumer
        : restoring(consumer, {
            files: filesToRestore(config, state, instance),
            exchange: exchangeOf(config),
            logger,
          }),
  };
}

/**
 * The exchange of messages that do not tell theirs, as those of version 2. Undefined where it would say whose they are,
 * and they could be of several: what one user has posted must not become another one's.
 */
function exchangeOf({ selection, bindings, declared }: Config): string | undefined {
  const owners = new Set(bindings.map(({ exchange }) => sourceOfExchange(exchange, declared.sources)));
  if (selection.sourceFromExchange && owners.size > 1) return undefined;
  return bindings[0]?.exchange ?? '';
}

const pretended = (path: string, write: Saver['write']): SaveFile => ({
  path,
  append: async (message) => write(`would save to ${path}: ${encodeSaved(message)}`),
  count: () => 0,
  close: async () => undefined,
});
