// An agent in a page: `serve(token, request => new Response('hello'), { edge: 'https://edge.example' })`.
// It speaks docs/protocol.md over the WebSocket binding (section 7.5) and needs nothing but a browser.

import { Mux, Reset, STREAM_LIMIT } from './mux.js';
import { Reader, serveConnection } from './http.js';

const PATH = '/.well-known/tunnel';
const SUBPROTOCOL = 'adit.1.yamux';
const MAX_LINE = 16384;
const WELCOME_MS = 10000;
/** Connections at a time, as many as welcome.limits names when it names none. */
const MAX_STREAMS = 1000;
/** Pauses between two tries: a random time up to a bound that doubles. */
const FIRST_PAUSE_MS = 500, LONGEST_PAUSE_MS = 60000, HEALTHY_MS = 60000;
/** A fresh token is fetched so long before the session ends. */
const REFRESH_MS = 300000;
/** Codes after which another try cannot help, and those after which it takes another token. */
const FATAL = new Set([1, 2, 5, 11, 12]), TOKEN = new Set([3, 4]);
const SIGNATURE = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10];
const utf8 = new TextDecoder();
const encode = line => new TextEncoder().encode(JSON.stringify(line) + '\n');

/** The edge refused, with its code (section 6). */
export class Refused extends Error {
  constructor({ code, msg, after, retry }) {
    super(msg || `refused with code ${code}`);
    Object.assign(this, { code, after, retry });
  }
}

/**
 * Serves HTTP under the names of a token for as long as the page lives.
 *
 * @param token a token, or a function that gives one: then it is asked again when the session nears its end.
 * @param handler gets a Request and gives a Response, or a promise of one.
 * @param edge the URL of an edge, or several.
 * @param bind what to bind; left out, all that the token grants.
 * @param signal an AbortSignal that ends it.
 * @param onstatus is called with {state: 'connecting' | 'serving' | 'waiting' | 'ended', ...}.
 * @returns a promise that is fulfilled when `signal` has ended it, and rejected when it cannot go on.
 */
export async function serve(token, handler, { edge, bind, signal, onstatus = () => {} } = {}) {
  const edges = [edge].flat().filter(Boolean);
  if (!edges.length) throw new TypeError('serve needs the URL of an edge: { edge: "https://…" }');
  const refreshes = typeof token === 'function';
  const fresh = refreshes ? token : async () => token;
  let bound = FIRST_PAUSE_MS;
  for (let tries = 0; !signal?.aborted; tries++) {
    const at = edges[tries % edges.length];
    const began = Date.now();
    onstatus({ state: 'connecting', edge: at });
    const why = await session(at, { fresh, refreshes, handler, bind, signal, onstatus }).catch(error => error);
    if (signal?.aborted) break;
    if (FATAL.has(why.code) || (TOKEN.has(why.code) && !refreshes)) {
      const error = why instanceof Error ? why : new Refused({ code: why.code, msg: why.reason });
      onstatus({ state: 'ended', error });
      throw error;
    }
    if (Date.now() - began > HEALTHY_MS) bound = FIRST_PAUSE_MS;
    const pause = Math.max(Math.random() * bound, why.after ?? 0);
    bound = Math.min(bound * 2, LONGEST_PAUSE_MS);
    onstatus({ state: 'waiting', reason: why.message ?? why.reason, ms: Math.round(pause) });
    await sleep(pause, signal);
  }
  onstatus({ state: 'ended' });
}

