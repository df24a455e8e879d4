// The other tabs of one person on this page: no question is on two screens, and the last one to leave gives all back.

const FRESH = 150_000; // ms; a tab tells every two minutes that it is there
const KEPT = 600_000; // ms

export class Tabs {
  // storage: as localStorage.
  constructor({ storage, prefix, own, now = () => Date.now() }) {
    Object.assign(this, { storage, prefix, own, now });
  }

  // question: the id of the one on show here, or null.
  tell(question) {
    try {
      this.storage.setItem(this.prefix + this.own, JSON.stringify({ question, at: this.now() }));
    } catch {
      this.leave(); // no room: what it showed before would not be true, and the server still counts every answer once
    }
  }

  leave() {
    this.storage.removeItem(this.prefix + this.own);
  }

  // What each of the others shows; a tab that was killed is forgotten.
  get others() {
    return this.within(FRESH);
  }

  // Those that told something in so many milliseconds: one that is not looked at tells nothing.
  within(time) {
    const keys = Array.from({ length: this.storage.length }, (_, index) => this.storage.key(index));
    const told = keys.filter((key) => key?.startsWith(this.prefix) && key !== this.prefix + this.own).map((key) => [key, JSON.parse(this.storage.getItem(key))]);
    for (const [key, tab] of told) if (tab && tab.at < this.now() - KEPT) this.storage.removeItem(key);
    return told.map(([, tab]) => tab).filter((tab) => tab && tab.at >= this.now() - time);
  }

  shows(question) {
    return this.others.some((tab) => tab.question === question);
  }
}
