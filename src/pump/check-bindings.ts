import type { Expected } from './expected.js';
import { ownerOfExchange } from './expected.js';
import type { Finding } from './findings.js';
import type { Picture } from './picture.js';

/** Exchanges that are posted to and that nothing reads: what comes there is gone. */
export function checkBindings(expected: Expected, picture: Picture): readonly Finding[] {
  const read = new Set(picture.bindings.map(({ source }) => source));
  return picture.exchanges.flatMap(({ name, published = 0 }) => {
    if (read.has(name)) return [];
    const owner = name.startsWith('xs_') ? ownerOfExchange(name, expected.users.keys()) : undefined;
    if (owner !== undefined && expected.users.get(owner) === 'source')
      return [unread(name, owner, published)];
    return published > 0 && /^x(?!l_|r_|public$)/u.test(name) && owner === undefined
      ? [lost(name, published)]
      : [];
  });
}

const unread = (name: string, owner: string, published: number): Finding => ({
  class: 'pump',
  code: 'unread-posts',
  severity: published > 0 ? 'warning' : 'note',
  object: name,
  text:
    published > 0
      ? `${published} messages were posted to ${name}, and nothing reads what ${owner} posts`
      : `nothing reads what ${owner} will post to ${name}`,
  remedy: `start a configuration of sr_sarra or sr_winnow with exchange ${name}`,
  repair: undefined,
});

const lost = (name: string, published: number): Finding => ({
  class: 'pump',
  code: 'unread-exchange',
  severity: 'warning',
  object: name,
  text: `${published} messages were posted to ${name}, and no queue or exchange is bound to it`,
  remedy: 'start its reader, or stop posting to it',
  repair: undefined,
});
