import { consumers, everywhere, group, option, readers, receivers, walkers } from '../option.js';
import { administrator, codes } from '../special-values.js';
import { boolean, count, duration, list, listOf, oneOf, optionalText, url } from '../values.js';

/** Who may act for the pump, or lets records travel. */
const managed = everywhere.filter((name) => !walkers.includes(name));

/** Reports, and the administration of a pump. */
export const reporting = group({
  report_back: option({
    type: boolean,
    default: true,
    components: readers,
    aliases: ['reportback', 'rb'],
    oldSpellings: ['log_back', 'lb'],
    help: 'Send a report about every message to its source.',
  }),
  report_exchange: option({
    type: optionalText,
    default: undefined,
    components: receivers,
    aliases: ['lx', 'le'],
    oldSpellings: ['log_exchange'],
    help: 'Exchange reports are sent to.',
  }),
  report_dialect: option({
    type: oneOf('auto', 'log', 'report'),
    default: 'auto',
    components: consumers,
    help: 'Words of topics and exchanges of reports; auto asks the broker.',
  }),
  code: option({
    type: codes,
    default: [],
    components: ['report'],
    help: 'Show only records with these codes, or classes of codes such as 4xx.',
  }),
  consumer: option({
    type: list,
    default: [],
    components: ['report'],
    aliases: ['user'],
    help: 'Show only records of these users.',
  }),
  consumer_host: option({
    type: list,
    default: [],
    components: ['report'],
    help: 'Show only records from these hosts.',
  }),
  report_daemons: option({
    type: boolean,
    default: false,
    components: ['audit'],
    help: 'Run the processes that route reports.',
  }),
  admin: option({
    type: administrator(url),
    default: undefined,
    components: managed,
    help: 'Account that administers the broker.',
  }),
  feeder: option({
    type: url,
    default: undefined,
    components: managed,
    aliases: ['manager'],
    help: 'Account of the pump itself, used by its own components.',
  }),
  management: option({
    type: url,
    default: undefined,
    components: ['audit'],
    help: 'Address of the management API; that of the host of admin, port 15672, or 15671 with TLS, unless given.',
  }),
  audit_apply: option({
    type: listOf('exchanges', 'queues', 'users', 'permissions', 'daemons', 'quota'),
    default: [],
    components: ['audit'],
    help: 'Kinds of findings that are mended, by removal, too; everything else is only reported.',
  }),
  user_permissions: option({
    type: oneOf('strict', 'v2'),
    default: 'strict',
    components: ['audit'],
    help: 'Patterns of permissions; v2 lets sources declare exchanges that begin with xs_ and their name.',
  }),
  users: option({
    type: boolean,
    default: false,
    components: ['audit'],
    help: 'Create the declared users and their permissions.',
  }),
  pump: option({
    type: boolean,
    default: false,
    components: ['audit'],
    help: 'Check the settings of the pump.',
  }),
  set_passwords: option({
    type: boolean,
    default: true,
    components: ['audit'],
    help: 'Set passwords from the credentials file.',
  }),
  max_queue_size: option({
    type: count(),
    default: 25000,
    components: ['audit'],
    help: 'Messages above which a queue is reported.',
  }),
  queue_idle: option({
    type: duration,
    default: 3600,
    components: ['audit'],
    help: 'Time without consumer after which a queue that is too long may be removed.',
  }),
});
