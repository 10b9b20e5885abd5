// Many streams over one WebSocket: the mux of docs/protocol.md, section 7.3, for the side that dials.

const DATA = 0, WINDOW = 1, PING = 2, GO_AWAY = 3;
const SYN = 1, ACK = 2, FIN = 4, RST = 8;
const HEAD = 12;
/** What a direction of a stream may carry before the reader has said that it takes more. */
const FIRST_WINDOW = 262144;
/** The longest body of a frame that is sent here: frames of several streams take turns. */
const MAX_BODY = 16384;
/** Bytes that may wait in the browser for the network; writers wait while there are more. */
const MAX_BUFFERED = 1 << 20;
const KEEPALIVE_MS = 15000;
const SILENCE_MS = 45000;

export const ABORTED = 0x21, STREAM_LIMIT = 0x22;

/** A stream or its session broke off; never an end. */
export class Reset extends Error {
  constructor(code, message = `the stream was reset with ${code}`) {
    super(message);
    this.code = code;
  }
}

export class Mux {
  #socket;
  #onstream;
  #streams = new Map();
  #pieces = [];
  #have = 0;
  #heard = Date.now();
  #timer;
  #done;
  /** Resolves when the session is over, with what is known of why: {code, reason}. */
  closed = new Promise(done => { this.#done = done; });

  /** `onstream` gets each stream that the edge opens. `socket` is open, and its binaryType is arraybuffer. */
  constructor(socket, onstream) {
    this.#socket = socket;
    this.#onstream = onstream;
    socket.onmessage = event => this.#receive(event.data);
    socket.onclose = event => this.#end({ code: undefined, reason: event.reason || 'the connection was lost' });
    this.#timer = setInterval(() => this.#tick(), KEEPALIVE_MS);
  }

  /** The stream with number 1, which an agent opens for the control messages. */
  open() {
    const stream = new Stream(this, 1);
    this.#streams.set(1, stream);
    this.send(WINDOW, SYN, 1, 0);
    return stream;
  }

  get size() {
    return this.#streams.size;
  }

  close(code = 0) {
    const reason = { 0: 0, 1: 1, 9: 2 }[code] ?? 256 + code;
    this.send(GO_AWAY, 0, 0, reason);
    this.#socket.close(1000);
    this.#end({ code, reason: 'closed here' });
  }

  send(type, flags, id, length, body) {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    const head = new DataView(new ArrayBuffer(HEAD));
    head.setUint8(1, type);
    head.setUint16(2, flags);
    head.setUint32(4, id);
    head.setUint32(8, length);
    this.#socket.send(head.buffer);
    if (body?.length) this.#socket.send(body);
  }

  sendData(id, flags, body) {
    this.send(DATA, flags, id, body.length, body);
  }

  sendWindow(id, flags, credit) {
    this.send(WINDOW, flags, id, credit);
  }

  /** Waits until the network has taken most of what was sent: a WebSocket says nothing when it has. */
  async drained() {
    while (this.#socket.bufferedAmount > MAX_BUFFERED) {
      if (this.#socket.readyState !== WebSocket.OPEN) throw new Reset(ABORTED, 'the session is over');
      await new Promise(next => setTimeout(next, 5));
    }
  }

  forget(id) {
    this.#streams.delete(id);
  }

  #tick() {
    if (Date.now() - this.#heard > SILENCE_MS) {
      this.#socket.close(4000, 'nothing was heard');
      this.#end({ reason: 'nothing was heard from the edge for too long' });
    } else {
      this.send(PING, SYN, 0, 1);
    }
  }

  #receive(message) {
    this.#heard = Date.now();
    if (typeof message === 'string') return this.#violation('a text message');
    this.#pieces.push(new Uint8Array(message));
    this.#have += message.byteLength;
    // A frame may be in several messages, and a message may have several frames.
    while (this.#have >= HEAD) {
      const head = new DataView(this.#peek(HEAD).buffer);
      const type = head.getUint8(1), length = head.getUint32(8);
      if (head.getUint8(0) !== 0 || type > GO_AWAY) return this.#violation('an unknown frame');
      const body = type === DATA ? length : 0;
      if (body > FIRST_WINDOW) return this.#violation('a frame beyond the window');
      if (this.#have < HEAD + body) return;
      this.#take(HEAD);
      this.#frame(type, head.getUint16(2), head.getUint32(4), length, this.#take(body));
    }
  }

  #frame(type, flags, id, length, body) {
    if (type === PING) {
      if (flags & SYN) this.send(PING, ACK, 0, length);
    } else if (type === GO_AWAY) {
      const code = length >= 256 ? length - 256 : { 0: 0, 1: 1, 2: 9 }[length] ?? 9;
      this.#end({ code, reason: 'the edge has closed the session' });
    } else {
      let stream = this.#streams.get(id);
      if (flags & SYN) {
        if (stream || id === 0 || id % 2 === 1) return this.#violation('a stream that is no new one');
        stream = new Stream(this, id);
        this.#streams.set(id, stream);
        this.sendWindow(id, ACK, 0);
        this.#onstream(stream);
      }
      // What comes for a stream that is over was under way when it ended.
      stream?.receive(type, flags, length, body);
    }
  }

  #violation(what) {
    this.close(1);
    this.#end({ code: 1, reason: `the edge broke the protocol: ${what}` });
  }

  #end(why) {
    clearInterval(this.#timer);
    for (const stream of this.#streams.values()) stream.abort(new Reset(why.code ?? ABORTED, why.reason));
    this.#streams.clear();
    this.#done(why);
  }

  #peek(count) {
    if (this.#pieces[0].length < count) this.#pieces = [joined(this.#pieces)];
    return this.#pieces[0].slice(0, count);
  }

  #take(count) {
    if (count === 0) return new Uint8Array();
    if (this.#pieces[0].length < count) this.#pieces = [joined(this.#pieces)];
    const first = this.#pieces[0];
    const taken = first.subarray(0, count);
    if (first.length === count) this.#pieces.shift();
    else this.#pieces[0] = first.subarray(count);
    this.#have -= count;
    return taken;
  }
}

/** Two directions of bytes, each of which ends by itself. */
class Stream {
  #mux;
  #incoming = [];
  #received = 0;
  #consumed = 0;
  #credit = FIRST_WINDOW;
  #peerEnded = false;
  #ended = false;
  #error;
  #wake = [];

  constructor(mux, id) {
    this.#mux = mux;
    this.id = id;
  }

  /** The next bytes; undefined at the end. */
  async read() {
    while (!this.#incoming.length) {
      if (this.#error) throw this.#error;
      if (this.#peerEnded) return undefined;
      await this.#changed();
    }
    const bytes = this.#incoming.shift();
    this.#consumed += bytes.length;
    // The edge may send more once half of the window is read: whoever reads slowly slows his own stream down.
    if (this.#consumed >= FIRST_WINDOW / 2 && !this.#peerEnded) {
      this.#mux.sendWindow(this.id, 0, this.#consumed);
      this.#received -= this.#consumed;
      this.#consumed = 0;
    }
    return bytes;
  }

  /** Resolves when all has been handed to the network. */
  async write(bytes) {
    for (let at = 0; at < bytes.length;) {
      while (!this.#credit && !this.#error) await this.#changed();
      if (this.#error) throw this.#error;
      const part = bytes.subarray(at, at + Math.min(this.#credit, MAX_BODY));
      this.#credit -= part.length;
      at += part.length;
      this.#mux.sendData(this.id, 0, part);
      await this.#mux.drained();
    }
  }

  end() {
    if (this.#ended || this.#error) return;
    this.#ended = true;
    this.#mux.sendWindow(this.id, FIN, 0);
    this.#forgetIfOver();
  }

  reset(code = ABORTED) {
    if (this.#error || (this.#ended && this.#peerEnded)) return;
    this.#mux.sendWindow(this.id, RST, code);
    this.abort(new Reset(code));
    this.#mux.forget(this.id);
  }

  receive(type, flags, length, body) {
    if (flags & RST) {
      this.abort(new Reset(type === WINDOW && length ? length : ABORTED));
      return this.#mux.forget(this.id);
    }
    if (type === WINDOW) {
      this.#credit += length;
    } else if (body.length) {
      this.#received += body.length;
      if (this.#received > FIRST_WINDOW) return this.reset(1);
      this.#incoming.push(body);
    }
    if (flags & FIN) {
      this.#peerEnded = true;
      this.#forgetIfOver();
    }
    this.#notify();
  }

  abort(error) {
    this.#error ??= error;
    this.#notify();
  }

  #forgetIfOver() {
    if (this.#ended && this.#peerEnded) this.#mux.forget(this.id);
  }

  #changed() {
    return new Promise(wake => this.#wake.push(wake));
  }

  #notify() {
    const all = this.#wake;
    this.#wake = [];
    for (const wake of all) wake();
  }
}

export function joined(pieces) {
  const all = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
