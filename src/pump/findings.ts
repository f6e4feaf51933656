import type { Rights } from '../broker/listed.js';
import type { NewUser } from '../broker/management.js';

/** Classes that `audit_apply` names; nothing of the class `pump` is mended by an audit. */
export const classes = ['exchanges', 'queues', 'users', 'permissions', 'daemons', 'quota', 'pump'] as const;
export type FindingClass = (typeof classes)[number];

/** A note is worth knowing and no fault: it does not decide how the audit ends. */
export type Severity = 'error' | 'warning' | 'note';

/** One change of what runs on this host. */
export type HostRepair =
  /** A configuration, such as `sarra/from_alice`. */
  | { readonly action: 'start'; readonly kind: 'daemon'; readonly name: string }
  /** What the sources of a configuration keep. */
  | { readonly action: 'recount'; readonly kind: 'quota'; readonly name: string };

/** One change. */
export type Repair = BrokerRepair | HostRepair;

/** One change of the broker. */
export type BrokerRepair =
  | { readonly action: 'create'; readonly kind: 'exchange'; readonly name: string }
  | {
      readonly action: 'delete';
      readonly kind: 'exchange' | 'queue' | 'user';
      readonly name: string;
      /** A queue that holds messages stays. */
      readonly unlessFull?: boolean;
    }
  | {
      readonly action: 'create';
      readonly kind: 'user';
      readonly name: string;
      /** Undefined where a directory service knows the password. */
      readonly password: string | undefined;
      readonly tags: readonly string[];
    }
  | {
      readonly action: 'change';
      readonly kind: 'password';
      readonly name: string;
      readonly password: string;
      readonly tags: readonly string[];
    }
  | {
      readonly action: 'change';
      readonly kind: 'tags';
      readonly name: string;
      readonly before: NewUser;
      readonly tags: readonly string[];
    }
  | {
      /** Those in this virtual host; the user stays. */
      readonly action: 'delete';
      readonly kind: 'rights';
      readonly name: string;
      readonly before: Rights;
    }
  | {
      readonly action: 'create' | 'change';
      readonly kind: 'permissions';
      readonly name: string;
      readonly before: Rights | undefined;
      readonly rights: Rights;
    };

/** One thing that is not as it should be. */
export interface Finding {
  readonly class: FindingClass;
  /** What kind of fault, in one word: `missing-exchange`. */
  readonly code: string;
  readonly severity: Severity;
  /** Name of the exchange, queue, user or file. */
  readonly object: string;
  readonly text: string;
  /** What an operator can do. */
  readonly remedy: string;
  /** What an audit would do that is told to mend this class. */
  readonly repair: Repair | undefined;
}

export const isFault = ({ severity }: Finding): boolean => severity !== 'note';

const rightsText = (rights: Rights | undefined): string =>
  rights === undefined ? 'none' : `configure ${rights.configure} write ${rights.write} read ${rights.read}`;

const tagsText = (tags: readonly string[]): string =>
  tags.length === 0 ? 'no tag' : `tag ${tags.join(',')}`;

/** A change as lines of a difference: `-` goes, `+` comes. No password is in them. */
export function differenceOf(repair: Repair): readonly string[] {
  const { kind, name } = repair;
  switch (kind) {
    case 'daemon':
      return [`~ ${name} is started again, or replaced`];
    case 'quota':
      return [`~ ${name} counts its files anew`];
    case 'exchange':
    case 'queue':
      return [`${repair.action === 'create' ? '+' : '-'} ${kind} ${name}`];
    case 'user':
      return repair.action === 'create' ? [`+ user ${name}, ${tagsText(repair.tags)}`] : [`- user ${name}`];
    case 'password':
      return [`- password of ${name}`, `+ password of ${name}, as in credentials.conf`];
    case 'tags':
      return [`- user ${name}, ${tagsText(repair.before.tags)}`, `+ user ${name}, ${tagsText(repair.tags)}`];
    case 'rights':
      return [`- permissions of ${name}: ${rightsText(repair.before)} (the user stays)`];
    case 'permissions':
      return [
        ...(repair.before === undefined ? [] : [`- permissions of ${name}: ${rightsText(repair.before)}`]),
        `+ permissions of ${name}: ${rightsText(repair.rights)}`,
      ];
  }
}

export const isOfBroker = (repair: Repair): repair is BrokerRepair =>
  repair.kind !== 'daemon' && repair.kind !== 'quota';

/** What the findings ask to be made or changed on the broker; nothing that is removed. */
export const withoutRemovals = (findings: readonly Finding[]): readonly BrokerRepair[] =>
  findings.flatMap(({ repair }) =>
    repair === undefined || !isOfBroker(repair) || repair.action === 'delete' ? [] : [repair],
  );

/** A finding for programs: no password is in it. */
export const findingAsJson = (finding: Finding, state: string): object => ({
  class: finding.class,
  code: finding.code,
  severity: finding.severity,
  object: finding.object,
  text: finding.text,
  remedy: finding.remedy,
  action: finding.repair === undefined ? null : `${finding.repair.action} ${finding.repair.kind}`,
  difference: finding.repair === undefined ? [] : differenceOf(finding.repair),
  state,
});
