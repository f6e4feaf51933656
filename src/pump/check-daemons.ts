import type { Finding } from './findings.js';

/** A configuration as its processes are. */
export interface CheckedDaemon {
  /** `sarra/from_alice`. */
  readonly key: string;
  /** Undefined where its file is gone. */
  readonly program: string | undefined;
  /** It was started with `sr`, and not stopped. */
  readonly isWanted: boolean;
  /** `left`: its process died without being stopped; `silent`: it lives and does not answer. */
  readonly state: 'running' | 'failed' | 'silent' | 'left' | 'stopped';
  readonly reason?: string;
}

/** What should run and does not, what hangs, and what has given up. */
export const checkDaemons = (daemons: readonly CheckedDaemon[]): readonly Finding[] => daemons.flatMap(judge);

const remedy = 'sr sanity, or audit_apply daemons';

function judge({ key, program, isWanted, state, reason = '' }: CheckedDaemon): readonly Finding[] {
  const finding = { class: 'daemons', severity: 'error', object: key } as const;
  // Only what sr keeps is started and replaced by it; the others are somebody's own doing.
  const repair = isWanted ? ({ action: 'start', kind: 'daemon', name: key } as const) : undefined;
  const [component = '', name = ''] = key.split('/');
  const by = program ?? `sr_${component}`;
  switch (state) {
    case 'running':
      return [];
    case 'failed':
      return [
        {
          ...finding,
          code: 'failed-daemon',
          text: `${key} has given up: ${reason}`,
          remedy: `correct that, then: ${by} start ${name}`,
          repair: undefined,
        },
      ];
    case 'silent':
      return [
        {
          ...finding,
          code: 'hung-daemon',
          text: `${key} runs, and does not answer`,
          remedy: isWanted ? remedy : `${by} restart ${name}`,
          repair,
        },
      ];
    case 'left':
    case 'stopped':
      if (isWanted)
        return [
          {
            ...finding,
            code: 'missing-daemon',
            text: `${key} was started and not stopped, and does not run`,
            remedy,
            repair,
          },
        ];
      return state === 'stopped'
        ? []
        : [
            {
              ...finding,
              code: 'died-daemon',
              severity: 'warning',
              text: `${key} has died, and nothing starts it again`,
              remedy: `${by} start ${name}, or sr start ${key}`,
              repair: undefined,
            },
          ];
  }
}
