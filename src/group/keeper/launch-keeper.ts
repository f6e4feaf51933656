import { FatalError, messageOf } from '../../errors.js';
import type { Spawns } from '../kept/spawns.js';

/** Milliseconds until a keeper must answer: it has found what runs by then. */
const LIMIT = 30_000;

/** Starts a keeper, and waits until it answers. Throws FatalError when it does not come so far. */
export function launchKeeper(spawns: Spawns, fresh: boolean): Promise<void> {
  const child = spawns.keeper(fresh);
  return new Promise((resolve, reject) => {
    const end = (fault?: string): void => {
      clearTimeout(late);
      if (child.connected) child.disconnect();
      child.unref();
      if (fault === undefined) resolve();
      else reject(new FatalError(`the keeper did not start: ${fault}`));
    };
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      end(`it was not ready within ${LIMIT / 1000} s`);
    }, LIMIT);
    child.once('message', (message: { readonly kind: string; readonly text?: string }) =>
      end(message.kind === 'ready' ? undefined : (message.text ?? 'it failed')),
    );
    child.once('error', (cause) => end(messageOf(cause)));
    child.once('exit', (status, signal) => end(`it ended with ${signal ?? `exit status ${status ?? 1}`}`));
  });
}
