import { spawn } from 'node:child_process';
import { messageOf } from '../../errors.js';
import type { Logger } from '../../logger.js';

/** What a service manager is told. */
export interface Notifier {
  readonly ready: (text: string) => Promise<void>;
  readonly stopping: () => Promise<void>;
  /** Stops the signs of life. */
  readonly end: () => void;
}

export interface NotifyOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly program?: string;
}

const LIMIT = 5000;

/**
 * Tells systemd that we are ready, alive, and stopping, by its own program: sockets of that kind are not in the
 * standard library. Does nothing where no service manager listens. The signs of life come from the event loop of this
 * process, so that one that hangs is found.
 */
export function openNotifier({ environment, logger, program = 'systemd-notify' }: NotifyOptions): Notifier {
  const isListening = (environment['NOTIFY_SOCKET'] ?? '') !== '';
  const watchdog = Number(environment['WATCHDOG_USEC'] ?? '') / 1000;
  const isForUs = [undefined, '', String(process.pid)].includes(environment['WATCHDOG_PID']);
  const tell = (words: readonly string[]): Promise<void> =>
    isListening ? run(program, words, logger) : Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  return {
    ready: async (text) => {
      await tell(['--ready', `--status=${text}`]);
      if (isListening && isForUs && watchdog > 0)
        timer = setInterval(() => void tell(['WATCHDOG=1']), watchdog / 3);
    },
    stopping: () => tell(['STOPPING=1']),
    end: () => clearInterval(timer),
  };
}

/** Nothing that goes wrong here stops the work. */
const run = (program: string, words: readonly string[], logger: Logger): Promise<void> =>
  new Promise((resolve) => {
    const child = spawn(program, words, { stdio: 'ignore', timeout: LIMIT });
    child.once('error', (cause) => {
      logger.warning(`${program}: ${messageOf(cause)}: the service manager is not told`);
      resolve();
    });
    child.once('exit', () => resolve());
  });
