/** What the client library throws, translated once. Nobody else reads its error codes or texts. */
import { systemCode } from '../errors.js';
import type { BrokerAddress } from './broker.js';

/** AMQP reply codes that end a channel and that we act upon. */
export const replies = { refused: 403, notFound: 404, preconditionFailed: 406 } as const;

/** The broker's reply code (404, 403, ...) of a thrown value; undefined when the broker did not say one. */
export function replyCode(thrown: unknown): number | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'number' ? thrown.code : undefined;
}

/** The broker's own words without the library's wrapping. */
export function replyText(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return /with message "(.*)"$/s.exec(text)?.[1] ?? text;
}

/** The exchange a refused or impossible publish was meant for; undefined when the reply names none. */
export function exchangeInReply(thrown: unknown): string | undefined {
  const text = replyText(thrown);
  return (/no exchange '(.*)' in vhost/s.exec(text) ?? /exchange '(.*)' in vhost/s.exec(text))?.[1];
}

/**
 * Why a broker could not be reached. An `outage` may end by itself; what is `refused` needs an operator. A missing
 * `vhost` is told apart because the name may have to be tried with its slash.
 */
export interface DialFailure {
  readonly kind: 'outage' | 'refused' | 'vhost';
  readonly reason: string;
}

/** Where, for messages: never with the password. */
export const placeOf = (address: BrokerAddress): string =>
  `${address.tls ? 'amqps' : 'amqp'}://${address.user}@${address.host}:${address.port}`;

const tlsCode =
  /^(CERT_|DEPTH_ZERO_|UNABLE_TO_|SELF_SIGNED|ERR_TLS|ERR_SSL|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

/** Sorts what a connection attempt threw. */
export function dialFailure(address: BrokerAddress, thrown: unknown): DialFailure {
  const place = placeOf(address);
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  if (text.startsWith('Expected ConnectionOpenOk; got <ConnectionClose'))
    return {
      kind: 'vhost',
      reason: `${place} does not let this user into the virtual host "${address.vhost}": it does not exist there, or the user has no permissions in it; check the path of the broker URL`,
    };
  if (text.startsWith('Handshake terminated by server'))
    return {
      kind: 'refused',
      reason: `${place} refused the login; check user and password in credentials.conf (the broker said: ${replyText(thrown)})`,
    };
  if (text.startsWith('SASL mechanism'))
    return {
      kind: 'refused',
      reason: `${place} does not offer the login method ${address.login}; choose another login_method in credentials.conf`,
    };
  const code = systemCode(thrown);
  if (code !== undefined && tlsCode.test(code))
    return {
      kind: 'refused',
      reason: `TLS with ${place} failed (${code}): ${text}; check the certificate, or the option tls_rigour`,
    };
  return {
    kind: 'outage',
    reason: `cannot reach ${place}: ${text === '' ? (code ?? 'no reason given') : text}`,
  };
}
