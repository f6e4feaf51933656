import type { Finding } from './findings.js';

const day = 86_400_000;

/** Days before its end from which a certificate is an error, and a warning. */
const shortTime = 7;
const someTime = 30;

/** Tells in time that the certificate of a server ends. */
export function checkCertificate(host: string, end: Date | undefined, now: number): readonly Finding[] {
  if (end === undefined) return [];
  const days = Math.floor((end.getTime() - now) / day);
  if (days > someTime) return [];
  const when = end.toISOString().slice(0, 10);
  return [
    {
      class: 'pump',
      code: 'certificate',
      severity: days <= shortTime ? 'error' : 'warning',
      object: host,
      text:
        days < 0
          ? `the certificate of ${host} ended on ${when}`
          : `the certificate of ${host} ends on ${when}, in ${days} days`,
      remedy: 'give the broker a new one',
      repair: undefined,
    },
  ];
}
