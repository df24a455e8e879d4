// What a person has said so far about the faces of a page: which do not belong, or are none, and why.

export class Marks {
  constructor(faces, said = {}) {
    this.faces = faces;
    const marks = Object.entries(said.marks ?? {}).map(([face, mark]) => [Number(face), mark]);
    this.marks = new Map(marks.filter(([face]) => faces.includes(face))); // others have left the question since
    this.markedAreOne = Boolean(said.marked_are_one) && this.others > 0;
  }

  of(face) {
    return this.marks.get(face) ?? "";
  }

  // Setting the same mark again takes it away. Returns the mark that now holds.
  toggle(face, mark) {
    if (this.of(face) === mark) this.marks.delete(face);
    else this.marks.set(face, mark);
    if (!this.others) this.markedAreOne = false;
    return this.of(face);
  }

  get others() {
    return [...this.marks.values()].filter((mark) => mark === "other").length;
  }

  get belonging() {
    return this.faces.length - this.marks.size;
  }

  toggleSplit() {
    this.markedAreOne = this.others > 0 && !this.markedAreOne;
    return this.markedAreOne;
  }

  content(verdict, name = "") {
    const said = { verdict, marks: Object.fromEntries(this.marks) };
    return verdict === "one_person" ? { ...said, marked_are_one: this.markedAreOne, name: name.trim() } : said;
  }
}
