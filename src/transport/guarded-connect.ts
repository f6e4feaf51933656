import { isIP } from 'node:net';
import type { buildConnector } from 'undici';
import { PermanentError } from '../errors.js';
import { type Addresses, publicLookup } from './public-lookup.js';
import { webClient } from './http/web-client.js';

export interface Guard {
  readonly addresses: Addresses;
  /** Only public addresses may be connected to. */
  readonly publicOnly: boolean;
  /** Why others are refused: the error about a host and the address it has. */
  readonly refusal: (host: string, address: string) => Error;
  /** Told of every connection that is made, whether it leads to a public address. */
  readonly onConnected: (isPublic: boolean) => void;
}

/**
 * Makes connections, and looks at the address that each one really leads to: a name is resolved once, and only by the
 * connection itself, so it cannot mean one machine while it is judged and another one when it is used.
 */
export function guardedConnector(
  options: buildConnector.BuildOptions,
  guard: Guard,
): buildConnector.connector {
  const { addresses, publicOnly, refusal, onConnected } = guard;
  const connect = webClient.buildConnector({
    ...options,
    lookup: publicOnly ? publicLookup(addresses, refusal) : addresses.lookup,
  });
  return (target, done) => {
    const literal = target.hostname.replace(/^\[(.*)\]$/u, '$1');
    // An address needs no lookup: it is judged before the first packet.
    if (publicOnly && isIP(literal) !== 0 && !addresses.isPublic(literal)) {
      process.nextTick(done, refusal(target.hostname, literal), null);
      return;
    }
    connect(target, (...[error, socket]) => {
      if (error !== null) {
        done(error, null);
        return;
      }
      const isPublic = addresses.isPublic(socket.remoteAddress ?? '');
      if (publicOnly && !isPublic) {
        const found = socket.remoteAddress ?? 'nobody knows what';
        socket.destroy();
        done(refusal(target.hostname, found), null);
        return;
      }
      onConnected(isPublic);
      done(null, socket);
    });
  };
}

/** Because a public server sends us there. */
export const notPublic = (host: string, address: string): Error =>
  new PermanentError(
    499,
    `a public server redirects to ${host}, which is ${address} and not public: refused; 'redirect_private on' allows it`,
  );
