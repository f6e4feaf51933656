import { connect, type TLSSocket } from 'node:tls';
import { RetryableError } from '../errors.js';
import type { BrokerAddress } from './broker.js';

/** Milliseconds for connecting and shaking hands. */
const DEADLINE = 10_000;

/**
 * When the certificate that a broker shows ends; undefined where it shows none. It is looked at, not judged. Throws
 * RetryableError when the broker cannot be reached.
 */
export function certificateEnd(
  { host, port }: Pick<BrokerAddress, 'host' | 'port'>,
  stop?: AbortSignal,
): Promise<Date | undefined> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      end();
      reject(new RetryableError(`${host}:${port}: its certificate cannot be looked at: ${why}`));
    };
    const onStop = (): void => fail('stopped');
    const late = setTimeout(() => fail(`no answer within ${DEADLINE / 1000} s`), DEADLINE);
    const socket: TLSSocket = connect({ host, port, servername: host, rejectUnauthorized: false });
    const end = (): void => {
      clearTimeout(late);
      stop?.removeEventListener('abort', onStop);
      socket.destroy();
    };
    stop?.addEventListener('abort', onStop, { once: true });
    socket.on('error', (error: Error) => fail(error.message));
    socket.once('secureConnect', () => {
      const shown: { readonly valid_to?: unknown } = socket.getPeerCertificate();
      end();
      const date = new Date(typeof shown.valid_to === 'string' ? shown.valid_to : '');
      resolve(Number.isNaN(date.getTime()) ? undefined : date);
    });
    if (stop?.aborted === true) onStop();
  });
}
