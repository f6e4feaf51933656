/** Loaded into a program by --import: says on standard error which modules it loads. */
import { register } from 'node:module';

register(
  `data:text/javascript,${encodeURIComponent(`
    export async function resolve(name, context, next) {
      const found = await next(name, context);
      process._rawDebug('LOAD ' + found.url);
      return found;
    }`)}`,
);
