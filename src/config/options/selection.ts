import {
  announcers,
  carriers,
  downloaders,
  everywhere,
  group,
  option,
  readers,
  receivers,
  routers,
} from '../option.js';
import { eventList } from '../special-values.js';
import { boolean, list, oneOf, optionalText, pair } from '../values.js';

/** Which messages, and whose. `accept` and `reject` lines become rules. */
export const selection = group({
  accept: option({
    type: pair,
    default: undefined,
    components: everywhere,
    aliases: ['get'],
    repeat: 'accumulate',
    help: 'Take what matches the pattern, with the placement in force; a second word names the file.',
  }),
  reject: option({
    type: pair,
    default: undefined,
    components: everywhere,
    repeat: 'accumulate',
    help: 'Drop what matches the pattern.',
  }),
  accept_unmatch: option({
    type: boolean,
    default: false,
    components: everywhere,
    aliases: ['accept_unmatched', 'au'],
    help: 'What happens to messages no rule matches.',
  }),
  source_from_exchange: option({
    type: boolean,
    default: false,
    components: receivers,
    aliases: ['sfe'],
    help: 'The name of the exchange, not the message, says who the source is.',
  }),
  source: option({
    type: optionalText,
    default: undefined,
    components: carriers,
    help: 'Value of the source header of messages that have none.',
  }),
  cluster: option({
    type: optionalText,
    default: undefined,
    components: [...carriers, ...routers],
    aliases: ['cl', 'from_cluster', 'fc'],
    help: 'Name of this pump, the from_cluster header.',
  }),
  cluster_aliases: option({
    type: list,
    default: [],
    components: ['sarra', ...routers],
    aliases: ['ca'],
    help: 'Other names of this pump.',
  }),
  gateway_for: option({
    type: list,
    default: [],
    components: ['sarra'],
    aliases: ['gf'],
    help: 'Pumps reached through this one.',
  }),
  loop_check: option({
    type: boolean,
    default: true,
    components: ['sarra'],
    help: 'Drop what comes back from another pump to the one it came from.',
  }),
  to: option({
    type: list,
    default: [],
    components: [...carriers, 'log2clusters'],
    help: 'Pumps the data is meant for, the to_clusters header.',
  }),
  events: option({
    type: eventList,
    default: ['create', 'delete', 'link', 'modify'],
    components: [...downloaders, 'sender', ...announcers],
    aliases: ['e'],
    help: 'Changes that are honoured or posted.',
  }),
  notify_only: option({
    type: boolean,
    default: false,
    components: [...downloaders, 'shovel', 'winnow', 'report', 'cpump'],
    aliases: ['no_download', 'no-download', 'n'],
    help: 'Transfer nothing; post or print.',
  }),
  outlet: option({
    type: oneOf('post', 'json', 'url'),
    default: 'post',
    components: readers,
    help: 'Where accepted messages go; json and url print a line each.',
  }),
});
