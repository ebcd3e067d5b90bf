// Talks to the server. Edits are sent in order, kept in the browser until they are saved, and sent again after a failure.

/** An answer of the server that is not a success; `status`, and `data` with `code` and `message`. */
export class Refused extends Error {
  constructor(status, data) {
    super(data.message ?? `the server answered ${status}`);
    this.status = status;
    this.data = data;
  }
}

async function answerOf(response) {
  const data = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, data);
  return data;
}

export const get = async (path) => answerOf(await fetch(path, { cache: "no-store" }));

export const post = async (path, data) => answerOf(await fetch(path, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data),
}));

export const del = async (path) => answerOf(await fetch(path, { method: "DELETE" }));

const BATCH = 500; // edits in one request
const RETRY_MS = 1500;

/** Sends edits. `on` has the functions saving(), saved(answer), failed(reason), newer(edits), refused(edits, error). */
export class Sender {
  constructor(project, seq, on) {
    this.session = crypto.randomUUID();
    this.seq = seq;
    this.on = on;
    this.number = 0;
    this.key = `hsn-edits-${project}`;
    this.waiting = this.#kept();
    this.hadKept = this.waiting.length > 0; // of an earlier page: not drawn yet
    this.busy = false;
    if (this.waiting.length) this.#pump();
  }

  /** Put edits in the line; they are kept in the browser at once. */
  send(edits) {
    for (const edit of edits) this.waiting.push({ session: this.session, ...edit, number: ++this.number });
    this.#keep();
    this.#pump();
  }

  async #pump() {
    if (this.busy) return;
    this.busy = true;
    while (this.waiting.length) {
      this.on.saving();
      const session = this.waiting[0].session; // edits of an earlier page are sent under its name
      const other = this.waiting.findIndex((edit) => edit.session !== session);
      const batch = this.waiting.slice(0, Math.min(BATCH, other < 0 ? BATCH : other));
      try {
        const answer = await post("api/edits", { session, page: this.session, seq: this.seq, edits: batch });
        this.#done(batch);
        this.seq = answer.seq;
        if (!this.waiting.length) this.on.saved(answer);
      } catch (error) {
        await this.#recover(error, batch);
      }
    }
    this.busy = false;
  }

  async #recover(error, batch) {
    if (error.status === 409) { // the server knows more than this page
      this.seq = error.data.seq;
      this.on.newer(error.data.edits);
    } else if (error.status === 422 || error.status === 404 || error.status === 413) {
      this.#done(batch); // it will never be accepted
      this.on.refused(batch, error);
    } else {
      this.on.failed(error instanceof Refused ? error.message : "the server does not answer");
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  #done(batch) {
    this.waiting.splice(0, batch.length);
    this.#keep();
  }

  #kept() {
    try {
      return JSON.parse(localStorage.getItem(this.key) ?? "[]");
    } catch {
      return [];
    }
  }

  #keep() {
    try {
      if (this.waiting.length) localStorage.setItem(this.key, JSON.stringify(this.waiting));
      else localStorage.removeItem(this.key);
    } catch {
      // A full storage is no reason to stop: the edits are still in memory, and are sent.
    }
  }
}

/** Listen to the messages of the server; `handle` gets each message, `lost` and `found` the state of the line. */
export function listen(session, handle, lost) {
  const source = new EventSource(`api/events?session=${encodeURIComponent(session)}`);
  source.onmessage = (event) => handle(JSON.parse(event.data));
  source.onerror = () => lost();
  return source;
}
