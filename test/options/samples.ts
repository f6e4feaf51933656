import { findOption } from '../../src/config/options/index.js';

/** Values that are not the default, where the type alone does not tell one. */
const samples: Readonly<Record<string, string>> = {
  accept: '.*',
  reject: '.*',
  admin: 'amqp://root@localhost:1/',
  feeder: 'amqp://feed@localhost:1/',
  broker: 'amqp://eve@localhost:1/',
  post_broker: 'amqp://eve@localhost:1/',
  post_base_url: 'http://else.example.org/',
  destination: 'sftp://else.example.org/',
  declare: 'env A=b',
  move: '/a /b',
  path: '/else',
  parts: 'i,7K',
  sum: 's',
  header: 'a=b',
  events: 'create',
  code: '4xx',
  filename: 'WHATFN',
  inflight: '.part',
  strip: '3',
  access: 'bob',
  quota: 'alice 7G',
  outlet: 'json',
  loglevel: 'warning',
  log_format: 'json',
  statehost: 'fqdn',
  tls_rigour: 'strict',
  ssh_host_key: 'off',
  on_mismatch: 'reject',
  durability: 'power',
  inline_encoding: 'text',
  suppress_duplicates: '7m',
  suppress_duplicates_basis: 'data',
  report_dialect: 'log',
  audit_apply: 'queues',
  user_permissions: 'v2',
  management: 'http://else.example.org:15672/',
  document_root: '/else',
  retry_order: 'newest',
  topic_prefix: 'v02.post.else',
};

const byType: Readonly<Record<string, string>> = {
  boolean: 'on',
  count: '7',
  duration: '7m',
  size: '7K',
  mode: '0640',
  list: 'one,two',
  rate: '7',
  plugin: 'x',
  topic: 'a.#',
  path: '/else',
  paths: '/else',
  directory: '/else',
  text: 'else',
};

/** Some value of an option, as it is written. */
export function sampleOf(option: string): string {
  const type = findOption(option)?.row.type.name ?? '';
  const found = samples[option] ?? byType[type];
  if (found === undefined) throw new Error(`no sample for ${option}, of type ${type}`);
  return found;
}

/** A line with some value of an option, under its own name or another, and what must go with it. */
export const linesOf = (option: string, keyword = option): readonly string[] => [
  `${keyword} ${sampleOf(option)}`,
  ...(option === 'post_broker' ? ['post_exchange xelse'] : []),
];
