// The last answers of this page, to be taken back one by one. The oldest is forgotten beyond the limit.

export const LIMIT = 50;

export class Past {
  constructor(limit = LIMIT) {
    this.limit = limit;
    this.entries = [];
  }

  // entry: { clientId, answerId, question, content }
  push(entry) {
    this.entries.push(entry);
    if (this.entries.length > this.limit) this.entries.shift();
  }

  kept(clientId, answerId) {
    const entry = this.entries.find((each) => each.clientId === clientId);
    if (entry) entry.answerId = answerId;
  }

  forget(clientId) {
    this.entries = this.entries.filter((each) => each.clientId !== clientId);
  }

  pop() {
    return this.entries.pop() ?? null;
  }

  get length() {
    return this.entries.length;
  }
}
