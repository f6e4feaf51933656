import type { Envelope } from '../message/announcement.js';
import type { Decoded } from '../message/wire.js';

/*
 * What a message says of its origin counts for nothing when a user may write it. This is decided before anything else
 * looks at the message, also for one that is refused: the record about it goes to whoever its headers name.
 */

/** Puts what the pump knows of the origin of a message in the place of what the message says. */
export type Vouch = (message: Decoded, exchange: string) => Decoded;

/** How a pump knows where a message comes from. */
export interface Origins {
  /** The declared source whose exchange it is; undefined when it is nobody's. */
  readonly sourceOf: (exchange: string) => string | undefined;
  /** The name of this pump. */
  readonly cluster: string;
}

/**
 * For the exchanges of users: the source is the one whose exchange it is, the cluster is this one. What comes through
 * an exchange that is no declared source's is refused (403), and its record names no source.
 */
export function vouchByExchange({ sourceOf, cluster }: Origins): Vouch {
  return (message, exchange) => {
    if (message.kind === 'report') return message;
    const source = sourceOf(exchange);
    const about = message.kind === 'post' ? message.announcement : message.about;
    const headers = headersFrom(about, source, cluster);
    if (message.kind === 'rejected') {
      return about === undefined ? message : { ...message, about: { ...about, headers } };
    }
    const { announcement } = message;
    if (source === undefined) {
      const reason = `Forbidden: exchange ${exchange || '(none)'} belongs to no declared source`;
      return { kind: 'rejected', code: 403, reason, about: { ...announcement, headers } };
    }
    const warnings = [...message.warnings];
    for (const [name, true_] of Object.entries({ source, from_cluster: cluster })) {
      const said = announcement.headers.get(name);
      if (said === undefined || said === true_) continue;
      warnings.push(`header ${name} said ${JSON.stringify(said)} on exchange ${exchange}, it is ${true_}`);
    }
    return { ...message, announcement: { ...announcement, headers }, warnings };
  };
}

function headersFrom(
  about: Envelope | undefined,
  source: string | undefined,
  cluster: string,
): ReadonlyMap<string, string> {
  const headers = new Map(about?.headers);
  headers.set('from_cluster', cluster);
  if (source === undefined) headers.delete('source');
  else headers.set('source', source);
  return headers;
}
