import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import type { buildConnector } from 'undici';
import { PermanentError } from '../errors.js';
import { isPublicAddress } from './address.js';
import { webClient } from './web-client.js';

/** How names become addresses, and which of those are public. Replaced only by tests. */
export interface Addresses {
  readonly isPublic: (address: string) => boolean;
  readonly lookup: LookupFunction;
}

export const systemAddresses: Addresses = {
  isPublic: isPublicAddress,
  lookup: (name, options, done) => {
    systemLookup(name, options, done);
  },
};

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

/** Resolves names, and leaves out every address that is not public. */
function publicLookup({ isPublic, lookup }: Addresses, refusal: Guard['refusal']): LookupFunction {
  return (name, options, done) => {
    lookup(name, { ...options, all: true }, (error, found) => {
      if (error !== null) {
        done(error, [] as LookupAddress[]);
        return;
      }
      const all = typeof found === 'string' ? [{ address: found, family: isIP(found) }] : found;
      const [first, ...others] = all.filter(({ address }) => isPublic(address));
      if (first === undefined) {
        done(refusal(name, all.map(({ address }) => address).join(', ')), [] as LookupAddress[]);
      } else if (options.all === true) done(null, [first, ...others]);
      else done(null, first.address, first.family);
    });
  };
}

/** Because a public server sends us there. */
export const notPublic = (host: string, address: string): Error =>
  new PermanentError(
    499,
    `a public server redirects to ${host}, which is ${address} and not public: refused; 'redirect_private on' allows it`,
  );

/** Because whoever announces the file may not have us ask the machines of this network. */
export const notAllowed = (host: string, address: string): Error =>
  new PermanentError(
    403,
    `Forbidden: ${host} is ${address}, which is not public: refused; 'source_hosts ${host}' allows it`,
  );
