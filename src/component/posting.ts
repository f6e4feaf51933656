import type { Config } from '../config/config.js';
import { FatalError } from '../errors.js';
import type { AnnounceOptions } from '../stage/pass/announce.js';
import type { DescribeOptions } from '../stage/post/describe.js';
import type { Event } from '../stage/choose/events.js';
import { stripPath } from '../stage/place/place.js';
import type { Kit } from './component.js';
import { headersOf, topicPrefixOf } from './consuming.js';

/** Options of the stage that publishes. */
export function announceOptions({ posting, queue }: Config): AnnounceOptions {
  const { postExchange } = posting;
  if (postExchange === undefined) {
    throw new FatalError('post_exchange is missing: name the exchange to post to', { exitCode: 2 });
  }
  return {
    exchange: postExchange,
    split: posting.postExchangeSplit,
    persistent: queue.persistent,
    expiration: queue.messageTtl === undefined ? undefined : queue.messageTtl * 1000,
    requireSubscriber: posting.requireSubscriber,
  };
}

/** Options of the stage that names what was found. */
export function describeOptions(
  config: Config,
  kit: Kit,
  announced?: DescribeOptions['announced'],
): DescribeOptions {
  const { posting, selection, transfer, queue, placement } = config;
  const strip = placement.strip;
  return {
    baseUrls: posting.postBaseUrl,
    baseDir: posting.postBaseDir,
    announced,
    topicPrefix: posting.postTopicPrefix ?? topicPrefixOf(config),
    subtopic: queue.subtopic.at(-1),
    events: selection.events as readonly Event[],
    identity: {
      to_clusters: selection.to.length > 0 ? selection.to.join(',') : kit.postHost,
      from_cluster: selection.cluster,
      source: selection.source,
      flow: posting.flow,
    },
    headers: headersOf(config),
    rename: posting.rename,
    strip: typeof strip === 'number' && strip === 0 ? undefined : (path) => stripPath(path, strip),
    preserveMode: transfer.preserveMode,
    preserveTime: transfer.preserveTime,
    now: kit.now,
    warn: (text) => kit.logger.warning(text),
  };
}
