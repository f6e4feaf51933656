import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { PermanentError } from '../errors.js';
import { isPublicAddress } from './address.js';

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

/** The error about a host and the address it has. */
type Refusal = (host: string, address: string) => Error;

/** Resolves names, and leaves out every address that is not public. */
export function publicLookup({ isPublic, lookup }: Addresses, refusal: Refusal): LookupFunction {
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

/** Because whoever announces the file may not have us ask the machines of this network. */
export const notAllowed = (host: string, address: string): Error =>
  new PermanentError(
    403,
    `Forbidden: ${host} is ${address}, which is not public: refused; 'source_hosts ${host}' allows it`,
  );