/** One session, from the dial to the end; gives {code, reason}. */
async function session(edge, { fresh, refreshes, handler, bind, signal, onstatus }) {
  const socket = await dial(edge, signal);
  let limit = MAX_STREAMS;
  const mux = new Mux(socket, stream => take(stream, mux.size > limit + 1, handler));
  const leave = () => mux.close(0);
  signal?.addEventListener('abort', leave, { once: true });
  let timer;
  try {
    const control = mux.open();
    const lines = new Reader(control);
    const hello = { t: 'hello', v: [1], token: await fresh(), agent: 'adit-browser/0.1', bind };
    await control.write(encode(hello));
    const welcome = await within(WELCOME_MS, next(lines, mux));
    if (welcome.t === 'error') throw new Refused(welcome);
    if (welcome.t !== 'welcome') throw new Error(`the edge answers ${welcome.t} to hello: this page can prove no key`);
    limit = welcome.limits?.streams ?? MAX_STREAMS;
    onstatus({ state: 'serving', edge: welcome.edge, urls: welcome.bound.map(bound => bound.url).filter(Boolean) });
    const refreshAt = expires => {
      clearTimeout(timer);
      const ms = Math.max(expires * 1000 - Date.now() - REFRESH_MS, 1000);
      // A timer cannot be longer than this.
      const refresh = async () => control.write(encode({ t: 'token', token: await fresh() })).catch(() => {});
      if (refreshes) timer = setTimeout(refresh, Math.min(ms, 2 ** 31 - 1));
    };
    refreshAt(welcome.session_exp);
    const talking = talk(lines, control, mux, refreshAt);
    return await Promise.race([mux.closed, talking]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', leave);
    mux.close(0);
  }
}

/** Does what the edge says on the control stream, until it says no more. */
async function talk(lines, control, mux, refreshAt) {
  for (;;) {
    const message = await next(lines, mux);
    if (message.t === 'ping') await control.write(encode({ t: 'pong', n: message.n }));
    else if (message.t === 'welcome') refreshAt(message.session_exp);
    // There is one connection: the streams that are open end, then it is dialled again.
    else if (message.t === 'drain') await control.write(encode({ t: 'drained' }));
    else if (message.t === 'error' && message.id === undefined) throw new Refused(message);
  }
}

/** The next message; blank lines are none. */
async function next(lines, mux) {
  for (;;) {
    const line = await lines.line(MAX_LINE, utf8);
    if (line === undefined) {
      const { code, reason } = await mux.closed;
      throw Object.assign(new Error(reason), { code });
    }
    if (line) return JSON.parse(line);
  }
}

/** Answers one connection of visitors. */
async function take(stream, isTooMany, handler) {
  try {
    const reader = new Reader(stream);
    const origin = await head(reader);
    if (isTooMany) {
      await stream.write(new Uint8Array([STREAM_LIMIT]));
      return stream.end();
    }
    await stream.write(new Uint8Array([0]));
    await serveConnection(reader, stream, origin, handler);
  } catch (error) {
    if (!(error instanceof Reset)) console.warn('adit: a connection broke off', error);
    stream.reset();
  }
}

/** Reads the PROXY header (section 3.1); gives the scheme by which the visitor came. */
async function head(reader) {
  const fixed = await reader.exactly(16);
  const length = fixed[14] << 8 | fixed[15];
  if (!SIGNATURE.every((byte, at) => fixed[at] === byte) || fixed[12] >> 4 !== 2 || length > 1008) {
    throw new Error('the stream has no head');
  }
  const rest = await reader.exactly(length);
  if ((fixed[13] & 15) === 2) throw new Error('the stream carries datagrams');
  const addresses = { 1: 12, 2: 36 }[fixed[13] >> 4] ?? 0;
  for (let at = addresses; at + 3 <= rest.length;) {
    const [type, size] = [rest[at], rest[at + 1] << 8 | rest[at + 2]];
    if (type === 0x20) return 'https';
    at += 3 + size;
  }
  return 'http';
}

function dial(edge, signal) {
  const url = new URL(PATH, edge);
  url.protocol = url.protocol === 'http:' ? 'ws:' : 'wss:';
  return new Promise((open, fail) => {
    const socket = new WebSocket(url, SUBPROTOCOL);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => open(socket);
    socket.onclose = () => fail(new Error(`${url.host} takes no WebSocket`));
    signal?.addEventListener('abort', () => socket.close(), { once: true });
  });
}

function within(ms, promise) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error('the edge has not answered in time')), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function sleep(ms, signal) {
  return new Promise(done => {
    setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}
