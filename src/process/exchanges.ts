import type { Config } from '../config/config.js';

/** The exchanges that a configuration posts to: several when posts are spread by checksum. */
export function exchangesOf({ posting }: Config): readonly string[] {
  const { postExchange, postExchangeSplit, postBroker } = posting;
  if (postExchange === undefined || postBroker.length === 0) return [];
  if (postExchangeSplit < 1) return [postExchange];
  return Array.from(
    { length: postExchangeSplit },
    (_, number) => `${postExchange}${String(number).padStart(2, '0')}`,
  );
}

/** Exchanges that belong to the pump, not to one configuration: never removed with it. */
export const isStandardExchange = (name: string): boolean =>
  /^(xpublic|xreport|xlog|xs_mqtt_public|xwinnow.*)$/.test(name);
