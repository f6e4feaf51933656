import { describe, expect, test } from 'vitest';
import { dialFailure, exchangeInReply, placeOf, replyCode, replyText } from '../../src/broker/failures.js';
import { bindingsWithout } from '../../src/broker/queue-plan.js';
import type { BrokerAddress } from '../../src/broker/broker.js';

const address: BrokerAddress = {
  tls: false,
  host: 'pump.example',
  port: 5672,
  vhost: 'v',
  user: 'alice',
  password: 'geheim',
  login: 'PLAIN',
};

const withCode = (message: string, code: string | number): Error =>
  Object.assign(new Error(message), { code });

describe('reasons for no connection', () => {
  test.each([
    ['outage', withCode('connect ECONNREFUSED 127.0.0.1:1', 'ECONNREFUSED')],
    ['outage', new Error('Socket closed abruptly during opening handshake')],
    ['outage', 'strange'],
    ['refused', new Error('Handshake terminated by server: 403 (ACCESS-REFUSED) with message "no"')],
    ['refused', new Error('SASL mechanism EXTERNAL is not provided by the server')],
    ['refused', withCode('self-signed certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT')],
    ['refused', withCode('names differ', 'ERR_TLS_CERT_ALTNAME_INVALID')],
    ['vhost', new Error('Expected ConnectionOpenOk; got <ConnectionClose channel:0>')],
  ])('%s: %s', (kind, thrown) => {
    const failure = dialFailure(address, thrown);
    expect(failure.kind).toBe(kind);
    expect(failure.reason).toContain('pump.example');
    expect(failure.reason).not.toContain('geheim');
  });

  test('a place never holds the password', () => {
    expect(placeOf({ ...address, tls: true })).toBe('amqps://alice@pump.example:5672');
  });
});

test('a reply is read for its code, its words and the exchange it names', () => {
  const reply = withCode(
    `Channel closed by server: 404 (NOT-FOUND) with message "NOT_FOUND - no exchange 'x'y' in vhost '/'"`,
    404,
  );
  expect(replyCode(reply)).toBe(404);
  expect(replyText(reply)).toBe("NOT_FOUND - no exchange 'x'y' in vhost '/'");
  expect(exchangeInReply(reply)).toBe("x'y");
  expect(exchangeInReply(new Error('closed'))).toBeUndefined();
  expect(replyCode(withCode('reset', 'ECONNRESET'))).toBeUndefined();
});

test('bindings that are gone are found once each', () => {
  const one = { exchange: 'xpublic', key: 'a.#' };
  const two = { exchange: 'xpublic', key: 'b.#' };
  expect(bindingsWithout([one, two, { ...two }, { exchange: 'xs_a', key: 'a.#' }], [{ ...one }])).toEqual([
    two,
    { exchange: 'xs_a', key: 'a.#' },
  ]);
});
