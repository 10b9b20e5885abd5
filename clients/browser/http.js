// HTTP/1.1 on a stream, from the edge's proxy: requests become Request, Response goes back (RFC 9112).

import { joined } from './mux.js';

/** Octets of a head: the edge sends none that is longer. */
const MAX_HEAD = 65536;
/** Octets of a line of a chunked body. */
const MAX_LINE = 8192;
const LF = 10;
const latin1 = new TextDecoder('latin1');
const bytes = new TextEncoder();

/** Reads as much of a stream as is asked for, and keeps the rest. */
export class Reader {
  #stream;
  #rest = new Uint8Array();

  constructor(stream) {
    this.#stream = stream;
  }

  /** Some bytes, at most `most`; undefined at the end. */
  async some(most = Infinity) {
    if (!this.#rest.length) {
      const more = await this.#stream.read();
      if (!more) return undefined;
      this.#rest = more;
    }
    const some = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(some.length);
    return some;
  }

  async exactly(count) {
    const pieces = [];
    for (let left = count; left > 0;) {
      const some = await this.some(left);
      if (!some) throw new Error('the stream ended too early');
      pieces.push(some);
      left -= some.length;
    }
    return joined(pieces);
  }

  /** A line without its end; undefined when the stream ended before its first byte. */
  async line(most, decoder = latin1) {
    const pieces = [];
    for (let length = 0; ;) {
      const some = await this.some();
      if (!some) {
        if (!length) return undefined;
        throw new Error('the stream ended within a line');
      }
      const end = some.indexOf(LF);
      const part = end < 0 ? some : some.subarray(0, end);
      length += part.length;
      if (length > most) throw new Error('a line is too long');
      pieces.push(part);
      if (end >= 0) {
        this.#rest = joined([some.subarray(end + 1), this.#rest]);
        return decoder.decode(joined(pieces)).replace(/\r$/, '');
      }
    }
  }
}

/** Answers the requests of one connection with `handler`, one after the other, until it ends. */
export async function serveConnection(reader, stream, origin, handler) {
  for (;;) {
    const head = await readHead(reader);
    if (!head) return stream.end();
    const body = requestBody(reader, head);
    const request = toRequest(head, body, origin);
    let response;
    try {
      response = await handler(request);
      if (!(response instanceof Response)) throw new TypeError('the handler gave no Response');
    } catch (error) {
      console.error('adit: the handler failed', error);
      response = new Response('the page that serves this has failed\n', { status: 500 });
    }
    await write(stream, head, response);
    // What the handler did not read stands before the next request.
    while (await body.next());
    if (/\bclose\b/i.test(head.headers.get('connection') ?? '')) return stream.end();
  }
}

async function readHead(reader) {
  const first = await reader.line(MAX_HEAD);
  if (first === undefined) return undefined;
  const [method, target, version] = first.split(' ');
  if (!/^HTTP\/1\.[01]$/.test(version ?? '')) throw new Error(`no request: ${first}`);
  const headers = new Headers();
  for (let left = MAX_HEAD - first.length; ;) {
    const line = await reader.line(left);
    if (line === undefined) throw new Error('the stream ended within a head');
    if (line === '') return { method, target, headers };
    left -= line.length;
    const colon = line.indexOf(':');
    if (colon < 1) throw new Error(`no field: ${line}`);
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
}

/** `next()` gives the next bytes of the body; undefined at its end. */
function requestBody(reader, { headers }) {
  let left = Number(headers.get('content-length') ?? 0);
  let chunked = /\bchunked$/i.test(headers.get('transfer-encoding') ?? '');
  const isThere = chunked || left > 0;
  const next = async () => {
    if (chunked && left === 0) {
      left = parseInt(await reader.line(MAX_LINE), 16);
      if (!(left >= 0)) throw new Error('no length of a chunk');
      if (left === 0) {
        while (await reader.line(MAX_LINE));
        chunked = false;
      }
    }
    if (left === 0) return undefined;
    const some = await reader.some(left);
    if (!some) throw new Error('the stream ended within a body');
    left -= some.length;
    if (chunked && left === 0) await reader.line(MAX_LINE);
    return some;
  };
  return { next, isThere };
}

function toRequest({ method, target, headers }, body, origin) {
  const host = headers.get('host') ?? 'localhost';
  const scheme = headers.get('x-forwarded-proto') ?? origin;
  const url = new URL(target, `${scheme}://${host}`);
  // GET and HEAD have no body in a Request.
  if (!body.isThere || method === 'GET' || method === 'HEAD') return new Request(url, { method, headers });
  const stream = new ReadableStream({
    async pull(controller) {
      const some = await body.next();
      if (some) controller.enqueue(some);
      else controller.close();
    },
  }, { highWaterMark: 0 });
  return new Request(url, { method, headers, body: stream, duplex: 'half' });
}

async function write(stream, { method }, response) {
  const { status, headers } = response;
  const hasBody = method !== 'HEAD' && status !== 204 && status !== 304 && response.body;
  const isMeasured = headers.has('content-length');
  let head = `HTTP/1.1 ${status} ${response.statusText}\r\n`;
  for (const [name, value] of headers) {
    if (!/^(connection|keep-alive|transfer-encoding|upgrade)$/i.test(name)) head += `${name}: ${value}\r\n`;
  }
  if (hasBody && !isMeasured) head += 'transfer-encoding: chunked\r\n';
  else if (!hasBody && !isMeasured && status !== 204 && status !== 304) head += 'content-length: 0\r\n';
  await stream.write(bytes.encode(head + '\r\n'));
  if (!hasBody) return;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (!value.length) continue;
    if (isMeasured) {
      await stream.write(value);
    } else {
      const size = bytes.encode(`${value.length.toString(16)}\r\n`);
      await stream.write(joined([size, value, bytes.encode('\r\n')]));
    }
  }
  if (!isMeasured) await stream.write(bytes.encode('0\r\n\r\n'));
}
