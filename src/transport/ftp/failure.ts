import { PermanentError, RetryableError, messageOf, systemCode } from '../../errors.js';
import { HostFailure, isHostCode } from '../host-failure.js';
import type { Account } from './account.js';
import { textOf, type Reply } from './reply.js';

/** Without an operator nothing changes: not tried again within a pass, and not soon after. */
const operatorPause = 5 * 60_000;

/** Room is made by somebody, or comes by itself when files are taken away. */
const fullPause = 60_000;

const certificate = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|ALTNAME/u;

const later = (pause: number): Date => new Date(Date.now() + pause);

/** The server has said no, in a reply. Its message names what it was to do, and the remedy. */
export class RefusedReply extends RetryableError {
  readonly code: number;

  constructor(message: string, { code }: Reply, notBefore?: Date) {
    super(message, notBefore === undefined ? {} : { notBefore });
    this.code = code;
  }
}

/** The server takes no more connections, or not this one for longer. */
export class NoMoreConnections extends HostFailure {}

/** User or password are not accepted. */
export class LoginRefused extends RetryableError {}

/** The house's error for whatever the library or a socket threw, in a sentence that begins with what was tried. */
export function ftpError(
  thrown: unknown,
  tried: string,
  { password }: Account,
): RetryableError | PermanentError {
  if (thrown instanceof RetryableError || thrown instanceof PermanentError) return thrown;
  const what = `cannot ${tried}`;
  const cause = thrown;
  const code = systemCode(thrown);
  if (code !== undefined && certificate.test(code)) {
    const remedy = "correct the server's certificate, or choose a lower tls_rigour";
    return new HostFailure(`${what}: certificate not accepted (${code}): ${remedy}`, {
      cause,
      notBefore: later(operatorPause),
    });
  }
  if (code?.startsWith('ERR_SSL') === true || code === 'EPROTO') {
    const remedy = 'is TLS spoken on this port, and implicit_ftps in credentials.conf as it should be?';
    return new HostFailure(`${what}: no TLS (${code}): ${remedy}`, { cause });
  }
  const text = withoutSecret(messageOf(thrown).replace(/\p{C}+/gu, ' '), password).slice(0, 300);
  const isLost = isHostCode(code) || /closed|FIN packet|maximum allowed size/u.test(text);
  return new (isLost ? HostFailure : RetryableError)(`${what}: ${code ?? ''} ${text}`, { cause });
}

/** The error for a reply that is not the one hoped for. `step` is the command's name. */
export function replyError(
  reply: Reply,
  tried: string,
  step: string,
  { password, security }: Account,
): RetryableError | PermanentError {
  const said = withoutSecret(textOf(reply), password);
  const what = `cannot ${tried}: ${step} was answered ${said}`;
  const { code } = reply;
  if (code === 421) {
    return new NoMoreConnections(
      `${what}: too many connections, or too long without a command: fewer lanes may help`,
    );
  }
  if (wantsTls(reply)) {
    const remedy =
      security === 'none'
        ? "the server wants TLS: add 'tls,prot_p' to the entry in credentials.conf"
        : "check 'prot_p' in credentials.conf, and what the server asks of TLS";
    return new RefusedReply(`${what}: ${remedy}`, reply, later(operatorPause));
  }
  if (code === 530 || code === 532) {
    return new RefusedReply(
      `${what}: check the entry in credentials.conf and the rights on the server`,
      reply,
      later(operatorPause),
    );
  }
  if (code === 452 || code === 552 || /no space|disk full|quota/iu.test(said)) {
    return new RefusedReply(`${what}: no space on the server: make room there`, reply, later(fullPause));
  }
  if (code === 425) {
    const remedy = "check the firewalls, or choose 'active' or 'passive' in credentials.conf";
    return new RefusedReply(`${what}: no data connection: ${remedy}`, reply);
  }
  if (code === 550 || code === 553) return refusedName(reply, what, said);
  if ([500, 501, 502, 504].includes(code)) {
    return new PermanentError(499, `${what}: the server does not know this`);
  }
  return new RefusedReply(`${what}: try later`, reply);
}

/** Some codes are for that alone, others need words. */
const wantsTls = ({ code, message }: Reply): boolean =>
  [521, 522, 534].includes(code) ||
  ([503, 530, 550].includes(code) && /\b(TLS|SSL)\b|encrypt|PROT\b/iu.test(message));

/** Both codes say that a name is no good, and only the text tells why. */
function refusedName(reply: Reply, what: string, said: string): RefusedReply {
  if (/permission|denied|access|not allowed|not permitted|overwrite|read-only/iu.test(said)) {
    return new RefusedReply(`${what}: check the rights on the server`, reply, later(operatorPause));
  }
  return new RefusedReply(`${what}: not there, or not there yet, or no right to it`, reply);
}

/** The reply to the login, as an error. */
export function loginError(reply: Reply, tried: string, account: Account): RetryableError | PermanentError {
  if (isFull(reply)) {
    const said = withoutSecret(textOf(reply), account.password);
    return new NoMoreConnections(
      `cannot ${tried}: the server answered ${said}: it takes no more connections`,
    );
  }
  const error = replyError(reply, tried, 'the login', account);
  if (error instanceof PermanentError || error instanceof HostFailure) return error;
  return new LoginRefused(error.message, {
    notBefore: error.notBefore ?? later(operatorPause),
    cause: error,
  });
}

/** Servers say so in the greeting, or when the password is known. */
const isFull = ({ code, message }: Reply): boolean =>
  code === 421 ||
  (code === 530 && /too many|maximum|limit|connections|sessions?\b.*\bexceed/iu.test(message));

/** Some servers repeat what they were told. */
const withoutSecret = (text: string, password: string): string =>
  password === '' ? text : text.replaceAll(password, '***');
