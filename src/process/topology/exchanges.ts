import type { Config } from '../../config/config.js';
import { postedExchanges } from '../../config/reading/bindings.js';

/** The exchanges that a configuration posts to: several when posts are spread by checksum. */
export const exchangesOf = ({ posting }: Config): readonly string[] =>
  posting.postBroker.length === 0 ? [] : postedExchanges(posting.postExchange, posting.postExchangeSplit);

/** Exchanges that belong to the pump, not to one configuration: never removed with it. */
export const isStandardExchange = (name: string): boolean =>
  /^(xpublic|xreport|xlog|xs_mqtt_public|xwinnow.*)$/.test(name);
