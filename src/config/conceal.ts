import { inspect } from 'node:util';

/**
 * The object itself, whose members `secret` show as `***` when it is printed, logged or turned into JSON. A copy
 * made by spreading holds the secrets and shows them.
 */
export function conceal<T extends object>(object: T, secret: readonly (keyof T)[]): T {
  const shown = (): object =>
    Object.fromEntries(
      Object.entries(object).map(([name, value]: [string, unknown]) => [
        name,
        value !== undefined && secret.some((one) => one === name) ? '***' : value,
      ]),
    );
  return Object.defineProperties(object, {
    toJSON: { value: shown, enumerable: false },
    [inspect.custom]: { value: shown, enumerable: false },
  });
}
