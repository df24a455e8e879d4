// Answers on their way. Each is kept in the browser until the server has it, and sent again after a lost line; the
// server counts one `client_id` once, so that sending twice does no harm.

const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;

export class Outbox {
  // storage: as localStorage; send(answer) -> promise of what the server keeps; told: { kept, refused, waiting }.
  constructor({ storage, prefix, send, told, later = (work, wait) => setTimeout(work, wait) }) {
    Object.assign(this, { storage, prefix, send, told, later });
    this.unkept = new Map(); // those for which the browser's storage has no room: they wait in this page alone
    this.flying = null; // the answer that is being sent, with its promise
    this.wait = FIRST_WAIT;
    this.due = false;
  }

  get waiting() {
    const keys = [];
    for (let index = 0; index < this.storage.length; index++) {
      const key = this.storage.key(index);
      if (key.startsWith(this.prefix)) keys.push(key);
    }
    return [...keys.map((key) => JSON.parse(this.storage.getItem(key))), ...this.unkept.values()].sort((one, other) => one.at - other.at);
  }

  // How many answers wait that still are to count.
  get unsent() {
    return this.waiting.filter((answer) => !answer.taken).length;
  }

  // One key for each answer: two tabs never overwrite each other's.
  put(answer) {
    this.keep(answer);
    this.told.waiting?.(this.unsent);
    return this.flush();
  }

  keep(answer) {
    try {
      this.storage.setItem(this.prefix + answer.client_id, JSON.stringify(answer));
    } catch {
      this.unkept.set(answer.client_id, answer);
    }
  }

  // The answer as it waits, or null.
  read(clientId) {
    return this.unkept.get(clientId) ?? JSON.parse(this.storage.getItem(this.prefix + clientId));
  }

  // Takes back an answer that waits. The server may have one that was tried, without having been heard: it is sent once
  // more, to be taken back there. False: it is being sent, or was.
  take(clientId) {
    const answer = this.flying === clientId ? null : this.read(clientId);
    if (answer?.tried) this.keep({ ...answer, taken: true });
    else if (answer) this.drop(clientId);
    this.told.waiting?.(this.unsent);
    return answer !== null;
  }

  drop(clientId) {
    this.unkept.delete(clientId);
    this.storage.removeItem(this.prefix + clientId);
    this.told.waiting?.(this.unsent);
  }

  async flush() {
    if (this.flying) return;
    for (let next; (next = this.waiting[0]); ) {
      this.flying = next.client_id;
      try {
        this.keep({ ...next, tried: true });
        const kept = await this.send(next);
        if (!next.taken && this.read(next.client_id)?.taken) continue; // back again in another tab meanwhile
        this.drop(next.client_id);
        this.told.kept?.(next, kept);
        this.wait = FIRST_WAIT;
      } catch (error) {
        if (!isFinal(error)) {
          this.retry(error);
          return;
        }
        this.drop(next.client_id);
        this.told.refused?.(next, error);
      } finally {
        this.flying = null;
      }
    }
  }

  retry(error) {
    this.told.lost?.(error);
    if (this.due) return;
    this.due = true;
    this.later(() => {
      this.due = false;
      this.flush();
    }, this.wait);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
  }
}

// Whether sending the same again could never help. Signed out (401, 403), too busy (429) and broken (5xx) may pass.
export function isFinal(error) {
  return error.status >= 400 && error.status < 500 && ![401, 403, 408, 429].includes(error.status);
}
