import type { Config } from '../config/config.js';
import { isWritten } from '../config/rules.js';
import type { LogLevel, Logger } from '../logger.js';
import { createLogger } from '../process/log/log.js';
import type { Terminal } from './action.js';

/**
 * A logger whose lines go to standard error. What a configuration says of its level holds; where it says nothing
 * the level is `usual`.
 */
export function logTo(terminal: Terminal, config: Config, usual: LogLevel): Promise<Logger> {
  const written = config.origins.get('loglevel');
  const isSaid = written !== undefined && isWritten(written.origin);
  return createLogger({
    level: isSaid ? config.running.loglevel : usual,
    format: config.running.logFormat === 'json' ? 'json' : 'text',
    write: terminal.note,
    base: { program: config.program, configuration: config.name, instance: 0 },
  });
}
