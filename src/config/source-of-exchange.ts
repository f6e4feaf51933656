/**
 * The declared source a user exchange belongs to: the longest U for which the exchange is `xs_U`, `xs_U_...` or
 * `xs_U` and two digits. Undefined when the exchange is nobody's: what it carries has no trustworthy origin.
 */
export function sourceOfExchange(exchange: string, sources: Iterable<string>): string | undefined {
  let best: string | undefined;
  for (const source of sources) {
    const own = `xs_${source}`;
    if (source === '' || !exchange.startsWith(own)) continue;
    const rest = exchange.slice(own.length);
    if (!/^(?:_.*|\d\d)?$/s.test(rest)) continue;
    if (best === undefined || source.length > best.length) best = source;
  }
  return best;
}
